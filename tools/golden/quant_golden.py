"""Writes tests/golden/quant/TYPE.bin: blocks of every type and what the `gguf` package's reference makes of them.

A file is n blocks as they lie in a GGUF file, then n * elements float32; n follows from the size. The blocks are random, with the
f16 scales set in turn to ordinary, subnormal, negative, zero, large, infinite values and left random.

  python tools/golden/quant_golden.py [FOLDER]
"""

import sys
from pathlib import Path

import gguf
import numpy as np

DEFAULT = Path(__file__).resolve().parents[2] / "tests/golden/quant"

# Offsets of the f16 fields in a block (IQ1_M scatters its own, MXFP4 and NVFP4 have none).
F16_FIELDS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
    "Q5_K": [0, 2], "Q6_K": [208], "IQ1_S": [0], "IQ1_M": [], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0],
    "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [], "NVFP4": [],
}
SCALES = [0.0123, 3e-6, -0.37, 0.0, 60000.0, np.inf, None]


def make_blocks(name: str, rng: np.random.Generator) -> np.ndarray:
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    n = 1024 // elements if elements < 256 else len(SCALES)
    blocks = rng.integers(0, 256, size=(n, size), dtype=np.uint8)
    for i, block in enumerate(blocks):
        scale = SCALES[i % len(SCALES)]
        for k, offset in enumerate(F16_FIELDS[name] if scale is not None else []):
            block[offset:offset + 2] = np.array([np.float16(scale * (1 + k))]).view(np.uint8)
    return blocks


def plain_blocks(name: str) -> np.ndarray:
    """Every 97th of the 16-bit patterns, or some float32."""
    if name == "F32":
        return np.array([0, -0.0, 1, -2.5, 1e-45, 3.4e38, np.inf, -np.inf], dtype=np.float32).view(np.uint8).reshape(1, -1)
    return np.arange(0, 65536, 97, dtype=np.uint16).view(np.uint8).reshape(1, -1)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    for name in ["F32", "F16", "BF16", *F16_FIELDS]:
        with np.errstate(all="ignore"):
            blocks = make_blocks(name, rng) if name in F16_FIELDS else plain_blocks(name)
            values = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name]).astype(np.float32)
        (folder / f"{name.lower()}.bin").write_bytes(blocks.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
