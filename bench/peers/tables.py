"""The tables of a comparison, of as many rounds as there are."""
import math
import shlex
import statistics
import time

import bars
import peers
from rounds import Rounds

# With fewer rounds than this a verdict says how many it rests on.
ENOUGH_ROUNDS = 3


def said_of(n_rounds: int, verdict: str) -> str:
    return f"{verdict} (only {n_rounds} round{'s' * (n_rounds > 1)})" if verdict and n_rounds < ENOUGH_ROUNDS else verdict


def speed_rows(label: str, done: dict, ours: list, rivals: list) -> list:
    """done: the rounds of each test."""
    rows = []
    medians = {test.name: {r.name: rounds.rate(r.name) for r in ours + rivals} for test, rounds in done.items()}
    n_rounds = {test.name: len(rounds.rounds) for test, rounds in done.items()}
    for test, rounds in done.items():
        n = n_rounds[test.name]
        for r in ours:
            ratios = {p.name: rounds.ratio(r.name, p.name) for p in rivals}
            share = rounds.share(r.name, test)
            bar = bars.speed(test, r.name, ratios, share, medians, rounds.of(r.name, "pass_bytes")[0])
            verdict = said_of(min(n, n_rounds.get(bars.beside(test), n)), bar)
            cells = [f"{rounds.text(name)} | {ratio:.2f}" for name, ratio in ratios.items()]
            of_peak = "unknown" if math.isnan(share) else f"{100 * share:.0f} %"
            rows.append(f"| {label} | {test.name} | {r.name} | {n} | {rounds.text(r.name)} | {of_peak} | {' | '.join(cells)} | {verdict} |")
    return rows


def verify_rows(label: str, rounds: Rounds, ours: list, widths: list) -> list:
    rows = []
    for r in ours:
        of = [x[r.name] for x in rounds.rounds]
        pressure = statistics.median(x["pressure"] for x in of)
        for m in widths:
            seconds = [x["seconds"][str(m)] for x in of]
            of_bar = [s / bars.pass_seconds(m, x["pass_bytes"], x["pass_macs"], x["peak_bytes_per_s"], x["peak_macs_per_s"]) for s, x in zip(seconds, of)]
            of_one = statistics.median(s / x["seconds"]["1"] for s, x in zip(seconds, of))
            s, share = statistics.median(seconds), statistics.median(of_bar)
            verdict = said_of(len(of), bars.met(share <= 1))
            rows.append(f"| {label} | {r.name} | {m} | {len(of)} | {1e3 * s:.2f} ({pressure:.0f} %) | {of_one:.2f} | {1e3 * s / share:.2f} | {share:.2f} | {verdict} |")
    return rows


def span(values: list, digits: int) -> str:
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def section(command: list, threads: int, rivals: list, kept: list, speed: list, verify: list) -> str:
    """rivals: the names; kept: every Rounds that the rows rest on."""
    facts = [x[name] for rounds in kept for x in rounds.rounds for name in x if "commit" in x[name]]
    lines = [f"`{shlex.join(command)}`, {time.strftime('%Y-%m-%d')}, commit {', '.join(sorted({f['commit'] for f in facts}))}, "
             f"{peers.cpu_model()}, {threads} threads, interleaved rounds, medians.",
             f"Peaks measured in the same calls: {span([f['peak_bytes_per_s'] / 1e9 for f in facts], 1)} GB/s read, "
             f"{span([f['peak_macs_per_s'] / 1e9 for f in facts], 0)} billion 8-bit multiply-accumulates a second.",
             "In brackets: the share of the run in which a process waited for a processor (/proc/pressure/cpu)."]
    if speed:
        lines += ["", f"| model | test | ours | rounds | t/s | of peak | {' | '.join(f'{name} t/s | ours / it' for name in rivals)} | bar |", "|---" * (7 + 2 * len(rivals)) + "|", *speed]
    if verify:
        lines += ["", "One pass over M tokens of one sequence; the bar is 1.15 x max(bytes / peak read, 1.4 x MACs / peak int8).", "",
                  "| model | ours | M | rounds | ms | passes of one | bar ms | of the bar | bar |", "|---" * 9 + "|", *verify]
    return "\n".join(lines)
