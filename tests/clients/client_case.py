"""What the suites of Python's clients share: the server they all ask, the model it has, and the watch that nothing is left running.
usage: test_*.py WATRA HOME [--quick] [--model NAME]"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "server"))
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look at the network

from support import TEST_HOME, Server, main, wait_until

QUICK = "--quick" in sys.argv
MODEL = sys.argv[sys.argv.index("--model") + 1] if "--model" in sys.argv else "smollm2"
FILES = {"smollm2": "SmolLM2", "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b"}


def start_server(*options):
    if not any((TEST_HOME / "models").glob(f"*{FILES[MODEL]}*.gguf")):
        raise RuntimeError(f"{MODEL} is not on the shelf of {TEST_HOME}; `watra pull {MODEL} --home {TEST_HOME}` brings it")
    Client.server = Server(*options, model=MODEL, files=FILES[MODEL])
    return Client.server


class Client(unittest.TestCase):
    server = None

    def running(self):
        return self.server.metric("requests_processing") + self.server.metric("requests_deferred")

    def nothing_runs(self):
        wait_until(lambda: self.running() == 0, 3, "the end of the work")

    def something_runs(self):
        wait_until(lambda: self.running() > 0, 10, "the begin of the work")


__all__ = ["Client", "MODEL", "QUICK", "main", "start_server"]
