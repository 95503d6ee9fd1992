"""SIGTERM while answers are written: those that can finish do, the others end in an orderly manner, each API in its own words."""
import json
import signal
import threading
import time
import unittest

from support import Server, main, sse_data, wait_until

USER = [{"role": "user", "content": "Count from one to ten thousand."}]


class Stopping(unittest.TestCase):
    def setUp(self):
        self.server = Server("--ctx", "4096", "--parallel", "8")

    def ask_and_stop(self, asks, after=1.0):
        """Each of [(path, body)] on a connection of its own, then SIGTERM: what came of them, and how long the end took."""
        replies = [None] * len(asks)

        def ask(i, path, body):
            try:
                replies[i] = self.server.post(path, body)
            except Exception as e:  # a connection that is cut shows as what it is
                replies[i] = e
        threads = [threading.Thread(target=ask, args=(i, *a), daemon=True) for i, a in enumerate(asks)]
        for t in threads:
            t.start()
        time.sleep(after)
        took = self.server.stop(signal.SIGTERM)
        for t in threads:
            t.join(5)
        return replies, took

    def test_streams_that_cannot_finish_are_told_why(self):
        endless = {"temperature": 0, "ignore_eos": True, "stream": True}
        asks = [("/v1/chat/completions", {**endless, "messages": USER}), ("/v1/completions", {**endless, "prompt": "a", "max_tokens": 4000}),
                ("/completion", {**endless, "prompt": "a"}), ("/v1/responses", {**endless, "input": "Count to ten thousand."}),
                ("/v1/messages", {**endless, "messages": USER, "max_tokens": 4000}),
                ("/api/chat", {"messages": USER, "options": {"temperature": 0, "ignore_eos": True}})]
        replies, took = self.ask_and_stop(asks)
        self.assertLess(took, 5)
        for (path, body), reply in zip(asks, replies):
            self.assertIsInstance(reply, tuple, f"{path}: {reply!r}")
            status, headers, text = reply
            self.assertEqual(status, 200, path)
            if path == "/api/chat":
                lines = [json.loads(line) for line in text.splitlines()]
                self.assertGreater(len(lines), 2)
                self.assertIn("stopping", lines[-1]["error"])
                continue
            events = sse_data(text)
            self.assertGreater(len(events), 3, path)
            error = events[-1]["error"]
            if path == "/v1/messages":
                self.assertEqual((events[-1]["type"], error["type"]), ("error", "overloaded_error"))
                self.assertIn("event: error", text)
            else:
                self.assertEqual((error["code"], error["type"]), ("stopping", "unavailable_error"), path)
            self.assertIn("stopping", error["message"])

    def test_an_answer_that_is_no_stream_gets_a_status(self):
        [reply], took = self.ask_and_stop([("/v1/chat/completions", {"messages": USER, "ignore_eos": True, "max_tokens": 3900})])
        self.assertLess(took, 5)
        self.assertIsInstance(reply, tuple, repr(reply))
        self.assertEqual((reply[0], reply[2]["error"]["code"]), (503, "stopping"))
        self.assertEqual(reply[1]["retry-after"], "5")

    def test_loading_ends_too(self):
        """A copy that drafts takes seconds to make: the end does not wait for it, and nothing of it is left to be taken for whole."""
        self.server.stop()
        self.server = Server("smollm2", "--draft", "self", model=None, wait=False)
        drafts = self.server.home / "drafts"
        wait_until(lambda: drafts.exists() and any(drafts.glob("*.part*")), 60, "the making of a copy")
        self.server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        self.assertEqual(self.server.process.wait(20), 0)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.server.process.stdout.read(), "", "it never listened")
        self.assertEqual(list(drafts.glob("*.gguf*")), [])
        self.server.stop()

    def test_what_can_finish_does(self):
        asks = [("/v1/chat/completions", {"messages": USER, "max_tokens": 12, "ignore_eos": True, "stream": True, "temperature": 0})]
        replies, took = self.ask_and_stop(asks, after=0.15)
        self.assertLess(took, 5)
        events = sse_data(replies[0][2])
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(events[-2]["choices"][0]["finish_reason"], "length")


if __name__ == "__main__":
    main()
