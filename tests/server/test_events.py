"""The event stream: hello, what is missed is told again, pings, and its ends."""
import signal
import socket
import subprocess
import time
import unittest

import contract
import support
from browser import Browser
from support import PATIENCE, Server, main, shortest, wait_until


def load(server):
    """Something that changes: the model is asked for."""
    return server.post("/v1/completions", {"prompt": "a", "max_tokens": 1, "model": "smollm2"})


class Events(unittest.TestCase):
    def setUp(self):
        self.server = Server(model=None)
        self.page = Browser(self.server).enter()

    def tearDown(self):
        self.server.stop()

    def test_hello_and_hearth_come_first(self):
        stream = self.page.events()
        wait_until(lambda: len(stream.all) >= 2)
        self.assertEqual((stream.status, stream.headers["content-type"]), (200, "text/event-stream"))
        hello, hearth = stream.all[:2]
        self.assertEqual(hello["type"], "engine.hello")
        self.assertEqual(hello["data"]["resumed"], True)
        self.assertEqual(hello["v"], 1)
        self.assertTrue(hello["data"]["version"] and hello["data"]["boot"])
        self.assertEqual((hearth["type"], hearth["data"]), ("hearth.state", {"state": "asleep", "progress": None, "rate": None}))
        self.assertEqual((hello["thread"], hello["node"]), (None, None))
        stream.close()

    def test_loading_is_told(self):
        stream = self.page.events()
        self.assertEqual(load(self.server)[0], 200)
        wait_until(lambda: any(e["data"]["state"] == "ready" for e in stream.of("engine.state")))
        states = [e["data"]["state"] for e in stream.of("engine.state")]
        self.assertEqual(states, ["loading", "ready"])
        for event in stream.of("engine.state"):
            contract.check_schema("Engine", event["data"])
        wait_until(lambda: stream.of("hearth.state")[-1]["data"]["state"] == "idle")
        numbers = [e["seq"] for e in stream.all[2:]]
        self.assertEqual(numbers, sorted(set(numbers)))
        stream.close()

    def test_after_tells_what_was_missed_and_nothing_twice(self):
        as_of = self.page.ok("GET", "/house")["as_of"]
        load(self.server)
        wait_until(lambda: self.page.ok("GET", "/house")["engine"]["state"] == "ready")
        streams = [self.page.events(after=as_of), self.page.events(last_event_id=as_of)]
        last = self.page.mark(*streams)
        for stream in streams:
            self.assert_tells_all(stream, as_of, last)
            self.assertEqual([e["data"]["state"] for e in stream.of("engine.state")], ["loading", "ready"])
            stream.close()
        behind = self.page.events(after=last)
        newest = self.page.mark(behind)  # what changed meanwhile, as when the hash of the model's file is known, comes before it
        self.assert_tells_all(behind, last, newest)
        behind.close()

    def assert_tells_all(self, stream, after, upto):
        """Its own two words first, then each event behind `after` once, in order, none left out."""
        told = list(stream.all)
        self.assertEqual([e["type"] for e in told[:2]], ["engine.hello", "hearth.state"])
        self.assertIs(told[0]["data"]["resumed"], True)
        numbers = [e["seq"] for e in told[2:]]
        self.assertGreaterEqual(len(numbers), upto - after)
        self.assertEqual(numbers, list(range(after + 1, after + 1 + len(numbers))))

    def test_a_cut_behind_the_first_words_loses_nothing(self):
        as_of = self.page.ok("GET", "/house")["as_of"]
        load(self.server)
        wait_until(lambda: self.page.ok("GET", "/house")["engine"]["state"] == "ready")
        cut = self.page.events(after=as_of)
        wait_until(lambda: len(cut.all) >= 2)
        cut.close()
        hello, hearth = cut.all[:2]
        self.assertEqual((hello["type"], hearth["type"]), ("engine.hello", "hearth.state"))
        self.assertGreater(hello["seq"], as_of)  # newer ones are on their way
        self.assertEqual(cut.ids[:2], [as_of, as_of])  # but this connection has not come to them
        again = self.page.events(last_event_id=cut.ids[1])
        wait_until(lambda: len(again.of("engine.state")) >= 2)
        self.assertEqual([e["data"]["state"] for e in again.of("engine.state")], ["loading", "ready"])
        again.close()

    def test_numbers_that_are_not_kept_are_not_resumed(self):
        stream = self.page.events(after=10**9)
        wait_until(lambda: len(stream.all) >= 2)
        self.assertIs(stream.all[0]["data"]["resumed"], False)
        stream.close()
        for bad in ("-1", "x", "1.5", "99999999999999999999"):
            status, _, body = self.page.get(f"/events?after={bad}", checked=False)
            self.assertEqual((status, body["error"]["code"], body["error"]["param"]), (400, "request.invalid", "after"), bad)

    def test_a_wish_to_gather_is_checked(self):
        for bad in ("-1", "x", "2001"):
            status, _, body = self.page.get(f"/events?gather_ms={bad}", checked=False)
            self.assertEqual((status, body["error"]["code"], body["error"]["param"]), (400, "request.invalid", "gather_ms"), bad)

    def test_numbers_go_on_after_a_restart(self):
        load(self.server)
        house = self.page.ok("GET", "/house")
        stream = self.page.events()
        wait_until(lambda: stream.all)
        boot = stream.all[0]["data"]["boot"]
        stream.close()
        self.server.process.kill()
        self.server.process.wait()
        process = subprocess.Popen([support.WATRA, "serve", "--home", str(self.server.home), "--port", str(self.server.port)],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            process.stdout.readline()
            stream = self.page.events(after=house["as_of"])
            wait_until(lambda: stream.all)
            self.assertNotEqual(stream.all[0]["data"]["boot"], boot)
            self.assertGreaterEqual(stream.all[0]["seq"], house["as_of"])
            self.assertIs(stream.all[0]["data"]["resumed"], True)
            stream.close()
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)

    def test_ping_after_fifteen_seconds(self):
        began = time.monotonic()
        stream = self.page.events()
        wait_until(lambda: stream.comments, what="a ping")
        self.assertGreater(time.monotonic() - began, 14.5)
        self.assertLess(time.monotonic() - began, 30)  # proxies cut what is silent for a minute
        self.assertEqual(len(stream.all), 2)  # it was silent
        stream.close()

    def test_ends_with_its_session(self):
        stream = self.page.events()
        wait_until(lambda: stream.all)
        self.page.ok("DELETE", "/sessions")
        self.assertTrue(stream.ended.wait(PATIENCE))

    def test_needs_a_way_in(self):
        self.assertEqual(Browser(self.server).get("/events", checked=False)[0], 401)


class Ends(unittest.TestCase):
    def test_open_streams_do_not_hold_the_server(self):
        def stop():
            server = Server(model=None)
            streams = [Browser(server).enter().events() for _ in range(20)]
            wait_until(lambda: all(s.all for s in streams))
            took = server.stop(signal.SIGTERM)
            self.assertEqual(server.process.returncode, 0)
            self.assertTrue(all(s.ended.wait(PATIENCE) for s in streams))
            return took
        self.assertLess(shortest(stop, enough=2), 2)

    def test_whoever_leaves_leaves_nothing(self):
        server = Server(model=None)
        try:
            page = Browser(server).enter()
            for _ in range(200):
                page.events().close()
            load(server)
            stream = page.events()
            wait_until(lambda: stream.all)
            self.assertEqual(page.get("/house")[0], 200)
            stream.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
