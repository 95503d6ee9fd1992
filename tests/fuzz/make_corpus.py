"""Makes the seed files of corpus/gguf and corpus/safetensors (small, committed) with the reference packages gguf, safetensors,
and the zips of corpus/import."""

import json
import struct
import zipfile
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).parent / "corpus"
GGUF, ST = HERE / "gguf", HERE / "safetensors"
for folder in (GGUF, ST):
    folder.mkdir(parents=True, exist_ok=True)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


writer = gguf.GGUFWriter(GGUF / "types.gguf", "llama")
for name, value in {"uint8": 1, "int8": -1, "uint16": 2, "int16": -2, "uint32": 3, "int32": -3, "uint64": 4, "int64": -4,
                    "float32": 0.5, "float64": 0.25, "bool": True, "string": "text"}.items():
    getattr(writer, "add_" + name)("k." + name, value)
writer.add_array("k.strings", ["", "a", "bc"])
writer.add_array("k.ints", [1, 2, 3])
writer.add_array("k.floats", [1.0, 2.0])
writer.add_array("k.nested", [[1, 2], [3]])
close(writer)

writer = gguf.GGUFWriter(GGUF / "tensors.gguf", "llama")
writer.add_tensor("a", np.ones((2, 3), np.float32))
writer.add_tensor("b", np.ones((4,), np.float16))
writer.add_tensor("c", gguf.quants.quantize(np.ones((2, 32), np.float32), gguf.GGMLQuantizationType.Q8_0),
                  raw_dtype=gguf.GGMLQuantizationType.Q8_0)
close(writer)

writer = gguf.GGUFWriter(GGUF / "aligned.gguf", "llama")
writer.add_custom_alignment(64)
writer.add_tensor("a", np.ones((1, 1, 2, 3), np.int8))
close(writer)

# Version 2 differs in the number alone.
data = bytearray((GGUF / "tensors.gguf").read_bytes())
data[4:8] = struct.pack("<I", 2)
(GGUF / "version2.gguf").write_bytes(data)

save_file({"a": np.ones((2, 3), np.float32), "b": np.ones((4,), np.float16), "mask": np.ones((2,), np.bool_)},
          ST / "tensors.safetensors", metadata={"format": "np"})
save_file({"scalar": np.array(1.0), "none": np.ones((0, 3), np.int8)}, ST / "edges.safetensors")
(ST / "index.json").write_text(json.dumps({"metadata": {"total_size": 8}, "weight_map": {
    "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}))

# A house as it is exported, packed and plain.
for name, method in {"house.zip": zipfile.ZIP_DEFLATED, "stored.zip": zipfile.ZIP_STORED}.items():
    with zipfile.ZipFile(HERE / "import" / name, "w", method) as house:
        for entry, text in {"watra.json": '{"watra":1}', "threads.jsonl": (HERE / "import" / "threads.jsonl").read_text().splitlines()[0] + "\n",
                            "attachments.jsonl": '{"hash":"ab","name":"a.txt","mime":"text/plain","bytes":3}\n', "attachments/ab": "abc",
                            "personas.json": '[{"id":"gazda","name":"G","text":"t"}]'}.items():
            info = zipfile.ZipInfo(entry, (2024, 7, 4, 12, 0, 0))
            info.compress_type = method
            house.writestr(info, text)
