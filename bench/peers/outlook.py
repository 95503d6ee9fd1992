"""What is compared where nobody says what: models, kernels and threads of this machine, and how long it will take."""
import shutil
from dataclasses import dataclass

import peers
from runtimes import SHORT_PROMPT, Test

REAL = ["smollm2", "smollm2:Q8_0", *("qwen2.5-coder-1.5b" + kind for kind in ("", ":Q8_0", ":Q6_K", ":Q4_0"))]
QUANTS = ["q4_k_m", "q8_0", "q6_k", "q4_0"]
# Bytes of the files of random weights.
SYNTHETIC = {f"synthetic:{shape}:{quant}": bits / 8 * n_params for shape, n_params in (("llama-1b", 1.24e9), ("llama-8b", 8.03e9))
             for quant, bits in zip(QUANTS, (4.9, 8.5, 6.6, 4.6))}
TESTS = ["pp512", "tg128", "tg128@d4096", "tg128@d8192", *(f"tg32@b{b}" for b in (1, 2, 4, 8, 16)), "verify"]
WIDTHS = [1, 2, 4, 8, 16]

BESIDE_THE_FILE = 3e9  # bytes: caches of 8192 tokens, the system


@dataclass(frozen=True)
class Machine:
    threads: int  # as `watra` chooses them: the physical cores it may use
    kernels: list  # the fastest here and, where that is another, the 256-bit form
    ram_bytes: int
    disk_bytes: int  # free, for files of random weights

    @staticmethod
    def this() -> "Machine":
        peers.PEERS.mkdir(parents=True, exist_ok=True)
        doctor = peers.watra("doctor")
        fastest = doctor["cpu"]["kernels"]
        kernels = [fastest] + ["avxvnni"] * ("avxvnni" in doctor["cpu"]["isa"] and fastest != "avxvnni")
        return Machine(doctor["cpu"]["threads"], kernels, doctor["ram"]["bytes"], shutil.disk_usage(peers.PEERS).free)


def models(machine: Machine, is_written=lambda name: peers.synthetic_path(name).exists()) -> tuple:
    """(names, what is left out and why)."""
    names, left_out, disk = list(REAL), [], machine.disk_bytes
    for name, n_bytes in SYNTHETIC.items():
        needed = 0 if is_written(name) else n_bytes
        if n_bytes + BESIDE_THE_FILE > machine.ram_bytes:
            left_out.append(f"{name}: needs {(n_bytes + BESIDE_THE_FILE) / 1e9:.0f} GB of memory, here are {machine.ram_bytes / 1e9:.0f}")
        elif needed > 0.9 * disk:
            left_out.append(f"{name}: a file of {n_bytes / 1e9:.1f} GB, {disk / 1e9:.1f} GB are free in {peers.PEERS}")
        else:
            names.append(name)
            disk -= needed
    return names, left_out


def file_bytes_and_params(name: str) -> tuple:
    """About."""
    if name in SYNTHETIC:
        return SYNTHETIC[name], 1.24e9 if "llama-1b" in name else 8.03e9
    path = peers.model_path(name.partition("=")[2] or name)
    return path.stat().st_size, peers.watra("show", path)["n_params"]


def test_seconds(test: Test, n_bytes: float, n_params: float, threads: int) -> float:
    """About, of one run of any runtime, with its loading and its warm-up (as long as the run): 12 GB/s and 55 billion multiply-accumulates
    a second and thread, memory that gives no more than 60; what two cores of a Zen 4 do."""
    pass_seconds = n_bytes / min(12e9 * threads, 60e9)
    token_seconds = n_params / (55e9 * threads)
    loading = 2 + n_bytes / 1e9
    deep = 1 + test.depth / 8192  # attention takes its share
    begin = (test.depth * deep + SHORT_PROMPT * test.batch * test.is_batch()) * token_seconds
    step = max(pass_seconds * deep, test.batch * token_seconds)
    return loading + begin + 2 * (test.n_prompt * token_seconds + test.n_gen * step)


def verify_seconds(n_bytes: float, n_params: float, threads: int) -> float:
    """About: ten times every width."""
    of_widths = sum(test_seconds(Test("", 0, 1, 0, m), n_bytes, n_params, threads) - 2 - n_bytes / 1e9 for m in WIDTHS) / 2
    return 2 + n_bytes / 1e9 + 10 * of_widths


def rounds_of(test: Test, n_rounds: int) -> int:
    """A deep cache takes minutes to fill: fewer rounds, but enough for a verdict."""
    return min(n_rounds, 3) if test.depth else n_rounds


def duration(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} minutes" if seconds < 5400 else f"{seconds / 3600:.0f} hours"
