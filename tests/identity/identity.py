#!/usr/bin/env python3
"""Answers do not depend on drafts: 200 prompts, answered with each way of drafting (n-gram, a draft model, the model's own low-bit
copy; in chains and in trees), must give the same tokens, under each ISA, greedy and sampled with a seed, in RAM and (--ram)
streamed from the disk; streamed and in RAM give the same tokens too.

    tests/identity/identity.py build/release/bin/watra --home build/test-home
    tests/identity/identity.py build/release/bin/watra qwen2.5-coder-1.5b --draft none,ngram,qwen2.5-coder-0.5b,self --ram 900MiB
    tests/identity/identity.py build/release/bin/watra SmolLM2.Q8_0.gguf --draft none,ngram,smollm2,self --ram 160MiB --background

Further options go to `watra bench` (--ctx 512 --threads 1). One line is printed, and with --report one JSON object appended to a
file, for each combination; what the file holds already is not run again, so that a long run may be cut off and go on.
--background: other programs come first.
Standard library Python only. Exit 1 when a token differs.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

TOPICS = ["the sea", "bread", "mountains in autumn", "a lighthouse", "how clouds form", "the number seven", "a lost dog", "chess",
          "old maps", "sheep and shepherds", "a train at night", "the moon", "tea", "rivers", "bees", "a broken clock", "snow",
          "gardens", "an honest thief", "bridges"]
TASKS = ["Write three sentences about {}.", "Explain {} to a child.", "Write a short poem about {}.", "List five facts about {}.",
         "Tell a story that begins with {}.", "What should everybody know about {}?"]
NAMES = ["total", "count", "price", "items", "result", "offset", "buffer", "index"]


def repetitive(rng):
    """Tasks whose answers repeat what stands in the question: the drafts come true."""
    if rng.random() < 0.5:
        lines = [f"{name} = compute_{name}(data, {rng.randrange(100)})" for name in rng.sample(NAMES, 5)]
        return "Repeat this code and rename data to rows:\n\n" + "\n".join(lines)
    words = rng.sample(TOPICS, 6)
    text = ". ".join(f"First comes {a}, then comes {b}" for a, b in zip(words, words[1:]))
    return f"Repeat this text word for word: {text}."


def make_prompts(first, n):
    """Those numbered first and following: the same whatever was skipped."""
    rng = random.Random(20)
    out = []
    for i in range(first + n):
        question = repetitive(rng) if i % 2 else rng.choice(TASKS).format(rng.choice(TOPICS))
        out.append([{"role": "user", "content": f"{question} ({i})"}])
    return out[first:]


def answers(args, prompts, isa, temperature, ram, shape, drafts):
    """ids by (question, method), and how much of the drafts was followed by method."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "prompts.json"
        file.write_text(json.dumps(prompts), encoding="utf-8")
        command = [args.watra, "bench", args.model, "--answers", str(file), "--draft", ",".join(drafts), "-n", str(args.tokens), "-r", "1",
                   "--draft-shape", shape, "--temp", str(temperature), "--seed", "7", "--isa", isa, "--json"]
        command += ["--home", args.home] if args.home else []
        command += (["--ram", ram] if ram else []) + args.more
        run = subprocess.run(command, capture_output=True, text=True)
        try:
            report = json.loads(run.stdout)
        except ValueError:
            sys.exit(f"{' '.join(command)}\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        if "answers" not in report:
            sys.exit(f"{' '.join(command)}\n{report}")
        if ram and not report.get("streamed_bytes"):
            sys.exit(f"{' '.join(command)}\nnothing was streamed: less --ram")
    ids, followed = {}, {}
    for a in report["answers"]:
        ids[a["question"], a["method"]] = a["ids"]
        drafted, accepted = followed.get(a["method"], (0, 0))
        s = a["speculation"]
        followed[a["method"]] = (drafted + s["drafted"], accepted + s["accepted"])
    return ids, followed


def run_before(args, key):
    """The line of the report that answers this combination already."""
    if args.report and args.report.exists():
        for line in args.report.read_text(encoding="utf-8").splitlines():
            before = json.loads(line)
            if all(before.get(k, 0) == v for k, v in key.items()):
                return before
    return None


def compare(args, isa, temperature):
    """All shapes, in RAM and streamed, with what plain decoding in RAM gives; how many answers differ."""
    prompts, first, n_different = make_prompts(args.skip, args.prompts), None, 0
    for ram in [None, args.ram] if args.ram else [None]:
        plain_only = args.plain_in_ram and not ram
        drafts = args.draft[:1] if plain_only else args.draft
        for shape in args.draft_shape[:1] if plain_only else args.draft_shape:
            key = {"model": args.model, "drafts": drafts, "shape": shape, "isa": isa or "fastest", "temperature": temperature,
                   "ram": ram, "prompts": args.prompts, "skip": args.skip, "tokens": args.tokens}
            if before := run_before(args, key):
                first = first or [tuple(ids) for ids in before["plain"]]
                n_different += before["differ"] + before["moved"] + (len(drafts) > 1 and not before["drafted"])
                continue
            ids, followed = answers(args, prompts, isa, temperature, ram, shape, drafts)
            plain = [tuple(ids[q, drafts[0]]) for q in range(len(prompts))]
            first = first or plain
            different = [(q, m) for (q, m), tokens in ids.items() if tuple(tokens) != plain[q]]
            moved = [q for q, tokens in enumerate(plain) if tokens != first[q]]
            drafted = {m: n for m, n in followed.items() if n[0]}
            of_them = ", ".join(f"{m} {a} of {d} drafted tokens true" for m, (d, a) in drafted.items())
            print(f"{isa or 'fastest'}, temperature {temperature}, {'streamed' if ram else 'in RAM'}, {shape}: {len(plain)} prompts, "
                  f"{len(different)} answers differ with drafts, {len(moved)} from those in RAM; {of_them or 'nothing drafted'}", flush=True)
            for q, m in different[:5]:
                print(f"  question {q}, {m}: {ids[q, m]} instead of {list(plain[q])}")
            nothing_drafted = len(drafts) > 1 and not drafted
            if nothing_drafted:
                print("  no draft was ever made: this compares nothing")
            n_different += len(different) + len(moved) + nothing_drafted
            if args.report:
                line = {**key, "differ": len(different), "moved": len(moved), "drafted": drafted, "plain": plain}
                with args.report.open("a", encoding="utf-8") as f:
                    f.write(json.dumps(line) + "\n")
    return n_different


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("watra")
    p.add_argument("model", nargs="?", default="smollm2")
    p.add_argument("--home")
    p.add_argument("--draft", type=lambda s: s.split(","), default=["none", "auto"], help="ways of drafting; the first is compared with")
    p.add_argument("--draft-shape", type=lambda s: s.split(","), default=["chain", "tree"], help="list of chain, tree, auto")
    p.add_argument("--isa", type=lambda s: s.split(","), default=["generic", ""], help="list; empty = the fastest")
    p.add_argument("--temp", type=lambda s: [float(t) for t in s.split(",")], default=[0, 0.8])
    p.add_argument("--prompts", type=int, default=200)
    p.add_argument("--skip", type=int, default=0, help="so many prompts before them: a long run in parts, side by side")
    p.add_argument("--tokens", type=int, default=32)
    p.add_argument("--ram", help="stream the model too, within this budget")
    p.add_argument("--plain-in-ram", action="store_true", help="with --ram: in RAM only plain decoding, which the streamed answers must equal")
    p.add_argument("--report", type=pathlib.Path, help="a file of JSON lines: what was compared, and with what result")
    p.add_argument("--background", action="store_true", help="at the lowest priority")
    args, args.more = p.parse_known_args()
    if args.background:
        os.nice(19)

    n_different = 0
    for isa in args.isa:
        for temperature in args.temp:
            n_different += compare(args, isa, temperature)
    sys.exit(1 if n_different else 0)


if __name__ == "__main__":
    main()
