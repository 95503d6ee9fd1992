"""Who leaves stops the work: while it is read, while it is written, in streams and without."""
import json
import socket
import time
import unittest

from support import Server, main, wait_until

LONG = "The quick brown fox jumps over the lazy dog. " * 180  # about 1,900 tokens


class Cancel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "2048", "--threads", "1")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def begin(self, path, body):
        s = self.server.connect()
        data = json.dumps(body).encode()
        s.sendall(self.server.head("POST", path, data) + data)
        return s

    def running(self):
        return self.server.metric("requests_processing") + self.server.metric("requests_deferred")

    def leaves(self, s, how):
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        s.close()

    def check(self, path, body, how, wait):
        s = self.begin(path, body)
        wait(s)
        written = self.server.metric("tokens_predicted_total")
        self.leaves(s, how)
        wait_until(lambda: self.running() == 0, 2, f"the end of the work of {path}")
        after = self.server.metric("tokens_predicted_total")
        time.sleep(0.3)
        self.assertEqual(self.server.metric("tokens_predicted_total"), after)
        return after - written

    def test_while_an_answer_is_written(self):
        paths = (("/v1/completions", {"prompt": "Once"}), ("/completion", {"prompt": "Once"}),
                 ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Once"}]}),
                 ("/v1/messages", {"messages": [{"role": "user", "content": "Once"}]}),
                 ("/api/generate", {"prompt": "Once", "raw": True, "options": {"ignore_eos": True}}))
        for path, body in paths:
            for stream in (True, False):
                for how in ("close", "reset"):
                    begun = self.server.metric("tokens_predicted_total")
                    whole = {**body, "max_tokens": 1900, "ignore_eos": True, "stream": stream}
                    self.check(path, whole, how, lambda s: wait_until(
                        lambda: self.server.metric("tokens_predicted_total") >= begun + 3, what=f"writing of {path}"))

    def test_while_the_prompt_is_read(self):
        for stream in (True, False):
            for how in ("close", "reset"):
                salt = f"{stream} {how} {time.monotonic()} "
                body = {"prompt": salt + LONG, "max_tokens": 100, "stream": stream}
                s = self.begin("/v1/completions", body)
                wait_until(lambda: self.running() == 1, what="the reading")
                began = time.monotonic()
                self.leaves(s, how)
                wait_until(lambda: self.running() == 0, 5, "the end of the reading")
                self.assertLess(time.monotonic() - began, 2)

    def test_one_of_many(self):
        keep = [self.begin("/v1/completions", {"prompt": f"Number {i}", "max_tokens": 60, "ignore_eos": True}) for i in range(4)]
        leave = [self.begin("/v1/completions", {"prompt": f"Letter {i}", "max_tokens": 1900, "ignore_eos": True}) for i in range(4)]
        wait_until(lambda: self.running() == 8, what="eight requests")
        for s in leave:
            s.close()
        for s in keep:
            self.assertIn(b" 200 ", s.makefile("rb").readline())
            s.close()
        wait_until(lambda: self.running() == 0, 3)

    def test_a_reader_that_stops_reading_is_not_kept_for_ever(self):
        s = self.begin("/v1/completions", {"prompt": "Once", "max_tokens": 1900, "ignore_eos": True, "stream": True})
        s.recv(1000)
        # Its socket fills up; others go on undisturbed meanwhile.
        began = time.monotonic()
        self.assertEqual(self.server.post("/v1/completions", {"prompt": "a", "max_tokens": 3})[0], 200)
        self.assertLess(time.monotonic() - began, 5)
        s.close()
        wait_until(lambda: self.running() == 0, 2)


if __name__ == "__main__":
    main()
