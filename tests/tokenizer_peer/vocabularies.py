"""Reference tokenizers, rebuilt out of a GGUF's own vocabulary: Hugging Face `tokenizers` for byte-level BPE and WordPiece,
SentencePiece for the others. What a file does not say (normalizer, split patterns) is what the family's tokenizer.json says."""

import re
import struct

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


_PADDING = re.compile(r"\[PAD\d+\]")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_metadata(path):
    """The metadata of a GGUF file. (The gguf package takes half a minute for a large vocabulary.)"""
    with open(path, "rb") as file:
        data = file.read()
    at = 24

    def take(kind):
        nonlocal at
        if kind == _STRING:
            (n,) = struct.unpack_from("<Q", data, at)
            at += 8 + n
            return data[at - n : at].decode("utf-8", "replace")
        if kind == _ARRAY:
            element, n = struct.unpack_from("<IQ", data, at)
            at += 12
            if element in (_STRING, _ARRAY):
                return [take(element) for _ in range(n)]
            values = struct.unpack_from(f"<{n}{_SCALARS[element]}", data, at)
            at += struct.calcsize(f"<{n}{_SCALARS[element]}")
            return list(values)
        (value,) = struct.unpack_from("<" + _SCALARS[kind], data, at)
        at += struct.calcsize("<" + _SCALARS[kind])
        return value

    magic, _, _, n_entries = struct.unpack_from("<4sIQQ", data, 0)
    assert magic == b"GGUF", path
    entries = {}
    for _ in range(n_entries):
        key = take(_STRING)
        (kind,) = struct.unpack_from("<I", data, at)
        at += 4
        entries[key] = take(kind)
    return entries


class Vocab:
    def __init__(self, path):
        metadata = read_metadata(path)

        def value(key, default=None):
            return metadata.get(key, default)

        self.kind = value("tokenizer.ggml.model")
        self.pre = value("tokenizer.ggml.pre", "")
        self.architecture = value("general.architecture", "")
        self.pieces = value("tokenizer.ggml.tokens")
        self.types = value("tokenizer.ggml.token_type") or [NORMAL] * len(self.pieces)
        self.scores = value("tokenizer.ggml.scores", [])
        self.merges = [tuple(_split(m)) for m in value("tokenizer.ggml.merges", [])]
        self.charsmap = bytes(v & 0xFF for v in value("tokenizer.ggml.precompiled_charsmap", []))
        self.add_space_prefix = value("tokenizer.ggml.add_space_prefix", self.kind == "llama")
        self.remove_extra_whitespaces = value("tokenizer.ggml.remove_extra_whitespaces", False)
        self.unk = value("tokenizer.ggml.unknown_token_id", 0)

    def of_type(self, *types):
        """Without the "[PAD123]" that converters fill gaps with: no tokenizer.json has them."""
        return [(i, p) for i, (p, t) in enumerate(zip(self.pieces, self.types)) if t in types and not _PADDING.fullmatch(p)]


def _split(merge):
    space = merge.index(" ", 1)
    return merge[:space], merge[space + 1 :]


CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
AFTER_WORDS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + AFTER_WORDS
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + AFTER_WORDS
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SLASH = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{CONTRACTIONS}?|\p{{N}}{{1,3}}" + _SLASH
)
TEKKEN = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}" + _SLASH
DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
DEEPSEEK_LETTERS = (
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-"
    "ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
CJK = "[一-龥ࠀ-一가-퟿]+"


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def byte_level(use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def sequence(*steps):
    return pre_tokenizers.Sequence(list(steps))


def byte_level_families():
    """name -> (normalizer, pre-tokenizer, ignore_merges)"""
    gpt2, digits = byte_level(True), sequence(pre_tokenizers.Digits(True), byte_level(True))
    nfc = normalizers.NFC
    falcon = sequence(pre_tokenizers.Punctuation("contiguous"), byte_level(True), pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]"))
    deepseek_llm = sequence(
        split("[\r\n]"), split(DEEPSEEK_LETTERS), split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), split("\\s+$"), split(CJK),
        pre_tokenizers.Digits(True), byte_level(),
    )  # fmt: skip
    deepseek_coder = sequence(
        split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split(CJK), pre_tokenizers.Digits(True), byte_level()
    )
    deepseek3 = sequence(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), byte_level())
    return {
        "gpt-2": (None, gpt2, False),
        "mpt": (nfc(), gpt2, False),
        "starcoder": (None, digits, False),
        "refact": (None, digits, False),
        "smollm": (None, digits, False),
        "command-r": (nfc(), digits, False),
        "llama-bpe": (None, sequence(split(LLAMA3), byte_level()), True),
        "qwen2": (nfc(), sequence(split(QWEN2), byte_level()), False),
        "qwen35": (nfc(), sequence(split(QWEN35), byte_level()), False),
        "falcon": (None, falcon, False),
        "deepseek-llm": (None, deepseek_llm, False),
        "deepseek-coder": (None, deepseek_coder, False),
        "deepseek-v3": (None, deepseek3, False),
        "gpt-4o": (None, sequence(split(GPT4O), byte_level()), False),
        "tekken": (None, sequence(split(TEKKEN), byte_level()), True),
        "bloom": (None, sequence(split(BLOOM), byte_level()), False),
    }


def byte_level_bpe(vocab, family):
    normalizer, pre_tokenizer, ignore_merges = byte_level_families()[family]
    model = models.BPE({p: i for i, p in enumerate(vocab.pieces)}, vocab.merges, ignore_merges=ignore_merges)
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    add_special_tokens(tokenizer, vocab)
    return HfReference(tokenizer)


def wordpiece(vocab):
    pieces = {}
    for i, piece in enumerate(vocab.pieces):
        special = vocab.types[i] == CONTROL
        pieces[piece if special else piece[1:] if piece.startswith("▁") else "##" + piece] = i
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    add_special_tokens(tokenizer, vocab)
    return HfReference(tokenizer)


def gemma4(vocab):
    model = models.BPE(
        {p: i for i, p in enumerate(vocab.pieces)}, vocab.merges, unk_token=vocab.pieces[vocab.unk], byte_fallback=True, fuse_unk=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    add_special_tokens(tokenizer, vocab)
    return HfReference(tokenizer)


def add_special_tokens(tokenizer, vocab):
    tokenizer.add_special_tokens([AddedToken(p, special=True, normalized=False) for _, p in vocab.of_type(CONTROL)])
    tokenizer.add_tokens([AddedToken(p, special=False, normalized=False) for _, p in vocab.of_type(USER_DEFINED)])


class HfReference:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, texts, parse_special):
        self.tokenizer.encode_special_tokens = not parse_special
        return [e.ids for e in self.tokenizer.encode_batch(texts, add_special_tokens=False)]


def _varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number, value):
    """One field of a protobuf message: int and bool as varint, float as 32 bits, str and bytes with their length."""
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(int(value))
    data = value.encode("utf-8") if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


class SentencePieceReference:
    """The model itself knows no control tokens in texts: `encode` is for texts without them."""

    UNIGRAM, BPE = 1, 2

    def __init__(self, vocab, model_type):  # field numbers: sentencepiece_model.proto
        model = bytearray()
        for i, (piece, kind) in enumerate(zip(vocab.pieces, vocab.types)):
            if i == vocab.unk:
                kind = UNKNOWN
            elif kind == UNKNOWN:
                kind = CONTROL
            if kind == USER_DEFINED:  # the file spells their spaces plainly
                piece = piece.replace(" ", "▁")
            model += _field(1, _field(1, piece) + _field(2, float(vocab.scores[i])) + _field(3, kind))
        model += _field(
            2,
            _field(3, model_type) + _field(35, BYTE in vocab.types) + _field(40, vocab.unk) + _field(45, vocab.pieces[vocab.unk]),
        )
        model += _field(
            3,
            _field(2, vocab.charsmap)
            + _field(3, bool(vocab.add_space_prefix))
            + _field(4, bool(vocab.remove_extra_whitespaces))
            + _field(5, True),
        )
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=bytes(model))

    def encode(self, texts, parse_special):
        return self.processor.encode(texts)


def reference(vocab):
    if vocab.kind == "llama":
        return SentencePieceReference(vocab, SentencePieceReference.BPE)
    if vocab.kind == "t5":
        return SentencePieceReference(vocab, SentencePieceReference.UNIGRAM)
    if vocab.kind == "bert":
        return wordpiece(vocab)
    if vocab.kind == "gemma4":
        return gemma4(vocab)
    family = vocab.pre or {"gptneox": "mpt"}.get(vocab.architecture)
    return byte_level_bpe(vocab, family) if family in byte_level_families() else None
