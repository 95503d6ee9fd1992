"""Holds tensor/ to the reference of the `gguf` package: dequantization bit for bit, quantization by its error.

  check_peer.py TENSOR_PEER

Dequantization: random bytes are valid blocks of every type, so every bit pattern of the scales comes up (subnormal, zero,
infinite, NaN). Values must have the same bits; a NaN must be a NaN.
Quantization: the root mean square error on several kinds of weights must not be above the reference's, for the types that the
reference can quantize; every type must stay within the error that its step allows.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np

DEQUANTIZE = """F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S
                IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4""".split()
REFERENCE_QUANTIZES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0".split()

# Relative RMSE on a gaussian that a type must reach: what its levels allow on 32 (or 256) weights, with a tenth to spare.
# Reference figures: optimal uniform quantizers of n bits leave 0.34 (2), 0.19 (3), 0.107 (4), 0.059 (5), 0.031 (6) of sigma;
# scales per block do a little better.
RELATIVE_RMSE = {
    "F16": 4e-4, "BF16": 3e-3, "Q4_0": 0.09, "Q4_1": 0.08, "Q5_0": 0.045, "Q5_1": 0.04, "Q8_0": 0.006, "Q8_1": 0.006,
    "Q2_K": 0.30, "Q3_K": 0.17, "Q4_K": 0.08, "Q5_K": 0.04, "Q6_K": 0.021, "Q8_K": 0.008, "IQ4_NL": 0.08, "IQ4_XS": 0.083,
}


class Peer:
    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder

    def call(self, what: str, name: str, data: np.ndarray, importance: np.ndarray | None = None) -> bytes:
        source, target = self.folder / "in", self.folder / "out"
        source.write_bytes(data.tobytes())
        command = [self.program, what, name, str(source), str(target)]
        if importance is not None:
            weights = self.folder / "importance"
            weights.write_bytes(importance.astype(np.float32).tobytes())
            command.append(str(weights))
        subprocess.run(command, check=True)
        return target.read_bytes()

    def dequantize(self, name: str, blocks: np.ndarray) -> np.ndarray:
        return np.frombuffer(self.call("dequantize", name, blocks), dtype=np.float32)

    def round_trip(self, name: str, x: np.ndarray, importance: np.ndarray | None = None) -> np.ndarray:
        blocks = np.frombuffer(self.call("quantize", name, x, importance), dtype=np.uint8)
        return self.dequantize(name, blocks).reshape(x.shape)


def same_bits(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))


def check_dequantize(peer: Peer, rng: np.random.Generator) -> list[str]:
    failures = []
    for name in DEQUANTIZE:
        qtype = gguf.GGMLQuantizationType[name]
        _, block_bytes = gguf.GGML_QUANT_SIZES[qtype]
        blocks = rng.integers(0, 256, size=(8192, block_bytes), dtype=np.uint8)
        if block_bytes <= 4:  # every 16-bit pattern
            blocks = np.concatenate([blocks.reshape(-1), np.arange(65536, dtype=np.uint16).view(np.uint8)])
        with np.errstate(all="ignore"):
            theirs = gguf.dequantize(blocks.reshape(1, -1), qtype).reshape(-1)
        ours = peer.dequantize(name, blocks)
        if ours.shape != theirs.shape:
            failures.append(f"{name}: {ours.size} values, the reference has {theirs.size}")
            continue
        wrong = np.flatnonzero(~same_bits(ours, theirs))
        print(f"dequantize {name:8} {ours.size} values, {wrong.size} differ")
        if wrong.size:
            k = wrong[0]
            failures.append(f"{name}: {wrong.size} of {ours.size} values differ, first at {k}: {ours[k]!r}, reference {theirs[k]!r}")
    return failures


def kinds_of_weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = (64, 1024)
    outliers = rng.standard_normal(shape) * np.where(rng.random(shape) < 0.01, 12, 1)
    return {
        "gaussian": rng.standard_normal(shape) * 0.02,
        "laplacian": rng.laplace(size=shape) * 0.02,
        "uniform": rng.uniform(-1, 1, size=shape),
        "shifted": rng.standard_normal(shape) * 0.1 + 1.0,
        "outliers": outliers * 0.02,
        "tiny": rng.standard_normal(shape) * 1e-5,
        "large": rng.standard_normal(shape) * 1e4,
        "rows of one value": np.repeat(rng.standard_normal((64, 32)), 32, axis=1),
    }


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def check_quantize(peer: Peer, rng: np.random.Generator) -> list[str]:
    failures = []
    for kind, weights in kinds_of_weights(rng).items():
        x = weights.astype(np.float32)
        for name, bound in RELATIVE_RMSE.items():
            ours = rmse(x, peer.round_trip(name, x))
            line = f"quantize   {name:8} {kind:18} rmse {ours:.4e}"
            if name in REFERENCE_QUANTIZES:
                qtype = gguf.GGMLQuantizationType[name]
                theirs = rmse(x, gguf.dequantize(gguf.quantize(x, qtype), qtype))
                line += f", reference {theirs:.4e}"
                if ours > theirs * (1 + 1e-6):
                    failures.append(f"{name} on {kind}: rmse {ours:.6e} above the reference's {theirs:.6e}")
            if kind == "gaussian":
                relative = ours / float(np.sqrt(np.mean(x.astype(np.float64) ** 2)))
                line += f", relative {relative:.4f} <= {bound}"
                if relative > bound:
                    failures.append(f"{name}: relative rmse {relative:.4f} on a gaussian, at most {bound} expected")
            print(line)
    return failures


def check_importance(peer: Peer, rng: np.random.Generator) -> list[str]:
    """The weighted error must shrink when the weights are known."""
    failures = []
    x = (rng.standard_normal((64, 1024)) * 0.02).astype(np.float32)
    importance = rng.exponential(size=1024).astype(np.float32) ** 2
    for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]:
        plain = rmse(x * np.sqrt(importance), peer.round_trip(name, x) * np.sqrt(importance))
        weighted = rmse(x * np.sqrt(importance), peer.round_trip(name, x, importance) * np.sqrt(importance))
        print(f"importance {name:8} weighted rmse {plain:.4e} -> {weighted:.4e}")
        if weighted > plain * 0.97:
            failures.append(f"{name}: importance takes the weighted rmse from {plain:.4e} to {weighted:.4e} only")
    return failures


def main() -> int:
    rng = np.random.default_rng(20240607)
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(sys.argv[1], Path(folder))
        failures = check_dequantize(peer, rng) + check_quantize(peer, rng) + check_importance(peer, rng)
    for failure in failures:
        print("FAILED", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
