#!/usr/bin/env python3
"""Compares encode_texts with the reference tokenizers on generated texts, and with llama.cpp's files of expected ids.

usage: check_peer.py ENCODE_TEXTS --peers DIR [--texts N] [--seed N] [--only NAME] [FILE.gguf ...]
"""

import argparse
import pathlib
import struct
import subprocess
import sys
import time
import unicodedata

import nasty_texts
import vocabularies

# Expected ids of llama.cpp that are not the model's own: its qwen35 does not normalize, the model's tokenizer does (NFC).
KNOWN_DIFFERENCES = {"qwen35": lambda text: unicodedata.normalize("NFC", text) != text}

# User-defined in the file, control tokens to us and to llama.cpp: no text of a person's may begin a fill-in or end an answer.
MADE_CONTROL = ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "<|tool_response>")


def ours(program, vocab_path, requests):
    """requests: (text or bytes, add_special, parse_special) -> [(ids, decoded bytes)]"""
    blob = bytearray()
    for text, add_special, parse_special in requests:
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        blob += struct.pack("<BI", add_special | parse_special << 1, len(data)) + data
    result = subprocess.run([program, str(vocab_path)], input=bytes(blob), capture_output=True, timeout=1200)
    if result.returncode != 0:
        raise SystemExit(f"{vocab_path.name}: {result.stderr.decode(errors='replace')}")
    out, at, data = [], 0, result.stdout
    for _ in requests:
        (n,) = struct.unpack_from("<I", data, at)
        ids = list(struct.unpack_from(f"<{n}i", data, at + 4))
        at += 4 + 4 * n
        (n,) = struct.unpack_from("<I", data, at)
        out.append((ids, data[at + 4 : at + 4 + n]))
        at += 4 + n
    return out


def difference(name, what, text, got, wanted):
    at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
    print(f"{name}: {what}: {ascii(text)[:200]}\n  at {at}: ours {got[at:at+8]}, reference {wanted[at:at+8]}")


def check_expected(program, path, name):
    texts = pathlib.Path(f"{path}.inp").read_bytes().decode("utf-8").split("\n__ggml_vocab_test__\n")
    wanted = [[int(x) for x in line.split()] for line in pathlib.Path(f"{path}.out").read_text().split("\n")]
    got = ours(program, path, [(t, False, False) for t in texts])
    bad = known = 0
    for text, (ids, _), expected in zip(texts, got, wanted):
        if ids == expected:
            continue
        if name in KNOWN_DIFFERENCES and KNOWN_DIFFERENCES[name](text):
            known += 1
            continue
        bad += 1
        difference(name, "expected ids of llama.cpp", text, ids, expected)
    return len(texts), bad, known


def check_reference(program, path, name, n_texts, seed):
    vocab = vocabularies.Vocab(path)
    reference = vocabularies.reference(vocab)
    if reference is None:
        return None
    sentencepiece = isinstance(reference, vocabularies.SentencePieceReference)
    special = [p for _, p in vocab.of_type(vocabularies.CONTROL, vocabularies.USER_DEFINED)][:60]
    texts = nasty_texts.texts(n_texts, seed, () if sentencepiece else special)
    n = bad = 0
    for parse_special in (True, False):
        wanted = reference.encode(texts, parse_special)
        got = ours(program, path, [(t, False, parse_special) for t in texts])
        for text, (ids, _), expected in zip(texts, got, wanted):
            if not parse_special and any(piece in text for piece in MADE_CONTROL):
                continue
            n += 1
            if ids != expected:
                bad += 1
                if bad <= 5:
                    difference(name, f"reference, parse_special={parse_special}", text, ids, expected)
        if sentencepiece:
            break
    return n, bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    folders = sorted(arguments.peers.glob("llama_cpp_python-*/vendor/llama.cpp/models"))
    paths = arguments.files or (sorted(folders[-1].glob("ggml-vocab-*.gguf")) if folders else [])
    if not paths:
        print(f"no vocabularies below {arguments.peers}: fetch the source package of llama-cpp-python first")
        return 77
    failed = 0
    for path in paths:
        name = path.stem.removeprefix("ggml-vocab-")
        if arguments.only and arguments.only != name:
            continue
        start = time.time()
        report = []
        if pathlib.Path(f"{path}.inp").exists():
            n, bad, known = check_expected(arguments.program, path, name)
            failed += bad
            report.append(f"{n - bad - known}/{n} expected" + (f" ({known} known differences)" if known else ""))
        if result := check_reference(arguments.program, path, name, arguments.texts, arguments.seed):
            failed += result[1]
            report.append(f"{result[0] - result[1]}/{result[0]} as the reference")
        print(f"{name:16} {', '.join(report) or 'no reference for this kind'}   {time.time() - start:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
