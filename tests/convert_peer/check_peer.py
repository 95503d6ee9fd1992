"""Converts every golden folder with Watra and with llama.cpp's converter (vendored in the llama-cpp-python source package) and
compares: every metadata key and value, every tensor's name, type, shape and bytes. What may differ is listed in EXPECTED with the
reason; anything else fails.

    check_peer.py CONVERT_FOLDER --golden tests/golden --peers build/peers
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# key -> why it may be there, missing or different
ANYWHERE = {
    "general.name": "theirs is guessed from the folder's name by other rules",
    "general.basename": "guessed by them, not written by us",
    "general.finetune": "guessed by them, not written by us",
    "general.size_label": "theirs may come from the folder's name",
    "tokenizer.ggml.add_sep_token": "says nothing for decoders",
    "tokenizer.ggml.unknown_token_id": "we also look it up where tokenizer.json is missing",
}
EXPECTED = {
    "gemma3-vision": {"tokenizer.ggml.eos_token_id": "they drop a list of ids, we write its first"},
    "mistral": {"tokenizer.ggml.scores": "they write a placeholder for tokenizer.json, we the merges' order"},
    "mistral-window": {"llama.attention.sliding_window": "they leave the window out"},
}
# Gemma's w + 1: they add in the dtype of the file, we in F32 as the reference implementation does.
NORMS_ROUNDED_TO_F16 = {"gemma2-46-layers"}
# Their recognition hashes a tokenization and knows published tokenizers alone.
PRE_TOKENIZER = {"llama3": "llama-bpe", "qwen2": "qwen2", "qwen2-yarn": "qwen2", "qwen3": "qwen2", "phi4-mini": "gpt-4o"}


def convert_with_peer(llama_cpp: Path, folder: Path, out: Path, outtype: str) -> None:
    sys.path.insert(0, str(llama_cpp))
    import gguf
    import torch
    from conversion import get_model_architecture, get_model_class
    from conversion.base import ModelBase, ModelType, TextModel

    TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE_TOKENIZER[folder.name]
    file_type = {"f32": gguf.LlamaFileType.ALL_F32, "bf16": gguf.LlamaFileType.MOSTLY_BF16, "f16": gguf.LlamaFileType.MOSTLY_F16,
                 "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[outtype]
    hparams = ModelBase.load_hparams(folder, False)
    with torch.inference_mode():
        get_model_class(get_model_architecture(hparams, ModelType.TEXT))(folder, file_type, out).write()


def compare(name: str, outtype: str, ours_path: Path, theirs_path: Path) -> list[str]:
    from gguf import GGUFReader, GGMLQuantizationType
    from gguf.quants import dequantize

    ours, theirs = GGUFReader(ours_path), GGUFReader(theirs_path)
    allowed = ANYWHERE | EXPECTED.get(name, {})
    wrong = []
    for key in sorted(set(ours.fields) | set(theirs.fields)):
        if key.startswith("GGUF.") or key in allowed:
            continue
        a, b = ours.fields.get(key), theirs.fields.get(key)
        if a is None or b is None:
            wrong.append(f"{key}: only in {'theirs' if a is None else 'ours'}")
        elif a.types != b.types or a.contents() != b.contents():
            wrong.append(f"{key}: ours {a.types} {str(a.contents())[:80]}, theirs {b.types} {str(b.contents())[:80]}")

    mine, other = ({t.name: t for t in r.tensors} for r in (ours, theirs))
    wrong += [f"tensor {n}: only in {'ours' if n in mine else 'theirs'}" for n in set(mine) ^ set(other)]
    for n in sorted(set(mine) & set(other)):
        a, b = mine[n], other[n]
        if a.tensor_type != b.tensor_type or list(a.shape) != list(b.shape):
            wrong.append(f"tensor {n}: ours {a.tensor_type.name} {list(a.shape)}, theirs {b.tensor_type.name} {list(b.shape)}")
        elif a.tensor_type == GGMLQuantizationType.Q8_0:  # our rounding of scales may be better: within one step of each other
            x, y = dequantize(a.data, a.tensor_type), dequantize(b.data, b.tensor_type)
            step = np.abs(y).reshape(-1, 32).max(axis=1, keepdims=True) / 127
            if (np.abs(x - y).reshape(-1, 32) > 1.01 * step).any():
                wrong.append(f"tensor {n}: values differ by more than a step")
        elif n == "rope_freqs.weight":  # computed, not copied
            if not np.allclose(a.data, b.data, rtol=1e-6, atol=0):
                wrong.append(f"tensor {n}: ours {a.data}, theirs {b.data}")
        elif name in NORMS_ROUNDED_TO_F16 and n.endswith("norm.weight"):
            if not np.allclose(a.data, b.data, rtol=2**-11, atol=0):
                wrong.append(f"tensor {n}: differs by more than the rounding to F16")
        elif a.data.tobytes() != b.data.tobytes():
            wrong.append(f"tensor {n}: bytes differ")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("convert_folder")
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True)
    args = parser.parse_args()
    found = sorted(args.peers.glob("llama_cpp_python-*/vendor/llama.cpp"))
    if not found:
        print(f"no llama_cpp_python-*/vendor/llama.cpp under {args.peers}: unpack the llama-cpp-python source package there")
        return 1

    failures = 0
    folders = sorted({line.split()[1] for line in (args.golden / "models.txt").read_text().splitlines() if line and line[0] != "#"})
    sys.path.insert(0, str(found[-1] / "gguf-py"))
    with tempfile.TemporaryDirectory() as temp:
        for name in folders:
            for outtype in ("f32", "bf16") if name.startswith("gemma") else ("f32", "q8_0"):
                ours, theirs = Path(temp) / "ours.gguf", Path(temp) / "theirs.gguf"
                subprocess.run([args.convert_folder, args.golden / name, ours, outtype], check=True)
                convert_with_peer(found[-1], args.golden / name, theirs, outtype)
                wrong = compare(name, outtype, ours, theirs)
                failures += bool(wrong)
                print(f"{name} {outtype}: {'same' if not wrong else ''}")
                for line in wrong:
                    print(f"    {line}")
    print(f"{len(folders)} folders, {failures} conversions differ")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
