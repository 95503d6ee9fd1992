"""HTTP itself: keep-alive, pipelining, what is too long, too deep, too slow, and the orderly end."""
import json
import math
import threading
import time
import unittest

import support
from support import PATIENCE, Server, main, read_reply, shortest, wait_until


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_keep_alive_and_close(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            for _ in range(3):
                s.sendall(self.server.head("GET", "/health"))
                status, headers, _ = read_reply(f)
                self.assertEqual((status, headers["connection"]), (200, "keep-alive"))
            s.sendall(self.server.head("GET", "/health", headers=["Connection: close"]))
            self.assertEqual(read_reply(f)[1]["connection"], "close")
            self.assertEqual(f.read(), b"")

    def test_errors_keep_the_connection(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            for body, status in ((b"{", 400), (b'{"messages": []}', 400), (b"[1]", 400)):
                s.sendall(self.server.head("POST", "/v1/chat/completions", body) + body)
                self.assertEqual(read_reply(f)[0], status)
            s.sendall(self.server.head("GET", "/health"))
            self.assertEqual(read_reply(f)[0], 200)

    def test_pipelined_requests_are_answered_in_order(self):
        bodies = [json.dumps({"content": "x" * n}).encode() for n in (1, 2, 3)]
        with self.server.connect() as s:
            s.sendall(b"".join(self.server.head("POST", "/tokenize", b) + b for b in bodies) + self.server.head("GET", "/health"))
            f = s.makefile("rb")
            for _ in bodies:
                self.assertIn("tokens", read_reply(f)[2])
            self.assertIn("status", read_reply(f)[2])

    def test_pipelined_while_an_answer_is_made(self):
        body = json.dumps({"prompt": "Once", "max_tokens": 8}).encode()
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/v1/completions", body) + body + self.server.head("GET", "/health"))
            f = s.makefile("rb")
            self.assertEqual(read_reply(f)[2]["usage"]["completion_tokens"], 8)
            self.assertIn("status", read_reply(f)[2])

    def test_http_1_0_and_head(self):
        with self.server.connect() as s:
            s.sendall(f"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            self.assertIn(b'"status":"ok"', s.makefile("rb").read())
        with self.server.connect() as s:
            s.sendall(self.server.head("HEAD", "/health", headers=["Connection: close"]))
            self.assertTrue(s.makefile("rb").read().endswith(b"\r\n\r\n"))

    def test_head_is_get_without_a_body(self):
        paths = ["/", "/health", "/v1/models", "/v1/models/smollm2", "/props", "/slots", "/metrics", "/lora-adapters", "/api/tags", "/api/ps", "/api/version",
                 "/v1/nowhere", "/v1/models/none", "/v1/chat/completions", "/watra/v1/house", "/watra/v1/settings", "/watra/v1/export", "/watra/v1/events"]
        with self.server.connect() as s:
            f = s.makefile("rb")
            for path in paths:
                s.sendall(self.server.head("HEAD", path))
                status, headers, lines = int(f.readline().split()[1]), {}, iter(f.readline, b"\r\n")
                for line in lines:
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                if path.endswith(("/export", "/events")):  # what comes in pieces has no length
                    self.assertEqual((status, headers["transfer-encoding"]), (200, "chunked"), path)
                    continue
                got, told, body = self.server.get(path)
                self.assertEqual((status, headers["content-type"]), (got, told["content-type"]), path)
                length = len(body.encode()) if isinstance(body, str) else None
                self.assertTrue(headers["content-length"] == told["content-length"] or path == "/metrics" or status != 200, (path, length))
            s.sendall(self.server.head("GET", "/health"))  # nothing of a body came between
            self.assertEqual(read_reply(f)[2]["status"], "ok")

    def test_huge_headers(self):
        for head in (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                     b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n",
                     b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: 1\r\n" * 20_000 + b"\r\n"):
            with self.server.connect() as s:
                try:
                    s.sendall(head)
                except OSError:
                    pass
                reply = s.recv(100)
                self.assertIn(reply.split()[1], (b"431", b"400"), reply)

    def test_what_is_not_http(self):
        for head in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
                     b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"):
            with self.server.connect() as s:
                s.sendall(head)
                reply = s.recv(1000)
                self.assertTrue(reply == b"" or reply.split()[1] == b"400", (head, reply))

    def test_where_a_body_ends_is_never_guessed(self):
        body = b'{"content": "hello"}'
        inner = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for status, lines in ((501, ["Transfer-Encoding: identity"]), (501, ["Transfer-Encoding: xchunked"]), (501, ["Transfer-Encoding: gzip, chunked"]),
                              (501, ["Transfer-Encoding: chunked, identity"]), (400, ["Content-Length: 20", "Content-Length: 20"]), (400, ["Content-Length: 20, 20"]),
                              (400, ["Content-Length: 20,5"])):
            with self.server.connect() as s:
                s.sendall(self.server.head("POST", "/tokenize", headers=lines) + body + inner)
                f = s.makefile("rb")
                self.assertEqual(read_reply(f)[0], status, lines)
                self.assertEqual(f.read(), b"", lines)  # what came behind is nobody's request
        with self.server.connect() as s:
            s.sendall(b"POST /tokenize HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            self.assertEqual(read_reply(s.makefile("rb"))[0], 400)

    def test_bodies_that_are_too_long(self):
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/tokenize", headers=["Content-Length: 99999999999"]))
            self.assertEqual(read_reply(s.makefile("rb"))[0], 413)
        with self.server.connect() as s:  # without telling how long
            s.sendall(self.server.head("POST", "/tokenize", headers=["Transfer-Encoding: chunked"]))
            piece = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
            try:
                for _ in range(20):
                    s.sendall(piece)
            except OSError:
                pass
            self.assertEqual(read_reply(s.makefile("rb"))[0], 413)
        self.assertEqual(self.server.post("/tokenize", b"x", headers=["Content-Encoding: gzip"])[0], 415)

    def test_chunked_bodies_and_expect(self):
        body = b'{"content": "hello"}'
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/tokenize", headers=["Transfer-Encoding: chunked"]))
            for b in body:
                s.sendall(b"1\r\n" + bytes([b]) + b"\r\n")
            s.sendall(b"0\r\n\r\n")
            self.assertEqual(read_reply(s.makefile("rb"))[0], 200)
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/tokenize", body, headers=["Expect: 100-continue"]))
            f = s.makefile("rb")
            self.assertEqual(f.readline(), b"HTTP/1.1 100 Continue\r\n")
            f.readline()
            s.sendall(body)
            self.assertEqual(read_reply(f)[0], 200)

    def test_what_is_no_json_has_the_codes_of_each_api(self):
        for body in (b"{", b"[" * 100 + b"]" * 100, b"\xff"):
            self.assertEqual(self.server.post("/v1/chat/completions", body)[2]["error"]["code"], "invalid_json")
            self.assertEqual(self.server.post("/watra/v1/threads", body)[2]["error"]["code"], "request.invalid")

    def test_deep_json(self):
        for body in (b"[" * 1_000_000, b'{"a":' * 500_000, b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
            self.assertEqual(self.server.post("/v1/chat/completions", body)[0], 400)
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_many_keys_in_one_object(self):  # a parser that looks for each key among those before it takes minutes
        many = {f"a name that is long and the same {i}": 0 for i in range(100_000)}
        took = []
        for body in ({"unknown": [0] * len(many)}, {"unknown": many}):
            start = time.monotonic()
            self.assertEqual(self.server.post("/tokenize", {"content": "a", **body})[0], 200)
            took.append(time.monotonic() - start)
        self.assertLess(took[1], 20 + 50 * took[0])  # 20 s: what a busy machine may take for either

    def test_unknown_paths_and_methods(self):
        self.assertEqual(self.server.get("/v1/nowhere")[2]["error"]["type"], "not_found_error")
        status, headers, _ = self.server.get("/v1/chat/completions")
        self.assertEqual((status, headers["allow"]), (405, "POST"))
        for method, path in (("POST", "/v1/models"), ("OPTIONS", "/v1/models"), ("POST", "/health"), ("PUT", "/api/tags"), ("DELETE", "/watra/v1/events")):
            status, headers, _ = self.server.request(method, path)
            self.assertEqual((status, headers["allow"]), (405, "GET, HEAD"), path)
        self.assertEqual(self.server.request("PATCH", "/watra/v1/presets/x")[1]["allow"], "PUT, DELETE")
        for path in ("/../etc/passwd", "/v1/models/../../token", "//evil.example/"):
            self.assertIn(self.server.get(path)[0], (400, 404), path)
        self.assertEqual(self.server.get("http://evil.example/v1/models")[0], 421)  # a whole address says the host too

    def test_slow_clients_disturb_nobody(self):  # slow-loris
        slow = []

        def beside_slow_ones():
            for s in slow:
                s.close()
            slow[:] = [self.server.connect() for _ in range(100)]
            began = time.monotonic()
            for s in slow:
                s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-")
            self.assertEqual(self.server.get("/health")[0], 200)
            self.assertEqual(self.server.post("/v1/completions", {"prompt": "a", "max_tokens": 1})[0], 200)
            return time.monotonic() - began
        self.assertLess(shortest(beside_slow_ones, enough=9), 9)  # before they are sent away
        # One byte a second keeps nobody alive: the head has ten seconds in all.
        began, ended = time.monotonic(), set()
        while time.monotonic() - began < PATIENCE and len(ended) < len(slow):
            time.sleep(1)
            for i, s in enumerate(slow):
                s.settimeout(0.001)
                try:
                    s.send(b"a")
                    if s.recv(1) == b"":
                        ended.add(i)
                except TimeoutError:
                    pass
                except OSError:
                    ended.add(i)
        for s in slow:
            s.close()
        self.assertEqual(len(ended), len(slow))


class Ends(unittest.TestCase):
    def test_sigterm_finishes_what_is_short(self):
        def stop():
            """How long the end took; where the answer was cut, for ever if it could have been whole in the time that there is."""
            server = Server()
            ask = lambda: server.post("/v1/completions", {"prompt": "Once", "max_tokens": 20, "ignore_eos": True})
            began = time.monotonic()
            self.assertEqual(ask()[0], 200)
            alone = time.monotonic() - began
            result = []
            t = threading.Thread(target=lambda: result.append(ask()))
            t.start()
            wait_until(lambda: server.metric("requests_total") >= 2)
            took = server.stop()
            t.join()
            self.assertEqual(server.process.returncode, 0)
            status, _, reply = result[0]
            if status == 503:
                self.assertEqual(reply["error"]["code"], "stopping")
                self.assertGreater(took, 3.4, "it was not waited for")
                return math.inf if alone < 1 else took
            self.assertEqual((status, reply["usage"]["completion_tokens"]), (200, 20))
            return took
        self.assertLess(shortest(stop, enough=5), 5)

    def test_sigterm_does_not_wait_for_what_is_long(self):
        def stop():
            server = Server("--ctx", "8192")
            with server.connect() as s:
                body = json.dumps({"prompt": "Once", "max_tokens": 8000, "ignore_eos": True, "stream": True}).encode()
                s.sendall(server.head("POST", "/v1/completions", body) + body)
                s.recv(100)
                took = server.stop()
            self.assertEqual(server.process.returncode, 0)
            return took
        self.assertLess(shortest(stop, enough=5), 5)


if __name__ == "__main__":
    main()
