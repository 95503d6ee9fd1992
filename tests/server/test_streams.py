"""Thirty-two streams at once with clients that leave at random, others that read slowly or never finish asking: nobody is refused, all get
on alike, no memory is lost. usage: test_streams.py WATRA HOME [--seconds N]"""
import json
import os
import random
import socket
import statistics
import sys
import threading
import time
import unittest

from support import PATIENCE, Server, main, shortest, wait_until

SECONDS = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 15
N = 32
SLOW_READERS, SLOW_ASKERS = 4, 40


class Crowd:
    """N clients that ask again and again until the time is up; what they got, and what went wrong."""

    def __init__(self, server, seconds, salt, longest=200):
        self.server, self.longest, self.salt = server, longest, salt
        self.begin = time.monotonic()
        self.end = self.begin + seconds
        self.lock, self.problems, self.written = threading.Lock(), [], [0] * N
        self.n_whole = self.n_left = 0
        self.first_token_s = []
        self.threads = [threading.Thread(target=self.client, args=(i,), daemon=True) for i in range(N)]
        for t in self.threads:
            t.start()

    def client(self, number):
        rng = random.Random(f"{self.salt} {number}")
        while time.monotonic() < self.end:
            leaves_after = rng.randint(1, 40) if rng.random() < 0.3 else None
            try:
                self.ask(number, rng, leaves_after)
            except Exception as e:  # whatever it is, it is told
                with self.lock:
                    self.problems.append(repr(e))

    def ask(self, number, rng, leaves_after):
        body = json.dumps({"prompt": f"Story {number} {rng.random()}: once upon a time", "max_tokens": rng.randint(20, self.longest),
                           "ignore_eos": True, "stream": True, "temperature": 1, "seed": rng.randrange(1 << 30)}).encode()
        began, n = time.monotonic(), 0
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/v1/completions", body, headers=["Connection: close"]) + body)
            f = s.makefile("rb")
            status = int(f.readline().split()[1])
            if status != 200:
                raise RuntimeError(status)
            for line in f:
                if not line.startswith(b"data: {"):
                    continue
                if line.startswith(b'data: {"error"'):  # the model may write the word
                    raise RuntimeError(line)
                if n == 0:
                    self.first_token_s.append(time.monotonic() - began)
                n += 1
                if time.monotonic() < self.end:
                    self.written[number] += 1
                if n == leaves_after or time.monotonic() >= self.end:
                    break
        with self.lock:
            self.n_whole += leaves_after is None
            self.n_left += leaves_after is not None

    def join(self):
        for t in self.threads:
            t.join()


class Nuisance:
    """Clients that take their answer a byte at a time, and clients that send theirs so."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.threads = [threading.Thread(target=self.read_slowly, daemon=True) for _ in range(SLOW_READERS)]
        self.threads += [threading.Thread(target=self.ask_slowly, daemon=True) for _ in range(SLOW_ASKERS)]
        for t in self.threads:
            t.start()

    def read_slowly(self):
        body = json.dumps({"prompt": "Once", "max_tokens": 300, "ignore_eos": True, "stream": True, "logprobs": 20}).encode()
        while not self.over.is_set():
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                s.settimeout(PATIENCE)
                s.connect((self.server.host, self.server.port))
                s.sendall(self.server.head("POST", "/v1/completions", body) + body)
                try:
                    while not self.over.wait(0.2) and s.recv(16):
                        pass
                except OSError:
                    pass

    def ask_slowly(self):
        while not self.over.is_set():
            try:
                with self.server.connect() as s:
                    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-")
                    while not self.over.wait(0.5):
                        s.sendall(b"a")
            except OSError:  # the server has had enough of it, as it should
                pass

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()


def at_rest(server):
    wait_until(lambda: server.n_requests() == 0, what="the end of all work")


class Streams(unittest.TestCase):
    def test_thirty_two(self):
        server = Server("--ctx", "512")
        self.addCleanup(server.stop)
        nuisance = Nuisance(server)
        self.addCleanup(nuisance.stop)
        crowd = Crowd(server, SECONDS, "crowd")
        time.sleep(SECONDS * 0.2)
        wait_until(lambda: min(crowd.written) >= 20 or time.monotonic() >= crowd.end, what="a piece of an answer for everybody")
        early = server.rss_mib()
        crowd.join()
        nuisance.stop()
        at_rest(server)
        late = server.rss_mib()
        total = server.metric("tokens_predicted_total")
        slowest, fastest = min(crowd.written), max(crowd.written)
        print(f"{crowd.n_whole} answers, {crowd.n_left} left early; {sum(crowd.written) / SECONDS:.0f} tokens/s ({total:.0f} in all); client "
              f"with the fewest {slowest}, median {statistics.median(crowd.written):.0f}, most {fastest} ({fastest / max(slowest, 1):.2f}x); first token "
              f"after {statistics.median(crowd.first_token_s):.2f} s, {max(crowd.first_token_s):.2f} at most; RSS {early:.0f} -> {late:.0f} MiB")
        self.assertEqual(crowd.problems, [])
        self.assertGreater(crowd.n_left, 0)
        if statistics.median(crowd.written) >= 100:  # fewer say more about the machine's other work than about us
            self.assertLessEqual(fastest, 3 * slowest)
            self.assertLess(late - early, 16 + 0.02 * early)

    def test_no_connection_outlives_its_client(self):
        server = Server("--ctx", "512")
        self.addCleanup(server.stop)
        server.get("/metrics")
        n_files = lambda: len(os.listdir(f"/proc/{server.process.pid}/fd"))
        before = n_files()

        def many():
            for _ in range(500):
                self.assertEqual(server.get("/metrics")[0], 200)

        threads = [threading.Thread(target=many, daemon=True) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        wait_until(lambda: n_files() <= before + 2, what=f"the end of 2000 connections (more than {before} files are open)")

    def test_slow_readers_and_slow_askers_disturb_nobody(self):
        server = Server("--ctx", "512")
        self.addCleanup(server.stop)

        def eight():
            """Seconds for eight short answers side by side."""
            done = []
            body = {"prompt": "Once upon a time", "max_tokens": 24, "ignore_eos": True}
            threads = [threading.Thread(target=lambda: done.append(server.post("/v1/completions", body)[0])) for _ in range(8)]
            began = time.monotonic()
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(done, [200] * 8)
            return time.monotonic() - began

        eight()
        alone = [eight() for _ in range(3)]
        nuisance = Nuisance(server)
        self.addCleanup(nuisance.stop)
        wait_until(lambda: server.metric("tokens_predicted_total") > 8 * 24 * 4 + SLOW_READERS * 250, what="the slow readers' answers")
        enough = 3 * statistics.median(alone) + 0.5
        beside = shortest(eight, enough)
        nuisance.stop()
        at_rest(server)
        print(f"eight answers in {statistics.median(alone):.2f} s alone, {beside:.2f} s beside slow clients")
        self.assertLess(beside, enough)

    @unittest.skipIf(SECONDS < 60, "two or three short answers each are too few to compare; scheduler_fairness_test.cpp counts passes instead")
    def test_more_than_fit_take_turns(self):
        server = Server("--ctx", "512", "--parallel", "8")
        self.addCleanup(server.stop)
        crowd = Crowd(server, 60, "few places", longest=60)
        crowd.join()
        at_rest(server)
        print(f"{N} clients at 8 places: {min(crowd.written)} to {max(crowd.written)} tokens")
        self.assertEqual(crowd.problems, [])
        self.assertLessEqual(max(crowd.written), 3 * min(crowd.written))


if __name__ == "__main__":
    main()
