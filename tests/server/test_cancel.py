"""Who leaves stops the work: while it is read, while it is written, in streams and without."""
import json
import socket
import time
import unittest

from support import Server, main, wait_until

LONG = "The quick brown fox jumps over the lazy dog. " * 700  # about 7,000 tokens
N_CTX, WHOLE = 8192, 7500  # nobody waits for so many: whoever has all of them written was not stopped


class Cancel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", str(N_CTX), "--threads", "1")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def begin(self, path, body):
        s = self.server.connect()
        data = json.dumps(body).encode()
        s.sendall(self.server.head("POST", path, data, headers=["Connection: close"]) + data)
        return s

    def written(self):
        return self.server.metric("tokens_predicted_total")

    def leaves(self, s, how):
        if how == "reset":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        s.close()

    def nothing_runs(self, what):
        wait_until(lambda: self.server.n_requests() == 0, what=f"the end of {what}")
        after = self.written()
        time.sleep(0.3)
        self.assertEqual(self.written(), after)
        return after

    def test_while_an_answer_is_written(self):
        paths = (("/v1/completions", {"prompt": "Once"}), ("/completion", {"prompt": "Once"}),
                 ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Once"}]}),
                 ("/v1/messages", {"messages": [{"role": "user", "content": "Once"}]}),
                 ("/api/generate", {"prompt": "Once", "raw": True, "options": {"ignore_eos": True}}))
        for path, body in paths:
            for stream in (True, False):
                for how in ("close", "reset"):
                    begun = self.written()
                    s = self.begin(path, {**body, "max_tokens": WHOLE, "ignore_eos": True, "stream": stream})
                    wait_until(lambda: self.written() >= begun + 3, what=f"writing of {path}")
                    self.leaves(s, how)
                    self.assertLess(self.nothing_runs(f"the work of {path}") - begun, WHOLE, f"{path} was written to its end")

    def test_while_the_prompt_is_read(self):
        for stream in (True, False):
            for how in ("close", "reset"):
                self.assertTrue(any(self.reading_ends(stream, how) for _ in range(5)), f"stream {stream}, {how}: the reading was not stopped")

    def reading_ends(self, stream, how):
        """Leaves while the prompt is read; whether no word of an answer came after it. Where this program is too late the prompt is read
        already."""
        begun = self.written()
        s = self.begin("/v1/completions", {"prompt": f"{stream} {how} {time.monotonic()} {LONG}", "max_tokens": 100, "ignore_eos": True, "stream": stream})
        wait_until(lambda: self.server.n_requests() == 1, what="the reading")
        self.leaves(s, how)
        return self.nothing_runs("the reading") == begun

    def test_one_of_many(self):
        leave = [self.begin("/v1/completions", {"prompt": f"Letter {i}", "max_tokens": WHOLE, "ignore_eos": True}) for i in range(4)]
        keep = [self.begin("/v1/completions", {"prompt": f"Number {i}", "max_tokens": 200, "ignore_eos": True, "stream": True}).makefile("rb")
                for i in range(4)]
        for f in keep:
            self.assertIn(b" 200 ", f.readline())
            wait_until(lambda: f.readline().startswith(b"data: {"), what="the first word")
        begun = self.written()
        for s in leave:
            s.close()
        for f in keep:  # to its end
            said = [line for line in f if line.startswith(b"data: ")]
            self.assertEqual(json.loads(said[-2][6:])["choices"][0]["finish_reason"], "length")
            self.assertEqual(said[-1].strip(), b"data: [DONE]")
            f.close()
        self.assertLess(self.nothing_runs("the others") - begun, WHOLE)

    def test_a_reader_that_stops_reading_holds_up_nobody(self):
        begun = self.written()
        s = self.begin("/v1/completions", {"prompt": "Once", "max_tokens": WHOLE, "ignore_eos": True, "stream": True})
        s.recv(1000)
        # Its socket fills up; others go on undisturbed meanwhile.
        self.assertEqual(self.server.post("/v1/completions", {"prompt": "a", "max_tokens": 3})[0], 200)
        self.assertGreater(self.server.n_requests(), 0, "the others waited for its end")
        s.close()
        self.assertLess(self.nothing_runs("the work") - begun, WHOLE)


if __name__ == "__main__":
    main()
