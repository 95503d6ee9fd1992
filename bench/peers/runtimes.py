"""The runtimes that are compared, behind one face: measure(test) gives the rate of one run of that test, in a process of its own.

A test is named as `watra bench` names it: pp512, tg128, tg128@d4096 (with so many tokens in the cache), tg128@b8 (the total of so many
sequences, each with its own short beginning). Every tool warms up by itself before it measures.
"""
import json
import re
from dataclasses import dataclass

import peers

# What each sequence holds before batched decoding begins: llama-batched-bench wants a prompt, ours needs none.
SHORT_PROMPT = 16


@dataclass(frozen=True)
class Test:
    name: str
    n_prompt: int
    n_gen: int
    depth: int
    batch: int

    @staticmethod
    def parse(name: str) -> "Test":
        match = re.fullmatch(r"(pp|tg)(\d+)(?:@d(\d+))?(?:@b(\d+))?", name)
        if not match:
            raise ValueError(f"{name} is not a test: ppN, tgN, tgN@dDEPTH or tgN@bSEQUENCES")
        kind, n, depth, batch = match.groups()
        return Test(name, int(n) if kind == "pp" else 0, int(n) if kind == "tg" else 0, int(depth or 0), int(batch or 1))

    def is_batch(self) -> bool:
        return "@b" in self.name


class Watra:
    """Keeps the last report: the peaks measured beside the rate, bytes and multiply-accumulates of a pass."""

    def __init__(self, model: str, threads: int, isa: str):
        self.name = f"watra {isa}".strip()
        self.options = [model, "-r", 1, "--threads", threads, *(["--isa", isa] if isa else [])]
        self.report = {}

    def measure(self, test: Test) -> float:
        self.report = peers.watra("bench", *self.options, "-p", test.n_prompt, "-n", test.n_gen, "-d", test.depth, "-b", test.batch)
        return self.report["tests"][0]["tokens_per_s"]["median"]

    def verify(self, widths: list) -> dict:
        """Median seconds of one pass over so many tokens."""
        self.report = peers.watra("bench", *self.options, "-p", 0, "-n", 0, "--verify", ",".join(map(str, widths)))
        return {v["m"]: v["seconds"]["median"] for v in self.report["verify"]}

    def facts(self) -> dict:
        """What the last report says beside the rates."""
        return {"commit": self.report["commit"], "pass_bytes": self.report["pass_bytes"], "pass_macs": self.report["pass_macs"],
                "prefill_macs": self.report["prefill_macs"], "peak_bytes_per_s": self.peak_bytes_per_s(), "peak_macs_per_s": self.peak_macs_per_s()}

    def peak_macs_per_s(self) -> float:
        """Reports without the multiply-accumulates name them operations."""
        return 1e9 * self.report.get("peak_int8_gmac_s", self.report["peak_int8_gop_s"])

    def peak_bytes_per_s(self) -> float:
        return 1e9 * self.report["peak_read_gb_s"]


class LlamaCpp:
    name, build = "llama.cpp", peers.LLAMA_BUILD

    def __init__(self, path, threads: int):
        self.path, self.threads = path, threads

    def at_depth(self, test: Test) -> list:
        return ["-p", 0, "-n", test.n_gen, "-d", test.depth]

    def measure(self, test: Test) -> float:
        if test.is_batch():
            return self.measure_batch(test)
        what = self.at_depth(test) if test.depth else ["-p", test.n_prompt, "-n", test.n_gen]
        rows = peers.tool(self.build, "llama-bench", "-m", self.path, "-t", self.threads, "-r", 1, "-o", "json", *what).stdout
        return json.loads(rows)[0]["avg_ts"]

    def measure_batch(self, test: Test) -> float:
        n_ctx = (SHORT_PROMPT + test.n_gen) * test.batch
        out = peers.tool(self.build, "llama-batched-bench", "-m", self.path, "-t", self.threads, "-c", max(512, n_ctx), "-npp", SHORT_PROMPT,
                         "-ntg", test.n_gen, "-npl", test.batch)
        row = re.search(rf"\|\s*{SHORT_PROMPT} \|\s*{test.n_gen} \|\s*{test.batch} \|(.*)\|", out.stdout + out.stderr)
        return float(row.group(1).split("|")[4])


class IkLlama(LlamaCpp):
    name, build = "ik_llama.cpp", peers.IK_BUILD

    def at_depth(self, test: Test) -> list:
        return ["-p", 0, "-n", 0, "-gp", f"{test.depth},{test.n_gen}"]
