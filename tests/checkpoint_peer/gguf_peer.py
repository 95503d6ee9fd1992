"""GGUF against gguf-py: its files, llama.cpp's vocabularies and our rewritings of them must read the same on both sides."""

import struct
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q, GGUFValueType as T

from peer import Compare, arguments, fnv1a, run

args = arguments()
compare = Compare()
NAMES = {T.UINT8: "u8", T.INT8: "i8", T.UINT16: "u16", T.INT16: "i16", T.UINT32: "u32", T.INT32: "i32", T.UINT64: "u64",
         T.INT64: "i64", T.FLOAT32: "f32", T.FLOAT64: "f64", T.BOOL: "bool", T.STRING: "string", T.ARRAY: "array"}


def double_bits(v):
    return struct.pack(">d", float(v)).hex()


def their_scalar(kind, raw):
    if kind == T.STRING:
        return bytes(raw).hex()
    value = raw.tolist()[0]
    if kind in (T.FLOAT32, T.FLOAT64):
        return double_bits(value)
    return bool(value) if kind == T.BOOL else value


def their_field(field):
    kind = field.types[0]
    if kind != T.ARRAY:
        return {"type": NAMES[kind], "value": their_scalar(kind, field.parts[-1])}
    # The declared element type is a part of its own; for an empty array it is all there is.
    inner = T(int(field.parts[3].tolist()[0]))
    return {"type": "array", "of": NAMES[inner], "value": [their_scalar(inner, field.parts[i]) for i in field.data]}


def flatten(value):
    """gguf-py flattens nested arrays; so do we, for the comparison."""
    if value.get("of") != "array":
        return value
    flat, kind = [], None
    for v in value["value"]:
        v = flatten(v)
        flat += v["value"]
        kind = v["of"]
    return {"type": "array", "of": kind, "value": flat}


def check_file(dump, path):
    """One file (not a split model) as both see it."""
    reader = gguf.GGUFReader(path)
    theirs = {k: f for k, f in reader.fields.items() if not k.startswith("GGUF.")}
    ours = dict(dump["metadata"])
    compare.same(f"{path.name}: version", dump["version"], int(reader.fields["GGUF.version"].parts[0][0]))
    compare.same(f"{path.name}: keys", list(ours), list(theirs))
    for key, field in theirs.items():
        value, expected = ours[key], their_field(field)
        if value.get("of") == "array":
            value = flatten(value)
            expected["of"] = value["of"]
        compare.same(f"{path.name}: {key}", value, expected)
    check_tensors(dump["tensors"], reader, path.name, offsets=True)


def check_tensors(ours, reader, where, offsets):
    compare.same(f"{where}: tensors", [t["name"] for t in ours], [t.name for t in reader.tensors])
    for mine, t in zip(ours, reader.tensors):
        data = t.data.tobytes()
        found = {"dtype": t.tensor_type.name, "shape": [int(d) for d in reversed(t.shape)], "bytes": t.n_bytes, "fnv1a": fnv1a(data)}
        compare.same(f"{where}: {t.name}", {k: mine[k] for k in found}, found)
        if offsets:
            compare.same(f"{where}: {t.name} offset", mine["offset"], int(t.data_offset))


def write(path, tensors, extra=None, **options):
    w = gguf.GGUFWriter(path, "llama", **options)
    w.add_uint8("k.u8", 255)
    w.add_int8("k.i8", -128)
    w.add_uint16("k.u16", 65535)
    w.add_int16("k.i16", -32768)
    w.add_uint32("k.u32", 2**32 - 1)
    w.add_int32("k.i32", -(2**31))
    w.add_uint64("k.u64", 2**64 - 1)
    w.add_int64("k.i64", -(2**63))
    w.add_float32("k.f32", 0.1)
    w.add_float64("k.f64", 0.1)
    w.add_float64("k.inf", float("-inf"))
    w.add_float64("k.nan", float("nan"))
    w.add_bool("k.true", True)
    w.add_bool("k.false", False)
    w.add_string("k.string", "zażółć gęślą jaźń 🦊\n\"quoted\"")
    w.add_array("k.strings", ["", "a", "ą" * 1000, "\x00"])
    w.add_array("k.ints", [-1, 0, 2**31 - 1])
    w.add_array("k.floats", [0.1, -1e30])
    w.add_array("k.bools", [True, False, True])
    w.add_array("k.bytes", bytes(range(256)))
    w.add_array("k.nested", [[1, 2, 3], [4], [5, 6]])
    for kind in (T.UINT8, T.INT8, T.UINT16, T.INT16, T.UINT32, T.UINT64, T.INT64, T.FLOAT64):
        w.add_key_value("k.array." + NAMES[kind], [0, 1, 100], T.ARRAY, sub_type=kind)
    for call, *rest in extra or []:
        getattr(w, call)(*rest)
    for name, array, dtype in tensors:
        w.add_tensor(name, array, raw_dtype=dtype)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def all_tensors():
    rng = np.random.default_rng(1)
    out = [("plain.f32", rng.standard_normal((3, 5), np.float32), None), ("plain.f16", rng.standard_normal((2, 3, 4)).astype(np.float16), None),
           ("plain.f64", rng.standard_normal((7,)), None), ("plain.i8", rng.integers(-128, 127, (2, 2, 3, 5), np.int8), None),
           ("plain.i16", rng.integers(-999, 999, (33,), np.int16), None), ("plain.i32", rng.integers(-999, 999, (1,), np.int32), None),
           ("plain.i64", rng.integers(-999, 999, (4, 1), np.int64), None)]
    for kind, (block, size) in gguf.GGML_QUANT_SIZES.items():
        if block == 1 and kind != Q.BF16:
            continue
        if kind.name not in OURS:
            continue
        out.append(("quant." + kind.name, rng.integers(0, 255, (3, 2 * size), np.uint8), kind))
    return out


# What Watra knows of GGUF's types (src/tensor/dtype.h); gguf-py may know more. Not Q8_1: it never lies in files, and gguf-py gives
# it 40 bytes a block where ggml has 36.
OURS = {"BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS",
        "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "IQ1_M", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"}

with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    tensors = all_tensors()

    # 1. Their file, read by us; our rewriting of it, read by them.
    for alignment in (32, 64):
        theirs = folder / f"theirs{alignment}.gguf"
        write(theirs, tensors, [("add_custom_alignment", alignment)] if alignment != 32 else None)
        dump = run(args.bin / "gguf_dump", theirs)
        check_file(dump, theirs)
        ours = folder / f"ours{alignment}.gguf"
        run(args.bin / "checkpoint_rewrite", "gguf", theirs, ours, 0, alignment)
        check_file(run(args.bin / "gguf_dump", ours), ours)
        compare.same("rewritten metadata", run(args.bin / "gguf_dump", ours)["metadata"], dump["metadata"])
        if alignment == 32:  # with no key to move, not a byte may differ
            compare.same("rewritten bytes", ours.read_bytes() == theirs.read_bytes(), True)

    # 2. Splits of theirs, read by us from any part; splits of ours, read by them one by one.
    write(folder / "split.gguf", tensors, split_max_tensors=7, small_first_shard=True)
    parts = sorted(folder.glob("split-*.gguf"))
    compare.same("several parts", len(parts) > 3, True)
    readers = [gguf.GGUFReader(p) for p in parts]
    for part in parts:
        dump = run(args.bin / "gguf_dump", part)
        compare.same("parts", dump["files"], [p.name for p in parts])
        for i, reader in enumerate(readers):
            check_tensors([t for t in dump["tensors"] if t["file"] == i], reader, f"split {i}", offsets=True)
        whole = {k: flatten(v) for k, v in run(args.bin / "gguf_dump", folder / "theirs32.gguf")["metadata"]}
        found = {k: flatten(v) for k, v in dump["metadata"] if not k.startswith("split.")}
        compare.same("metadata of a split", found, whole)
    mine = [Path(p) for p in run(args.bin / "checkpoint_rewrite", "gguf", parts[0], folder / "resplit.gguf", 8000, 64)]
    compare.same("several parts of ours", len(mine) > 2, True)
    seen = []
    for i, path in enumerate(mine):
        reader = gguf.GGUFReader(path)
        compare.same("split.no", int(reader.fields["split.no"].contents()), i)
        compare.same("split.count", int(reader.fields["split.count"].contents()), len(mine))
        compare.same("split.tensors.count", int(reader.fields["split.tensors.count"].contents()), len(tensors))
        seen += [(t.name, fnv1a(t.data.tobytes())) for t in reader.tensors]
    compare.same("tensors of our split", seen, [(n, fnv1a(a.tobytes())) for n, a, _ in tensors])

    # 3. Files people have: llama.cpp's vocabularies (no tensors, often nothing after the last key).
    vocabularies = sorted(args.peers.glob("llama_cpp_python-*/vendor/llama.cpp/models/ggml-vocab-*.gguf"))
    if len(vocabularies) < 15:
        sys.exit(f"needed llama.cpp's vocabularies under {args.peers}, found {len(vocabularies)}")
    for path in vocabularies:
        dump = run(args.bin / "gguf_dump", path)
        if path.stat().st_size < 730_000:  # gguf-py takes seconds for each of the larger ones
            check_file(dump, path)
        compare.same(f"{path.name}: tensors", dump["tensors"], [])

compare.done(at_least=900)
