"""Safetensors against the safetensors package: files of each side must read the same on the other."""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from peer import Compare, arguments, fnv1a, run

args = arguments()
compare = Compare()
NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8"}


def data_of(t):
    return t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def as_dict(tensors):
    return {n: {"dtype": NAMES[t.dtype], "shape": list(t.shape), "fnv1a": fnv1a(data_of(t))} for n, t in tensors.items() if t.dtype in NAMES and t.dim() <= 4}


def check(path, tensors, metadata):
    dump = run(args.bin / "safetensors_dump", path)
    found = {t["name"]: {k: t[k] for k in ("dtype", "shape", "fnv1a")} for t in dump["tensors"]}
    expected = as_dict(tensors)
    compare.same(f"{path}: names", sorted(found), sorted(expected))
    for name in expected:
        compare.same(f"{path}: {name}", found[name], expected[name])
    compare.same(f"{path}: metadata", dump["metadata"], metadata)
    compare.same(f"{path}: foreign", {t["name"]: t["shape"] for t in dump["foreign"]},
                 {n: list(t.shape) for n, t in tensors.items() if n not in expected})


torch.manual_seed(1)
tensors = {}
for i, dtype in enumerate(NAMES):
    for j, shape in enumerate([(3,), (2, 5), (2, 3, 4), (1, 2, 1, 3), (), (0, 4)]):
        tensors[f"t.{i}.{j}"] = (torch.randn(shape) * 50).to(dtype)
tensors["zażółć \"quoted\" \\ 🦊"] = torch.arange(4, dtype=torch.int8)
ours_only = dict(tensors)
tensors["mask"] = torch.ones((3, 3), dtype=torch.bool)
tensors["unsigned"] = torch.ones((3,), dtype=torch.uint8)
tensors["filter"] = torch.ones((1, 2, 1, 2, 1))
tensors["fp8"] = torch.ones((4,)).to(torch.float8_e4m3fn)

with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    metadata = {"format": "pt", "łódź": "\n\t\"x\""}
    save_file(tensors, folder / "theirs.safetensors", metadata)
    check(folder / "theirs.safetensors", tensors, metadata)

    # A sharded folder of theirs.
    sharded = folder / "sharded"
    sharded.mkdir()
    names, weight_map = sorted(tensors), {}
    for i in range(3):
        file = f"model-0000{i + 1}-of-00003.safetensors"
        save_file({n: tensors[n] for n in names[i::3]}, sharded / file, metadata)
        weight_map |= {n: file for n in names[i::3]}
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    check(sharded, tensors, metadata)

    # One file of ours.
    run(args.bin / "checkpoint_rewrite", "safetensors", folder / "theirs.safetensors", folder / "ours.safetensors")
    compare.same("our file", as_dict(load_file(folder / "ours.safetensors")), as_dict(ours_only))
    with safe_open(folder / "ours.safetensors", "pt") as f:
        compare.same("our metadata", f.metadata(), metadata)

    # A sharded folder of ours.
    run(args.bin / "checkpoint_rewrite", "safetensors", sharded, folder / "ours", 500)
    index = json.loads((folder / "ours/model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    compare.same("several shards", len(files) > 2, True)
    found = {}
    for file in files:
        shard = load_file(folder / "ours" / file)
        compare.same(f"{file}: index", sorted(shard), sorted(n for n, f in index["weight_map"].items() if f == file))
        found |= as_dict(shard)
    compare.same("our shards", found, as_dict(ours_only))
    compare.same("total_size", index["metadata"]["total_size"], sum(len(data_of(t)) for t in ours_only.values()))

compare.done(at_least=100)
