#!/usr/bin/env python3
"""Writes src/text/internal/char_class_table.inc: what the reference tokenizers think of every code point.

Split patterns, digit splitters and the BERT normalizer of Hugging Face `tokenizers` each bring a Unicode version of their own;
ids are only identical when ours agree with them character by character. So the table is read out of the library itself.

usage: make_char_classes.py > src/text/internal/char_class_table.inc      (needs: pip install tokenizers)
"""

import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
SPACE, NFC_UNSAFE, BERT_DROP, BERT_PUNCT, BERT_ACCENT, DIGIT = (1 << b for b in range(5, 11))
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def removed_by(pre_tokenizer, alphabet):
    """Code points that a 'removed' splitter takes away."""
    out = set()
    for i in range(0, len(alphabet), 4096):
        part = alphabet[i : i + 4096]
        kept = {ord(ch) for piece, _ in pre_tokenizer.pre_tokenize_str("".join(map(chr, part))) for ch in piece}
        out |= set(part) - kept
    return out


def matching(pattern):
    return removed_by(pre_tokenizers.Split(Regex(pattern), "removed"), ALL)


value = dict.fromkeys(ALL, 0)
for number, name in enumerate(CATEGORIES):
    if number:
        for c in matching(r"\p{%s}" % name):
            value[c] = number
for c in matching(r"\s"):
    value[c] |= SPACE

nfc = normalizers.NFC()
second = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # Hangul vowels and finals compose by rule
for c in ALL:
    decomposed = unicodedata.decomposition(chr(c))
    if decomposed and "<" not in decomposed:
        second |= {int(x, 16) for x in decomposed.split()[1:]}
for c in ALL:
    if c in second or unicodedata.combining(chr(c)) or unicodedata.normalize("NFC", chr(c)) != chr(c) or nfc.normalize_str(chr(c)) != chr(c):
        value[c] |= NFC_UNSAFE

clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
strip = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
for c in ALL:
    if clean.normalize_str("a" + chr(c) + "a") == "aa":
        value[c] |= BERT_DROP
    if strip.normalize_str("a" + chr(c) + "a") == "aa":
        value[c] |= BERT_ACCENT
for c in removed_by(pre_tokenizers.Punctuation("removed"), ALL):
    value[c] |= BERT_PUNCT

for i in range(0, len(ALL), 4096):  # the digit splitter may know a newer Unicode than the patterns' \p{N}
    text = "".join(map(chr, ALL[i : i + 4096]))
    for piece, (begin, end) in pre_tokenizers.Digits(True).pre_tokenize_str("a" + "a".join(text) + "a"):
        if len(piece) == 1 and piece != "a":
            value[ord(piece)] |= DIGIT

runs, last = [], None
for c in range(0x110000):
    v = value.get(c, 0)
    if v != last:
        runs.append(c << 11 | v)
        last = v
print(f"// Written by tools/unicode/make_char_classes.py from tokenizers {tokenizers.__version__}. Each entry starts a run: code point << 11 | class bits.")
for i in range(0, len(runs), 12):
    print(" ".join(f"{r}u," for r in runs[i : i + 12]))
print(f"{len(runs)} runs", file=sys.stderr)
