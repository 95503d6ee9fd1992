"""Renders every template of the llama.cpp sources with every conversation on both sides; fails at the first difference."""

import argparse
import collections
import pathlib
import sys

import conversations
import peer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", required=True, help="the template_batch program")
    parser.add_argument("--templates", required=True, help="folder somewhere below which models/templates/*.jinja lie")
    parser.add_argument("--show", type=int, default=10, help="differences to print")
    args = parser.parse_args()

    root = pathlib.Path(args.templates)
    files = sorted(f for folder in root.glob("*/vendor/llama.cpp/models/templates") for f in folder.glob("*.jinja"))
    if not files:
        print(f"no templates below {root}: fetch the peers first")
        return 1
    cases = list(conversations.cases())
    jobs, names = [], []
    for file in files:
        template = file.read_text(encoding="utf-8")
        for name, variables in cases:
            jobs.append({"template": template, "variables": variables})
            names.append(f"{file.stem} x {name}")
    ours = peer.batch(args.batch, jobs)
    outcome = collections.Counter()
    different = []
    for name, job, mine in zip(names, jobs, ours):
        theirs = peer.reference(job["template"], job["variables"])
        if peer.same(mine, theirs):
            outcome["same text" if "text" in theirs else "both refuse"] += 1
        else:
            different.append((name, mine, theirs))
        if "text" in mine and "".join(text for text, _ in mine.get("spans") or []) != mine["text"]:
            different.append((name + " (spans)", mine, theirs))
    for name, mine, theirs in different[: args.show]:
        print(f"{name}\n{peer.difference(mine, theirs)}")
    print(f"{len(files)} templates x {len(cases)} conversations: {outcome['same text']} same text, "
          f"{outcome['both refuse']} both refuse, {len(different)} differ")
    return 1 if different else 0


sys.exit(main())
