"""The golden models: one small configuration per architecture and variant, written as published folders write theirs.

Sizes are chosen so that 96 tokens pass every sliding window (16 or 32) and every original context (32), and so that each file
stays below 300 KB. `norm_is_offset` marks the families whose norm weights are stored minus one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import tiny_tokenizers as tok

N_VOCAB = 320
N_TOKENS = 96


@dataclass
class Family:
    name: str
    config: dict
    dtype: str                                # of model.safetensors: float32, float16, bfloat16
    tokenizer: Callable[[Path], None]
    norm_is_offset: bool = False
    n_shards: int = 1
    prefix: tuple[str, str] = ("", "")        # reference parameter name prefix -> name prefix in the file
    vision_stub: bool = False                 # adds tensors that a converter of the text part must leave out
    short_tokens: int = 0                     # a second logits file over this many tokens (longrope: the short factors)
    std: float | None = None                  # standard deviation of the matrices, when not the usual one
    traps: dict = field(default_factory=dict)  # what a wrong reading would miss -> function that takes it out of the config


# ---- traps: settings that a wrong implementation forgets, each taken out of a configuration in turn ----

def no_rope_scaling(config) -> None:
    config.rope_parameters = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"],
                              "partial_rotary_factor": config.rope_parameters.get("partial_rotary_factor", 1.0)}


def short_factors(config) -> None: config.rope_parameters["long_factor"] = config.rope_parameters["short_factor"]


def no_attention_factor(config) -> None: config.rope_parameters["attention_factor"] = 1.0


def no_window(config) -> None:
    if getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * config.num_hidden_layers
    config.sliding_window = None if config.model_type in ("mistral", "phi3") else 4096


def window_of_one_more(config) -> None: config.sliding_window += 1


def no_softcap(config) -> None: config.attn_logit_softcapping = None


def no_final_softcap(config) -> None: config.final_logit_softcapping = None


def scale_by_head(config) -> None: config.query_pre_attn_scalar = config.head_dim


def scale_by_width(config) -> None: config.query_pre_attn_scalar = config.hidden_size // config.num_attention_heads


def one_rope_base(config) -> None:
    config.rope_parameters["sliding_attention"]["rope_theta"] = config.rope_parameters["full_attention"]["rope_theta"]


def no_global_scaling(config) -> None:
    config.rope_parameters["full_attention"] = {
        "rope_type": "default", "rope_theta": config.rope_parameters["full_attention"]["rope_theta"]}


def trap(*functions: Callable) -> dict: return {f.__name__: f for f in functions}


def base(architecture: str, model_type: str, **more) -> dict:
    config = {
        "architectures": [architecture], "model_type": model_type, "vocab_size": N_VOCAB, "hidden_size": 64,
        "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "hidden_act": "silu", "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "use_cache": True,
    }
    config.update(more)
    return {k: v for k, v in config.items() if v is not ...}  # ... drops a key of the base


# ---- tokenizers ----

SPM_CONFIG = {
    "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
    "clean_up_tokenization_spaces": False, "tokenizer_class": "LlamaTokenizer", "chat_template": tok.CHAT_TEMPLATE,
}


def llama2_tokenizer(folder: Path) -> None:
    model = tok.train_sentencepiece(N_VOCAB, bos=1, eos=2, unk=0)
    tok.write_sentencepiece(folder, model, SPM_CONFIG | {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": True, "rstrip": False,
                      "single_word": False}})


def mistral_json_tokenizer(folder: Path) -> None:
    model = tok.train_sentencepiece(N_VOCAB, bos=1, eos=2, unk=0)
    tok.write_sentencepiece_as_json(folder, model, SPM_CONFIG)


def llama3_tokenizer(folder: Path) -> None:
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"]
    tok.write_byte_level_bpe(folder, N_VOCAB, tok.SPLIT_LLAMA3, specials, bos="<|begin_of_text|>", merge_pairs=False, config={
        "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "chat_template": tok.CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": True, "model_max_length": 131072, "tokenizer_class": "PreTrainedTokenizerFast"})


def qwen2_tokenizer(folder: Path) -> None:  # four ids fewer than the embedding has rows, as in the published models
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tok.write_byte_level_bpe(folder, N_VOCAB - 4, tok.SPLIT_QWEN2, specials, nfc=True, merge_pairs=True, config={
        "add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
        "chat_template": tok.CHAT_TEMPLATE, "tokenizer_class": "Qwen2Tokenizer", "model_max_length": 131072})


def phi4_tokenizer(folder: Path) -> None:
    specials = ["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"]
    tok.write_byte_level_bpe(folder, N_VOCAB, tok.SPLIT_GPT4O, specials, merge_pairs=True, config={
        "add_bos_token": False, "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "tokenizer_class": "GPT2Tokenizer"})
    (folder / "chat_template.jinja").write_text(tok.CHAT_TEMPLATE, encoding="utf-8")


def gemma_tokenizer(folder: Path) -> None:
    turns = ["<start_of_turn>", "<end_of_turn>"]
    model = tok.train_sentencepiece(N_VOCAB, bos=2, eos=1, unk=3, pad=0, user_defined=turns, add_dummy_prefix=False)
    tok.write_sentencepiece(folder, model, {
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>",
        "unk_token": "<unk>", "tokenizer_class": "GemmaTokenizer", "chat_template": tok.CHAT_TEMPLATE,
        "added_tokens_decoder": tok.added_tokens_decoder([
            (0, "<pad>", True), (1, "<eos>", True), (2, "<bos>", True), (3, "<unk>", True), (4, "<start_of_turn>", True),
            (5, "<end_of_turn>", True)])})


def phi3_tokenizer(folder: Path) -> None:  # tokens beyond the SentencePiece model, as in the published ones
    model = tok.train_sentencepiece(N_VOCAB - 6, bos=1, eos=2, unk=0)
    added = [(0, "<unk>", True), (1, "<s>", True), (2, "</s>", False), (314, "<|endoftext|>", True), (315, "<|assistant|>", True),
             (316, "<|end|>", True), (317, "<|user|>", True)]
    tok.write_sentencepiece(folder, model, SPM_CONFIG | {
        "add_bos_token": False, "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
        "added_tokens_decoder": tok.added_tokens_decoder(added)})
    tok.write_json(folder / "added_tokens.json", {text: i for i, text, _ in added if i >= N_VOCAB - 6})


# ---- architectures ----

LONG = [1.0, 1.2, 1.7, 2.3, 2.9, 3.3, 3.7, 4.0, 4.4, 4.9, 5.5, 6.2, 7.0, 8.0, 9.5, 11.0]
SHORT = [1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.36, 1.42, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0]

GEMMA2 = dict(
    hidden_act=..., rope_theta=10000.0, tie_word_embeddings=..., bos_token_id=2, eos_token_id=1, pad_token_id=0, rms_norm_eps=1e-6,
    hidden_activation="gelu_pytorch_tanh", attn_logit_softcapping=5.0, final_logit_softcapping=8.0, sliding_window=16)
GEMMA3 = dict(
    hidden_size=32, intermediate_size=64, num_hidden_layers=7, num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16,
    rms_norm_eps=1e-6, hidden_activation="gelu_pytorch_tanh", sliding_window=16, bos_token_id=2, eos_token_id=1, pad_token_id=0)

FAMILIES = [
    Family("llama", base("LlamaForCausalLM", "llama", hidden_size=32, num_key_value_heads=4, head_dim=..., rope_theta=...),
           "float32", llama2_tokenizer),
    Family("llama3", base("LlamaForCausalLM", "llama", rope_theta=500000.0, eos_token_id=[317, 318], bos_token_id=316,
                          rope_scaling={"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                        "original_max_position_embeddings": 32, "rope_type": "llama3"}),
           "bfloat16", llama3_tokenizer,
           traps=trap(no_rope_scaling)),
    Family("llama-linear", base("LlamaForCausalLM", "llama", tie_word_embeddings=True,
                                rope_scaling={"type": "linear", "factor": 4.0}),
           "float16", llama2_tokenizer,
           traps=trap(no_rope_scaling)),
    Family("mistral", base("MistralForCausalLM", "mistral", hidden_size=48, head_dim=32, rope_theta=1000000.0,
                           sliding_window=None, max_position_embeddings=1024),
           "float16", mistral_json_tokenizer),
    Family("mistral-window", base("MistralForCausalLM", "mistral", sliding_window=16, max_position_embeddings=1024),
           "bfloat16", llama2_tokenizer,
           traps=trap(no_window, window_of_one_more)),
    Family("qwen2", base("Qwen2ForCausalLM", "qwen2", tie_word_embeddings=True, rms_norm_eps=1e-6, rope_theta=1000000.0,
                         use_sliding_window=False, sliding_window=128, max_window_layers=3, bos_token_id=313, eos_token_id=315),
           "bfloat16", qwen2_tokenizer, n_shards=2),
    Family("qwen2-yarn", base("Qwen2ForCausalLM", "qwen2", rms_norm_eps=1e-6, use_sliding_window=False, head_dim=...,
                              rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
                              bos_token_id=313, eos_token_id=315),
           "float16", qwen2_tokenizer,
           traps=trap(no_rope_scaling, no_attention_factor)),
    Family("qwen3", base("Qwen3ForCausalLM", "qwen3", head_dim=32, attention_bias=False, rms_norm_eps=1e-6, rope_theta=...,
                         rope_parameters={"rope_theta": 1000000.0, "rope_type": "default"}, tie_word_embeddings=True,
                         use_sliding_window=False, sliding_window=None, bos_token_id=313, eos_token_id=315),
           "bfloat16", qwen2_tokenizer),
    Family("gemma2", base("Gemma2ForCausalLM", "gemma2", head_dim=32, query_pre_attn_scalar=32, num_hidden_layers=3, **GEMMA2),
           "bfloat16", gemma_tokenizer, norm_is_offset=True,
           traps=trap(no_softcap, no_final_softcap, no_window, window_of_one_more, scale_by_width)),
    # 46 layers mean the 27B model, whose attention scale is 1/sqrt(d_model/n_heads): here 8, while d_head is 4.
    Family("gemma2-46-layers", base("Gemma2ForCausalLM", "gemma2",
                                    **(GEMMA2 | dict(hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1,
                                                     num_hidden_layers=46, head_dim=4, query_pre_attn_scalar=8))),
           "float16", gemma_tokenizer, norm_is_offset=True, std=0.25,
           traps=trap(no_softcap, no_final_softcap, no_window, scale_by_head)),
    Family("gemma3", base("Gemma3ForCausalLM", "gemma3_text", **GEMMA3, hidden_act=..., rope_theta=1000000.0,
                          rope_local_base_freq=10000.0, sliding_window_pattern=6, tie_word_embeddings=True),
           "bfloat16", gemma_tokenizer, norm_is_offset=True,
           traps=trap(no_window, window_of_one_more, one_rope_base)),
    Family("gemma3-vision", {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "boi_token_index": 6, "eos_token_id": [1, 5],
        "text_config": base("", "gemma3_text", **GEMMA3, architectures=..., hidden_act=..., rope_theta=..., use_cache=...,
                            tie_word_embeddings=..., rope_scaling={"factor": 8.0, "rope_type": "linear"}),
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1,
                          "num_hidden_layers": 1, "image_size": 8, "patch_size": 4, "vision_use_head": False}},
           "bfloat16", gemma_tokenizer, norm_is_offset=True, prefix=("model.", "language_model.model."), vision_stub=True,
           traps=trap(no_window, one_rope_base, no_global_scaling)),
    Family("phi3", base("Phi3ForCausalLM", "phi3", sliding_window=32, original_max_position_embeddings=128, rope_scaling=None,
                        pad_token_id=314, bos_token_id=1, eos_token_id=314),
           "float16", phi3_tokenizer,
           traps=trap(no_window, window_of_one_more)),
    Family("phi3-longrope", base("Phi3ForCausalLM", "phi3", sliding_window=1024, original_max_position_embeddings=32,
                                 rope_scaling={"type": "longrope", "long_factor": LONG[:8], "short_factor": SHORT[:8]},
                                 pad_token_id=314, bos_token_id=1, eos_token_id=314),
           "bfloat16", phi3_tokenizer, short_tokens=32,
           traps=trap(no_rope_scaling, short_factors, no_attention_factor)),
    Family("phi4-mini", base("Phi3ForCausalLM", "phi3", sliding_window=None, original_max_position_embeddings=32,
                             partial_rotary_factor=0.75, tie_word_embeddings=True, num_attention_heads=2, num_key_value_heads=1,
                             rope_scaling={"type": "longrope", "long_factor": LONG[:12], "short_factor": SHORT[:12]},
                             pad_token_id=316, bos_token_id=316, eos_token_id=316),
           "bfloat16", phi4_tokenizer, short_tokens=32,
           traps=trap(no_rope_scaling, short_factors, no_attention_factor)),
]
