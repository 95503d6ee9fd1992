"""SIGTERM while answers are written: those that can finish do, the others end in an orderly manner, each API in its own words."""
import io
import json
import math
import signal
import threading
import time
import unittest

from support import PATIENCE, Server, main, read_reply, shortest, sse_data, wait_until

USER = [{"role": "user", "content": "Count from one to ten thousand."}]


class Stopping(unittest.TestCase):
    def ask_and_stop(self, asks, first=None):
        """Each of [(path, body)] on a connection of its own, SIGTERM when words of each have come: what came of them, and how long the end
        took. `first`: is asked before them, and took `first_took` seconds."""
        self.server = Server("--ctx", "8192", "--parallel", "8")
        if first:
            began = time.monotonic()
            self.assertEqual(self.server.post(*first)[0], 200)
            self.first_took = time.monotonic() - began
        came = [bytearray() for _ in asks]

        def ask(i, path, body):
            data = json.dumps(body).encode()
            with self.server.connect() as s:
                s.sendall(self.server.head("POST", path, data, headers=["Connection: close"]) + data)
                while piece := s.recv(1 << 16):
                    came[i] += piece
        threads = [threading.Thread(target=ask, args=(i, *a), daemon=True) for i, a in enumerate(asks)]
        for t in threads:
            t.start()
        is_stream = lambda path, body: body.get("stream", path == "/api/chat")
        for i, (path, body) in enumerate(asks):
            if is_stream(path, body):
                wait_until(lambda: came[i].count(b"data: {") + came[i].count(b'"done":false') >= 5 or not threads[i].is_alive(),
                           what=f"words of {path}")
            else:
                wait_until(lambda: self.server.metric("tokens_predicted_total") >= 5, what=f"words for {path}")
        took = self.server.stop(signal.SIGTERM)
        for t in threads:
            t.join(PATIENCE)
        return [read_reply(io.BytesIO(raw)) for raw in came], took

    def test_the_log_says_that_it_ends_and_why(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            server = Server(model=None)
            server.stop(how)
            said = [line for line in server.log if "the server ends" in line]
            self.assertEqual(len(said), 1, server.log)
            self.assertRegex(said[0], rf"the server ends signal={how.name} connections=\d+$")

    def test_streams_that_cannot_finish_are_told_why(self):
        endless = {"temperature": 0, "ignore_eos": True, "stream": True}
        asks = [("/v1/chat/completions", {**endless, "messages": USER}), ("/v1/completions", {**endless, "prompt": "a", "max_tokens": 8000}),
                ("/completion", {**endless, "prompt": "a"}), ("/v1/responses", {**endless, "input": "Count to ten thousand."}),
                ("/v1/messages", {**endless, "messages": USER, "max_tokens": 8000}),
                ("/api/chat", {"messages": USER, "options": {"temperature": 0, "ignore_eos": True}})]
        self.assertLess(shortest(lambda: self.cut(asks), enough=5), 5)

    def cut(self, asks):
        replies, took = self.ask_and_stop(asks)
        for (path, body), reply in zip(asks, replies):
            self.assertIsInstance(reply, tuple, f"{path}: {reply!r}")
            status, headers, text = reply
            self.assertEqual(status, 200, path)
            if path == "/api/chat":
                lines = [json.loads(line) for line in text.splitlines()]
                self.assertGreater(len(lines), 3)
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
        return took

    def test_an_answer_that_is_no_stream_gets_a_status(self):
        def cut():
            [reply], took = self.ask_and_stop([("/v1/chat/completions", {"messages": USER, "ignore_eos": True, "max_tokens": 8000})])
            self.assertIsInstance(reply, tuple, repr(reply))
            self.assertEqual((reply[0], reply[2]["error"]["code"]), (503, "stopping"))
            self.assertEqual(reply[1]["retry-after"], "5")
            return took
        self.assertLess(shortest(cut, enough=5), 5)

    def test_loading_ends_too(self):
        """A copy that drafts takes seconds to make: the end does not wait for it, and nothing of it is left to be taken for whole."""
        def stop():
            """How long the end took; for ever where this program came too late and the copy was whole."""
            server = Server("smollm2", "--draft", "self", model=None, wait=False)
            drafts = server.home / "drafts"
            wait_until(lambda: drafts.exists() and any(drafts.glob("*.gguf*")), what="the making of a copy")
            server.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            self.assertEqual(server.process.wait(PATIENCE), 0)
            took = time.monotonic() - began
            said, left = server.process.stdout.read(), [file.name for file in drafts.glob("*.gguf*")]
            server.stop()
            if said or any(name.endswith(".gguf") for name in left):
                return math.inf
            self.assertEqual(left, [])
            return took
        self.assertLess(shortest(stop, enough=2), 2)

    def test_what_can_finish_does(self):
        ask = {"messages": USER, "max_tokens": 12, "ignore_eos": True, "stream": True, "temperature": 0}

        def stop():
            """How long the end took; where the answer was cut, for ever if it could have been whole in the time that there is."""
            [(status, _, text)], took = self.ask_and_stop([("/v1/chat/completions", ask)], first=("/v1/chat/completions", ask))
            events = sse_data(text)
            if "error" in events[-1]:
                self.assertEqual(events[-1]["error"]["code"], "stopping")
                self.assertGreater(took, 3.4, "it was not waited for")
                return math.inf if self.first_took < 1 else took
            self.assertEqual((status, events[-1]), (200, "[DONE]"))
            self.assertEqual(events[-2]["choices"][0]["finish_reason"], "length")
            return took
        self.assertLess(shortest(stop, enough=5), 5)


if __name__ == "__main__":
    main()
