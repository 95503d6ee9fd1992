"""Thirty-two streams at once with clients that leave at random: none refused, nobody starved, no memory lost.
usage: test_streams.py WATRA HOME [--seconds N]"""
import json
import random
import sys
import threading
import time
import unittest

from support import Server, main, wait_until

SECONDS = int(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 15
N = 32


class Streams(unittest.TestCase):
    def test_thirty_two(self):
        server = Server("--ctx", "512")
        for i in range(5):  # every page of the cache is touched once before memory is looked at
            server.post("/v1/completions", {"prompt": [100 + i] * 500, "max_tokens": 1})
        end = time.monotonic() + SECONDS
        lock, problems, written, n_done = threading.Lock(), [], [0] * N, [0, 0]  # written: tokens of each client

        def one_client(number):
            rng = random.Random(number)
            while time.monotonic() < end:
                body = json.dumps({"prompt": f"Story {number} {rng.random()}: once upon a time", "max_tokens": rng.randint(5, 60),
                                   "ignore_eos": True, "stream": True, "temperature": 1, "seed": rng.randrange(1 << 30)}).encode()
                leaves_after = rng.randint(1, 20) if rng.random() < 0.3 else None
                try:
                    with server.connect() as s:
                        s.sendall(server.head("POST", "/v1/completions", body, headers=["Connection: close"]) + body)
                        f = s.makefile("rb")
                        status = int(f.readline().split()[1])
                        n = 0
                        for line in f:
                            if line.startswith(b"data: {") and b'"error"' in line:
                                raise RuntimeError(line)
                            n += line.startswith(b"data: {")
                            if leaves_after and n >= leaves_after:
                                break
                        with lock:
                            n_done[bool(leaves_after)] += 1
                            if status != 200:
                                problems.append(status)
                            written[number] += n
                except Exception as e:  # whatever it is, it is told
                    with lock:
                        problems.append(repr(e))

        threads = [threading.Thread(target=one_client, args=(i,)) for i in range(N)]
        for t in threads:
            t.start()
        time.sleep(SECONDS * 0.4)
        early = server.rss_mib()
        for t in threads:
            t.join()
        wait_until(lambda: server.metric("requests_processing") + server.metric("requests_deferred") == 0, 10)
        late = server.rss_mib()
        server.stop()
        print(f"{n_done[0]} answers, {n_done[1]} left early; RSS {early:.0f} -> {late:.0f} MiB; "
              f"tokens of the slowest client {min(written)}, of the fastest {max(written)}")
        self.assertEqual(problems, [])
        self.assertGreater(n_done[0], 0)
        self.assertGreater(n_done[1], 0)
        self.assertLess(late - early, 24)
        if SECONDS >= 60:  # a short run says nothing about fairness
            self.assertLessEqual(max(written), 3 * min(written))


if __name__ == "__main__":
    main()
