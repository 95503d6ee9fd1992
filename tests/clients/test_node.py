"""Starts the server, then npm's clients against it (node_*.test.mjs).
usage: test_node.py WATRA HOME [--model NAME]"""
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "server"))

from support import Server

MODEL = sys.argv[sys.argv.index("--model") + 1] if "--model" in sys.argv else "smollm2"
FILES = {"smollm2": "SmolLM2", "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b"}
SKIPPED = 77


def node_folder():
    found = subprocess.run([HERE.parent.parent / "tools" / "node"], capture_output=True, text=True)
    if found.returncode:
        print("no Node:", found.stderr)
        sys.exit(1 if "CI" in os.environ else SKIPPED)
    return found.stdout.strip()


def packages(path):
    installed = HERE / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= (HERE / "package-lock.json").stat().st_mtime:
        return
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=HERE, env=path, capture_output=True, text=True)
    if done.returncode:
        print("the packages could not be had:", done.stderr)
        sys.exit(1 if "CI" in os.environ else SKIPPED)


path = {**os.environ, "PATH": f"{node_folder()}:{os.environ['PATH']}"}
packages(path)
server = Server("--ctx", "8192", model=MODEL, files=FILES[MODEL])
try:
    env = {**path, "NO_PROXY": "*", "WATRA_URL": server.url, "WATRA_TOKEN": server.token, "WATRA_MODEL": MODEL}
    done = subprocess.run(["node", "--test", "--test-concurrency=1", *sorted(HERE.glob("node_*.test.mjs"))], env=env)
finally:
    server.stop()
sys.exit(done.returncode)
