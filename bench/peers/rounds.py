"""Rounds of a comparison, kept as they are measured: everything takes hours, and what was measured must outlive a stop.

A round is one test run by every runtime, one after the other. It is the unit that is kept: ratios hold within a round, not between.
"""
import json
import math
import re
import statistics
import sys

import peers
from runtimes import Test

KEPT = peers.PEERS / "speed"


class Rounds:
    """The rounds of one test ("pp512", "verify") of one model, by runtime."""

    def __init__(self, *name):
        self.path = KEPT / (re.sub(r"[^\w.@+-]", "_", "-".join(map(str, name))) + ".jsonl")
        self.rounds = []

    def load(self, runtimes: list):
        """Those in which all of these were run."""
        if self.path.exists():
            kept = map(json.loads, self.path.read_text().splitlines())
            self.rounds = [r for r in kept if all(name in r for name in runtimes)]

    def forget(self):
        self.path.unlink(missing_ok=True)

    def add(self, of_runtime: dict):
        self.rounds.append(of_runtime)
        KEPT.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as f:
            f.write(json.dumps(of_runtime) + "\n")

    def of(self, runtime: str, key: str) -> list:
        return [r[runtime][key] for r in self.rounds]

    def rate(self, runtime: str) -> float:
        return statistics.median(self.of(runtime, "rate"))

    def ratio(self, ours: str, theirs: str) -> float:
        """Of neighbours: the machine may change its speed from round to round."""
        return statistics.median(a / b for a, b in zip(self.of(ours, "rate"), self.of(theirs, "rate")))

    def share(self, ours: str, test: Test) -> float:
        """Of the peak. Prefill rounds kept without prefill_macs counted the output matrix for every token: of those nothing is known (NaN)."""
        known = [r[ours]["share"] for r in self.rounds if not test.n_prompt or "prefill_macs" in r[ours]]
        return statistics.median(known) if known else math.nan

    def text(self, runtime: str) -> str:
        return f"{self.rate(runtime):.1f} ({statistics.median(self.of(runtime, 'pressure')):.0f} %)"


def share_of_peak(report: dict, test: Test, rate: float) -> float:
    """Decoding: of the read bandwidth. Prefill: of the 8-bit multiply-accumulates; the output matrix is for the last token only."""
    if test.n_prompt:
        output = report["pass_macs"] - report["prefill_macs"]
        return rate * (report["prefill_macs"] + output / test.n_prompt) / report["peak_macs_per_s"]
    return rate / test.batch * report["pass_bytes"] / report["peak_bytes_per_s"]


def speed_round(test: Test, ours: list, rivals: list) -> dict:
    done = {}
    for r in ours + rivals:
        pressure = peers.Pressure()
        of = {"rate": r.measure(test)}
        of["pressure"] = pressure.percent()
        if r in ours:
            of |= r.facts()
            of["share"] = share_of_peak(of, test, of["rate"])
        print(f"  {test.name} {r.name}: {of['rate']:.1f} t/s, CPU pressure {of['pressure']:.0f} %", file=sys.stderr)
        done[r.name] = of
    return done


def verify_round(ours: list, widths: list) -> dict:
    done = {}
    for r in ours:
        pressure = peers.Pressure()
        seconds = r.verify(widths)
        done[r.name] = {"seconds": {str(m): s for m, s in seconds.items()}, "pressure": pressure.percent(), **r.facts()}
        print(f"  verify {r.name}: {', '.join(f'{1e3 * s:.1f}' for s in seconds.values())} ms", file=sys.stderr)
    return done
