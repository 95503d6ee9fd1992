"""Makes the encoders of tests/golden: tiny random BERT and NomicBERT folders, and what transformers makes of some texts.

    .venv/bin/python tools/golden/make_encoders.py [--out tests/golden] [NAME...]

Like make_models.py: seeded weights, float32 with eager attention on one thread, compared with a float64 run; each setting that is
easily forgotten is shown to matter. tests/golden/README.md has the format of encoded.bin. Needs tests/requirements-slow.txt.
"""

import argparse
import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel

from tiny_tokenizers import CORPUS, write_json

SEED = 20240607
N_VOCAB = 320
MAX_FLOAT64_DIFFERENCE = 2e-5
WORDS = " ".join(CORPUS[:5]).split()
# Empty, short, with capitals, accents and CJK, and around the 64 positions of a page of cached keys.
TEXTS = ["", "the", "Was the machine THERE, too? Café 中文!", "she asked the machine a question"] + [
    " ".join(WORDS[i % len(WORDS)] for i in range(n)) for n in (40, 61, 62, 63, 110)]


@dataclass
class Encoder:
    name: str
    config: dict
    pooling: dict          # 1_Pooling/config.json
    traps: dict = field(default_factory=dict)  # name -> (change of configuration or weights, least difference)


def tokenizer(folder: Path, lowercase: bool) -> Tokenizer:
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(sorted(set(CORPUS)) * 4, trainers.WordPieceTrainer(
        vocab_size=N_VOCAB, min_frequency=1, special_tokens=specials, show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                     special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    write_json(folder / "tokenizer.json", json.loads(t.to_str()))
    write_json(folder / "tokenizer_config.json", {
        "do_lower_case": lowercase, "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
        "mask_token": "[MASK]", "tokenizer_class": "BertTokenizer"})
    return t


def random_tensor(encoder: Encoder, name: str, shape: torch.Size) -> torch.Tensor:
    rng = np.random.Generator(np.random.PCG64([SEED, zlib.crc32(f"{encoder.name}/{name}".encode())]))
    values = rng.standard_normal(tuple(shape))
    if name.lower().endswith("norm.weight"):
        values = values * 0.3 + 1.0
    elif name.endswith(".bias"):
        values *= 0.3
    elif "embeddings" in name:
        values *= 0.3
    else:
        values *= 0.3 * (48 / shape[-1]) ** 0.5
    return torch.from_numpy(values).to(torch.float32)


def build(config):
    return AutoModel.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()


def run(model, ids: list[int], dtype: torch.dtype) -> np.ndarray:
    with torch.no_grad():
        return model.to(dtype)(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy().copy()


def unit(v: np.ndarray) -> np.ndarray:
    v = v.astype(np.float64)
    return (v / np.linalg.norm(v)).astype(np.float32)


def change(key: str, value) -> Callable: return lambda config, weights: setattr(config, key, value)


def without(name: str) -> Callable: return lambda config, weights: weights[name].zero_()


def other_theta(config, weights) -> None: config.rope_parameters["rope_theta"] = 10000.0


COMMON = {"vocab_size": N_VOCAB, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
          "max_position_embeddings": 160, "type_vocab_size": 2, "pad_token_id": 0}

ENCODERS = [
    Encoder("bert", {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12,
                     "position_embedding_type": "absolute"} | COMMON,
            {"word_embedding_dimension": 48, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False,
             "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False},
            {"positions": (without("embeddings.position_embeddings.weight"), 0.05),
             "token types": (without("embeddings.token_type_embeddings.weight"), 0.05),
             "the exact GELU": (change("hidden_act", "gelu_pytorch_tanh"), 3e-4)}),
    Encoder("nomic-bert", {"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "hidden_act": "silu", "layer_norm_eps": 0.02,
                           "rope_parameters": {"rope_theta": 1000.0, "rope_type": "default"}} | COMMON,
            {"embedding_dimension": 48, "pooling_mode": "mean"},
            {"token types": (without("embeddings.token_type_embeddings.weight"), 0.05),
             "its rope base": (other_theta, 0.05), "its epsilon": (change("layer_norm_eps", 1e-5), 0.05)}),
]


def make(encoder: Encoder, out: Path) -> None:
    folder = out / encoder.name
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", encoder.config | {"torch_dtype": "float32"})
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    write_json(folder / "1_Pooling/config.json", encoder.pooling)
    words = tokenizer(folder, lowercase=encoder.name == "bert")

    def loaded(spoil: Callable | None = None):
        config = AutoConfig.from_pretrained(folder)
        config._attn_implementation = "eager"
        weights = {n: random_tensor(encoder, n, p.shape) for n, p in build(config).state_dict().items()}
        if spoil:
            spoil(config, weights)
        model = build(config)
        model.load_state_dict(weights, strict=True)
        return model, weights

    model, weights = loaded()
    stored = dict(weights)
    if encoder.name == "bert":  # older folders have this buffer; nobody reads it
        stored["embeddings.position_ids"] = torch.arange(160).expand((1, -1)).contiguous()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})

    worst, spread, results = 0.0, 0.0, []
    with open(folder / "encoded.bin", "wb") as f:
        f.write(struct.pack("<4sIII", b"WGEN", 1, len(TEXTS), model.config.hidden_size))
        for text in TEXTS:
            ids = words.encode(text).ids
            exact = run(model, ids, torch.float64)
            hidden = run(model, ids, torch.float32)
            worst = max(worst, float(np.abs(hidden - exact).max()))
            spread = max(spread, float(hidden.std()))
            results.append((ids, hidden))
            raw = text.encode()
            f.write(struct.pack("<II", len(raw), len(ids)) + raw)
            f.write(np.asarray(ids, "<i4").tobytes() + hidden.astype("<f4").tobytes())
            for pooled in (hidden.astype(np.float64).mean(0), hidden[0], hidden[-1]):
                f.write(unit(pooled).astype("<f4").tobytes())
    print(f"{encoder.name}: {[len(i) for i, _ in results]} tokens, std {spread:.2f}, float64 differs by {worst:.1e}")
    assert worst < MAX_FLOAT64_DIFFERENCE
    for name, (spoil, least) in encoder.traps.items():
        spoiled, _ = loaded(spoil)
        difference = max(float(np.abs(run(spoiled, ids, torch.float32) - hidden).max()) for ids, hidden in results)
        print(f"    without {name}: differs by {difference:.4f}")
        assert difference > least, (encoder.name, name)
    for file in folder.rglob("*"):
        assert file.stat().st_size < 300_000, file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[2] / "tests/golden")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for encoder in ENCODERS:
        if not args.names or encoder.name in args.names:
            make(encoder, args.out)


if __name__ == "__main__":
    main()
