"""Who may ask, and under which name: token, Host, Origin, the ways a server must refuse to open itself."""
import os
import socket
import stat
import subprocess
import unittest

import support
from support import Server, main


class Door(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cors-origin", "http://localhost:3000", "--allow-host", "izba.local")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_one_line_on_standard_output(self):
        self.assertEqual(self.server.line, f"listening on {self.server.url}\n")

    def test_token_file_is_the_owners(self):
        mode = stat.S_IMODE(os.stat(self.server.home / "token").st_mode)
        self.assertEqual(mode, 0o600)
        self.assertGreaterEqual(len(self.server.token), 32)

    def test_either_header_and_nothing_else(self):  # CVE-2026-45339: the doors of two APIs were not the same
        t = self.server.token
        ok = [f"Authorization: Bearer {t}", f"authorization: bearer {t}", f"x-api-key: {t}", f"X-Api-Key: {t}"]
        wrong = ["X-Nothing: 1", "Authorization: Bearer x", f"Authorization: Basic {t}", "x-api-key: x",
                 f"Cookie: token={t}", f"Authorization: Bearer {t}x"]
        for path in ("/v1/models", "/props", "/metrics", "/slots", "/api/tags"):
            for header in ok:
                self.assertEqual(self.server.get(path, token=False, headers=[header])[0], 200, header)
            for header in wrong:
                self.assertEqual(self.server.get(path, token=False, headers=[header])[0], 401, header)
        self.assertEqual(self.server.get(f"/v1/models?token={t}&api_key={t}", token=False)[0], 401)

    def test_401_in_the_shape_of_each_api(self):
        post = lambda path: self.server.post(path, {}, token=False)
        status, headers, body = post("/v1/chat/completions")
        self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
        self.assertEqual(body["error"]["type"], "authentication_error")
        self.assertEqual(post("/v1/messages")[2]["error"]["type"], "authentication_error")
        self.assertEqual(post("/v1/messages")[2]["type"], "error")
        self.assertIsInstance(post("/api/chat")[2]["error"], str)
        self.assertEqual(post("/nowhere")[0], 401)  # strangers do not learn which paths there are

    def test_health_is_open(self):
        self.assertEqual(self.server.get("/health", token=False)[2]["status"], "ok")

    def test_host_is_checked_on_every_request(self):  # CVE-2024-28224, DNS rebinding
        p = self.server.port
        for host in ("evil.example", f"evil.example:{p}", "127.0.0.1.evil.example", "192.168.1.7", "[::2]", "0.0.0.0"):
            for path in ("/health", "/v1/models", "/api/tags", "/nowhere"):
                self.assertEqual(self.server.get(path, host=host)[0], 421, (host, path))
        for host in (f"localhost:{p}", "127.0.0.1", f"[::1]:{p}", "LOCALHOST", f"izba.local:{p}"):
            self.assertEqual(self.server.get("/v1/models", host=host)[0], 200, host)
        # Origin equal to Host proves nothing: both are the attacker's.
        self.assertEqual(self.server.get("/v1/models", host="evil.example", headers=["Origin: http://evil.example"])[0], 421)

    def test_no_or_two_hosts(self):
        with self.server.connect() as s:
            s.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            self.assertEqual(support.read_reply(s.makefile("rb"))[0], 421)
        self.assertEqual(self.server.get("/health", headers=["Host: evil.example"])[0], 421)

    def test_cors_only_for_the_listed_origin(self):  # koboldcpp#539, llama.cpp#25606
        headers = self.server.get("/v1/models", headers=["Origin: http://localhost:3000"])[1]
        self.assertEqual(headers["access-control-allow-origin"], "http://localhost:3000")
        self.assertEqual(headers["vary"], "Origin")
        for origin in ("http://evil.example", "null", "http://localhost:3001"):
            headers = self.server.get("/v1/models", headers=[f"Origin: {origin}"])[1]
            self.assertNotIn("access-control-allow-origin", headers, origin)
        status, headers, _ = self.server.request("OPTIONS", "/v1/chat/completions", token=False,
                                                 headers=["Origin: http://localhost:3000"])
        self.assertEqual(status, 204)
        self.assertIn("authorization", headers["access-control-allow-headers"])
        self.assertEqual(self.server.request("OPTIONS", "/v1/models", token=False, headers=["Origin: http://evil.example"])[0], 401)

    def test_metrics_and_slots_tell_no_words(self):
        secret = "zebra-unicorn-4711"
        self.server.post("/v1/completions", {"prompt": secret, "max_tokens": 2})
        for path in ("/metrics", "/slots", "/props"):
            self.assertNotIn(secret, str(self.server.get(path)[2]))
        self.assertNotIn(secret, "".join(self.server.log))


    def test_no_address_in_a_request_is_fetched(self):  # CVE-2026-31943: a server made to ask others, by addresses that look harmless
        with socket.create_server(("127.0.0.1", 0)) as trap:
            trap.settimeout(0.3)
            port = trap.getsockname()[1]
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0x7f000001", "2130706433"):
                url = f"http://{host}:{port}/x.gguf"
                picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
                block = {"max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}]}
                for path, body in (("/v1/chat/completions", picture), ("/v1/messages", block), ("/api/chat", {"messages": [{"role": "user", "content": "a", "images": [url]}]}),
                                   ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}),
                                   ("/api/pull", {"model": url, "stream": False}), ("/watra/v1/downloads", {"name": url})):
                    self.assertIn(self.server.post(path, body)[0], (400, 404), (path, url))
                # A file's address may be named; where it leads inside, nobody is asked.
                status, _, begun = self.server.post("/watra/v1/downloads", {"name": url.replace("http://", "https://")})
                self.assertEqual(status, 202, url)
                job = self.over(begun["id"])
                self.assertEqual((job["state"], job["error"]["code"]), ("failed", "hub.not_public"), url)
            with self.assertRaises(TimeoutError):
                trap.accept()

    def over(self, job):
        find = lambda: next(j for j in self.server.get("/watra/v1/jobs")[2]["jobs"] if j["id"] == job)
        support.wait_until(lambda: find()["state"] not in ("waiting", "running"), what="the end of a download")
        return find()


class Refusals(unittest.TestCase):
    def refused(self, *options):
        done = subprocess.run([support.WATRA, "serve", "--port", "0", "--home", "/nonexistent/home", *options],
                              capture_output=True, text=True, timeout=support.PATIENCE)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_nothing_opens_to_the_network(self):
        self.assertIn("password", self.refused("--lan"))
        self.assertIn("password", self.refused("--host", "0.0.0.0"))
        self.assertIn("--no-auth-for-tests", self.refused("--host", "0.0.0.0", "--no-auth-for-tests"))
        self.assertIn("--cors-origin", self.refused("--cors-origin", "*"))


class WithoutToken(unittest.TestCase):
    def test_pages_from_elsewhere_are_refused(self):
        server = Server("--no-auth-for-tests", model=None)
        try:
            self.assertEqual(server.get("/v1/models", token=False)[0], 200)
            self.assertEqual(server.get("/v1/models", token=False, headers=["Origin: http://evil.example"])[0], 403)
            self.assertEqual(server.get("/v1/models", token=False, host="evil.example")[0], 421)
            self.assertEqual(server.get("/health")[2]["state"], "empty")
            # Without a model a request says so, and one that names a model of the shelf has it loaded.
            self.assertEqual(server.post("/v1/completions", {"prompt": "a"})[0], 404)
            self.assertEqual(server.post("/v1/completions", {"prompt": "a", "model": "smollm2", "max_tokens": 1})[0], 200)
            self.assertEqual(server.get("/v1/models")[2]["data"][0]["id"], "smollm2")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
