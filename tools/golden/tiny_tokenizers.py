"""Tiny tokenizers for the golden models: the file formats of the real families, with a vocabulary of about 300.

Each function writes what a published model folder of that kind holds. Everything is derived from CORPUS below, so the files
can be made again at any time.
"""

import io
import json
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "the house by the river was quiet and the light in the kitchen was still on",
    "she asked the machine a question and the machine gave her an answer",
    "when the rain had stopped they went out to look at the garden and the trees",
    "there is nothing in the letter that he had not told them before",
    "the other one was there too and then they were all there together",
] * 4

SPLIT_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLIT_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLIT_GPT4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
])

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_byte_level_bpe(folder: Path, n_vocab: int, split: str, specials: list[str], *, nfc: bool = False,
                         bos: str | None = None, merge_pairs: bool, config: dict) -> None:
    """tokenizer.json of byte-level BPE; `merge_pairs` picks the newer ["a", "b"] form over the older "a b"."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=split == SPLIT_LLAMA3))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=n_vocab - len(specials), show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    byte_level = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    if bos:
        template = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))])
        tokenizer.post_processor = processors.Sequence([byte_level, template])
    else:
        tokenizer.post_processor = byte_level
    assert tokenizer.get_vocab_size() == n_vocab
    value = json.loads(tokenizer.to_str())
    if not merge_pairs:
        value["model"]["merges"] = [" ".join(m) for m in value["model"]["merges"]]
    write_json(folder / "tokenizer.json", value)
    write_json(folder / "tokenizer_config.json", config)


def train_sentencepiece(n_vocab: int, *, bos: int, eos: int, unk: int, pad: int = -1,
                        user_defined: list[str] | None = None, add_dummy_prefix: bool = True) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, model_type="bpe", vocab_size=n_vocab, byte_fallback=True,
        character_coverage=1.0, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=add_dummy_prefix, allow_whitespace_only_pieces=True, num_threads=1, minloglevel=2,
        bos_id=bos, eos_id=eos, unk_id=unk, pad_id=pad, user_defined_symbols=user_defined or [])
    return out.getvalue()


def write_sentencepiece(folder: Path, model: bytes, config: dict) -> None:
    (folder / "tokenizer.model").write_bytes(model)
    write_json(folder / "tokenizer_config.json", config)


def write_sentencepiece_as_json(folder: Path, model_bytes: bytes, config: dict) -> None:
    """The same vocabulary as tokenizer.json alone: BPE with byte fallback, merges in the order of the pieces' scores."""
    spm = sentencepiece.SentencePieceProcessor(model_proto=model_bytes)
    ids = {spm.id_to_piece(i): i for i in range(spm.vocab_size())}
    normal = [p for p, i in ids.items() if not (spm.is_unknown(i) or spm.is_control(i) or spm.is_byte(i))]
    merges = [(piece[:cut], piece[cut:]) for piece in normal for cut in range(1, len(piece))
              if piece[:cut] in ids and piece[cut:] in ids]
    tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<unk>", "<s>", "</s>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", ids["<s>"])])
    write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    write_json(folder / "tokenizer_config.json", config)


def added_tokens_decoder(entries: list[tuple[int, str, bool]]) -> dict:
    return {str(i): {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                     "special": special} for i, text, special in entries}
