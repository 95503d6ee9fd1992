"""What both peer checks share: running our programs, hashing as they do, counting what was compared."""

import argparse
import json
import subprocess
import sys
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=Path, required=True, help="folder of our programs")
    parser.add_argument("--peers", type=Path, required=True, help="folder with the unpacked llama-cpp-python source package")
    return parser.parse_args()


def run(*command):
    """Our program's JSON; its refusal ends the test."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def fnv1a(data):
    h = 0xCBF29CE484222325
    for b in bytes(data):
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


class Compare:
    def __init__(self):
        self.count = 0

    def same(self, what, ours, theirs):
        self.count += 1
        if ours != theirs:
            sys.exit(f"{what} differs\n  ours   {str(ours)[:300]}\n  theirs {str(theirs)[:300]}")

    def done(self, at_least):
        if self.count < at_least:
            sys.exit(f"only {self.count} comparisons were made, {at_least} were expected")
        print(f"{self.count} comparisons, all the same")
