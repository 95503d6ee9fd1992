"""What the suites of Python's clients share: the server they all ask, the model it has, and the watch that nothing is left running.
usage: test_*.py WATRA HOME [--quick] [--model NAME]"""
import contextlib
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

    @contextlib.contextmanager
    def left(self, n_tokens):
        """Around an answer of so many tokens that its client leaves: the work ends, and before they are all written."""
        written = lambda: self.server.metric("tokens_predicted_total")
        begun = written()
        yield
        wait_until(lambda: self.server.n_requests() == 0, what="the end of the work")
        self.assertLess(written() - begun, n_tokens, "the answer was written to its end though its client has left")

    def something_runs(self):
        wait_until(lambda: self.server.n_requests() > 0, what="the begin of the work")


__all__ = ["Client", "MODEL", "QUICK", "main", "start_server"]
