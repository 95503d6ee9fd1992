"""The machine room: what the machine is, a sample a second, the queue."""
import json
import threading
import time
import unittest

from browser import Browser
from support import Server, main, wait_until


class Machine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.began_ms = int(time.time() * 1000)
        cls.server = Server("--ctx", "8192")
        cls.page = Browser(cls.server).enter()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def now(self, since=0):
        return self.page.ok("GET", f"/machine/now?since={since}")

    def test_what_it_is(self):
        machine = self.page.ok("GET", "/machine")
        self.assertGreater(machine["cpu"]["cores"], 0)
        self.assertGreater(machine["ram"]["bytes"], 1 << 30)
        self.assertTrue(machine["disks"] and machine["disks"][0]["bytes"] > machine["disks"][0]["free_bytes"] > 0)
        self.assertIn("weights", {row["tag"] for row in machine["memory"]})
        self.assertIs(machine["measured"], False)
        self.assertTrue(machine["verdict"]["pl"] and machine["verdict"]["en"])

    def test_one_sample_a_second_and_only_the_new_ones(self):
        between = lambda: [b["at_ms"] - a["at_ms"] for samples in [self.now()["samples"]] for a, b in zip(samples, samples[1:])]
        wait_until(lambda: len(between()) >= 2 and min(between()) < 1500, what="two samples a second apart")
        self.assertGreater(min(between()), 700)
        newest = self.now()["samples"][-1]["at_ms"]
        self.assertEqual([s for s in self.now(newest)["samples"] if s["at_ms"] <= newest], [])
        self.assertEqual(self.page.get("/machine/now?since=x")[0], 400)

    def test_samples_say_from_when_they_go(self):
        wait_until(lambda: self.now()["samples"], what="a sample")
        now = self.now()
        self.assertLessEqual(self.began_ms, now["since_ms"])
        self.assertLess(now["since_ms"], now["samples"][0]["at_ms"])
        self.assertLess(now["samples"][0]["at_ms"] - now["since_ms"], 3000)  # nothing is claimed of a time before
        self.assertEqual(self.now(now["samples"][-1]["at_ms"])["since_ms"], now["since_ms"])

    def test_work_is_seen(self):
        body = json.dumps({"prompt": "Once upon a time", "max_tokens": 8000, "ignore_eos": True, "stream": True, "temperature": 0.8}).encode()
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/v1/completions", body) + body)
            stop = threading.Event()
            s.settimeout(0.5)

            def read():
                while not stop.is_set():
                    try:
                        if s.recv(1 << 16) == b"":
                            return
                    except TimeoutError:
                        pass
            reading = threading.Thread(target=read)
            reading.start()
            began = int(time.time() * 1000)
            busy = lambda: [x for x in self.now(began)["samples"] if x["decode_tokens_per_s"] > 0]
            wait_until(lambda: len(busy()) >= 2, what="samples of an answer")
            queue = self.now()["queue"]
            stop.set()
            reading.join()
            self.assertEqual([q["class"] for q in queue], ["api"])
        sample = busy()[1]
        self.assertGreater(sample["read_gb_s"], 0)
        self.assertGreaterEqual(sample["tau"], 1)
        self.assertGreater(sample["ram_bytes"], 100e6)
        wait_until(lambda: self.now()["queue"] == [], what="an empty queue")


if __name__ == "__main__":
    main()
