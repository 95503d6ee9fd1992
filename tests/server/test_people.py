"""How people come in: the address, the password, the cookie; and what a page from elsewhere can do with any of them."""
import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import support
from browser import Browser, way_in
from support import PATIENCE, Server, main, wait_until

PASSWORD = "zażółć gęślą jaźń"


def set_password(home, password=PASSWORD):
    return subprocess.run([support.WATRA, "password", "--home", str(home)], input=password + "\n", text=True,
                          capture_output=True, timeout=PATIENCE)


class Entering(unittest.TestCase):
    def setUp(self):
        self.server = Server(model=None)
        self.page = Browser(self.server)

    def tearDown(self):
        self.server.stop()

    def test_the_printed_address_lets_one_browser_in_once(self):
        address = way_in(self.server)
        match = re.fullmatch(rf"http://127\.0\.0\.1:{self.server.port}/#enter=([0-9a-f]{{64}})", address)
        self.assertTrue(match, address)
        self.assertEqual(self.page.get("/house")[0], 401)
        self.page.enter(match[1])
        self.assertEqual(self.page.get("/house")[0], 200)
        status, _, body = Browser(self.server).post("/session", {"code": match[1]})
        self.assertEqual((status, body["error"]["code"]), (401, "session.wrong"))
        # Nothing of it was written to the log that -v makes of requests.
        self.assertNotIn(match[1], "".join(line for line in self.server.log if "the page:" not in line))

    def test_watra_open_gives_another_address(self):
        said = subprocess.run([support.WATRA, "open", "--print", "--home", str(self.server.home), "--port", str(self.server.port)],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.page.enter(said.stdout.strip().partition("#enter=")[2])
        self.assertEqual(self.page.get("/house")[0], 200)
        nobody = subprocess.run([support.WATRA, "open", "--print", "--home", str(self.server.home), "--port", "1"],
                                capture_output=True, text=True, timeout=PATIENCE)
        self.assertNotEqual(nobody.returncode, 0)
        self.assertIn("watra serve --open", nobody.stderr)

    def test_codes_are_for_programs_with_the_token(self):
        self.page.enter()
        self.assertEqual(self.page.post("/codes", checked=False)[0], 401)  # a browser cannot make more of them
        self.assertEqual(self.server.post("/watra/v1/codes", {}, token=False)[0], 401)

    def test_without_a_session_the_page_learns_whether_there_is_a_password(self):
        status, _, body = self.page.get("/house")
        self.assertEqual((status, body["error"]["code"], body["password"]), (401, "session.needed", False))
        self.page.enter()
        self.page.ok("PUT", "/password", {"password": PASSWORD})
        self.assertIs(Browser(self.server).get("/house")[2]["password"], True)

    def test_the_cookie(self):
        code = self.server.post("/watra/v1/codes", {})[2]["code"]
        line = self.page.post("/session", {"code": code})[1]["set-cookie"]
        self.assertTrue(line.startswith(f"watra_{self.server.port}="), line)
        for part in ("HttpOnly", "SameSite=Strict", "Path=/watra/v1"):
            self.assertIn(part, line)
        self.assertNotIn("Domain", line)

    def test_sessions_are_told_and_end(self):
        self.page.enter()
        session = self.page.ok("GET", "/session")
        self.assertEqual((session["device"], session["password"], session["sessions"]), ("Firefox, Linux", False, 1))
        other = Browser(self.server).enter()
        self.assertEqual(self.page.ok("GET", "/session")["sessions"], 2)
        kept = other.cookie
        other.ok("DELETE", "/session")
        self.assertIsNone(other.cookie)
        other.cookie = kept  # a thief who kept it
        self.assertEqual(other.get("/session")[0], 401)
        third = Browser(self.server).enter()
        kept = third.cookie
        self.page.ok("DELETE", "/sessions")
        third.cookie = kept
        self.assertEqual(third.get("/session")[0], 401)

    def test_streams_end_with_their_sessions_however_much_there_is_to_tell(self):
        self.page.enter()
        other, third = Browser(self.server).enter(), Browser(self.server).enter()
        streams = [other.events(), third.events()]
        wait_until(lambda: all(len(s.all) >= 2 for s in streams))
        going = threading.Event()
        program = lambda i: self.server.request("PATCH", "/watra/v1/settings", {"look.text_size": ("small", "large")[i % 2]})

        def tell():  # a program with the token goes on changing things, so that no stream is ever silent
            i = 0
            while not going.is_set():
                program(i := i + 1)
        teller = threading.Thread(target=tell)
        teller.start()
        try:
            wait_until(lambda: all(s.of("engine.settings") for s in streams))
            kept = other.cookie
            other.ok("DELETE", "/session")
            wait_until(lambda: streams[0].ended.is_set(), what="the end of the stream of the one that left")
            self.assertFalse(streams[1].ended.is_set())
            self.page.ok("DELETE", "/sessions")
            wait_until(lambda: streams[1].ended.is_set(), what="the end of the stream of another session")
            other.cookie = kept
            self.assertEqual(other.get("/session")[0], 401)
        finally:
            going.set()
            teller.join()

    def test_who_comes_in_again_leaves_nothing_behind(self):
        self.page.enter()
        self.page.enter()
        self.assertEqual(self.page.ok("GET", "/session")["sessions"], 1)

    def test_choosing_and_changing_the_password(self):
        self.page.enter()
        for short in ("1234567", "", "a" * 257):
            status, _, body = self.page.request("PUT", "/password", {"password": short})
            self.assertEqual((status, body["error"]["code"], body["error"]["param"]), (400, "request.invalid", "password"), short)
        self.page.ok("PUT", "/password", {"password": PASSWORD})
        status, _, body = self.page.request("PUT", "/password", {"password": "another one"})
        self.assertEqual((status, body["error"]["code"]), (401, "session.wrong"))
        other = Browser(self.server)
        self.assertEqual(other.post("/session", {"password": PASSWORD})[0], 200)
        self.page.ok("PUT", "/password", {"current": PASSWORD, "password": "another one"})
        self.assertEqual(self.page.get("/session")[0], 200)
        self.assertEqual(other.get("/session")[0], 401)  # who knew the old one is out
        self.assertEqual(other.post("/session", {"password": PASSWORD})[0], 401)
        self.assertEqual(other.post("/session", {"password": "another one"})[0], 200)

    def test_five_tries_a_minute(self):
        self.page.enter()
        self.page.ok("PUT", "/password", {"password": PASSWORD})
        guest = Browser(self.server)
        for i in range(5):
            status, _, body = guest.post("/session", {"password": f"guess {i}"})
            self.assertEqual((status, body["error"]["code"]), (401, "session.wrong"))
        status, headers, body = guest.post("/session", {"password": PASSWORD})
        self.assertEqual((status, body["error"]["code"]), (429, "session.wait"))
        self.assertTrue(1 <= int(headers["retry-after"]) <= 60)
        guest.enter()  # a code is no guess
        self.assertEqual(self.page.get("/session")[0], 200)  # and who is in stays in

    def test_a_code_or_a_password(self):
        for body in ({}, {"code": "a", "password": "b"}, {"code": 1}, {"code": "a" * 2000}, {"password": ["x"]}):
            status, _, reply = self.page.post("/session", body)
            self.assertEqual((status, reply["error"]["code"]), (400, "request.invalid"), body)


class Restarts(unittest.TestCase):
    def test_sessions_survive_and_the_files_are_the_owners(self):
        first = Server(model=None)
        page = Browser(first).enter()
        page.ok("PUT", "/password", {"password": PASSWORD})
        cookie, port = page.cookie.partition("=")[2], first.port
        mode = stat.S_IMODE(os.stat(first.home / "home.db").st_mode)
        self.assertEqual(mode, 0o600)
        for file in first.home.glob("home.db*"):
            self.assertNotIn(PASSWORD.encode(), file.read_bytes())
            self.assertNotIn(cookie.encode(), file.read_bytes())
        first.process.kill()  # not even an orderly end is needed
        first.process.wait()
        command = [support.WATRA, "serve", "--home", str(first.home), "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            process.stdout.readline()
            self.assertEqual(page.get("/session")[0], 200)
        finally:
            process.terminate()
            said = process.communicate(timeout=PATIENCE)[1]
            first.stop()
        self.assertIn(f"the page: http://127.0.0.1:{port}/\n", said)  # with a password no code lies about


class FromElsewhere(unittest.TestCase):
    """SameSite=Strict does not stop a page of another port: cookies ignore ports, and localhost is one site."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(model=None)
        cls.page = Browser(cls.server).enter()
        cls.cookie = f"Cookie: {cls.page.cookie}"

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def refused(self, method, path, headers, status=403, code="origin.foreign"):
        got, _, body = self.page.request(method, path, None if method == "GET" else {}, headers=[self.cookie, *headers])
        self.assertEqual((got, body["error"]["code"]), (status, code), headers)

    def test_another_origin_with_our_cookie(self):
        port = self.server.port
        for origin in (f"http://127.0.0.1:{port + 1}", f"http://localhost:{port}", "http://evil.example", "null",
                       f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}.evil.example", "http://127.0.0.1"):
            self.refused("GET", "/session", [f"Origin: {origin}"])
            self.refused("DELETE", "/session", [f"Origin: {origin}", "X-Watra: 1"])
        for site in ("same-site", "cross-site", "none"):
            self.refused("GET", "/session", [f"Sec-Fetch-Site: {site}"])
            self.refused("GET", "/events", [f"Sec-Fetch-Site: {site}"])
        self.refused("GET", "/session", ["Referer: http://evil.example/"])
        self.refused("GET", "/session", [f"Referer: http://127.0.0.1:{port}.evil.example/"])
        self.assertEqual(self.page.get("/session")[0], 200)

    def test_our_cookie_without_a_word_about_the_origin(self):
        self.refused("GET", "/session", [])
        self.refused("PUT", "/password", ["X-Watra: 1"])

    def test_a_phone_over_plain_http_is_known_by_its_referer(self):
        # Browsers send neither Origin nor Sec-Fetch-Site with a GET to an insecure origin that is not loopback.
        status, _, _ = self.page.get("/session", headers=[self.cookie, f"Referer: {self.page.origin}/"])
        self.assertEqual(status, 200)

    def test_writes_carry_x_watra(self):
        own = [f"Origin: {self.page.origin}", "Sec-Fetch-Site: same-origin"]
        self.refused("PUT", "/password", own)
        self.refused("PUT", "/password", [*own, "X-Watra: 0"])

    def test_coming_in_is_the_own_pages(self):
        code = self.server.post("/watra/v1/codes", {})[2]["code"]
        for headers in ([f"Origin: http://127.0.0.1:1", "X-Watra: 1"], ["Sec-Fetch-Site: cross-site", "X-Watra: 1"],
                        [f"Origin: {self.page.origin}"]):
            status, _, body = self.page.post("/session", {"code": code}, headers=headers)
            self.assertEqual((status, body["error"]["code"]), (403, "origin.foreign"), headers)
        Browser(self.server).enter(code)  # none of them used it up

    def test_the_cookie_is_for_the_pages_api_alone(self):
        headers = self.page.headers("GET")
        for path in ("/v1/models", "/props", "/metrics", "/slots", "/api/tags"):
            self.assertEqual(self.server.get(path, token=False, headers=headers)[0], 401, path)
        body = {"prompt": "a", "max_tokens": 1}
        self.assertEqual(self.server.post("/v1/completions", body, token=False, headers=self.page.headers("POST"))[0], 401)

    def test_a_neighbours_cookie_does_not_lock_us_out(self):
        headers = self.page.headers("GET")[:-1] + [f"Cookie: watra_{self.server.port}=x; {self.page.cookie}"]
        self.assertEqual(self.page.get("/session", headers=headers)[0], 200)

    def test_the_token_needs_no_origin(self):
        self.assertEqual(self.server.get("/watra/v1/session")[0], 200)
        self.assertEqual(self.server.get("/watra/v1/house")[0], 200)

    def test_rebinding_has_no_door(self):
        for path in ("/", "/watra/v1/house", "/watra/v1/session"):
            status, _, body = self.server.get(path, token=False, host="evil.example", headers=[self.cookie])
            self.assertEqual(status, 421, path)
            if path != "/":
                self.assertEqual(body["error"]["code"], "host.unknown", path)

    def test_nothing_that_an_address_says_is_obeyed(self):  # CVE-2026-25253: a token or a gateway out of the query
        for query in (f"?token={self.server.token}", f"?code=x&enter=x", "?url=http://evil.example"):
            self.assertEqual(self.server.get("/watra/v1/house" + query, token=False)[0], 401, query)

    def test_every_route_of_the_house_has_a_door(self):  # CVE-2024-12537: a heavy route that nobody guarded
        import contract
        for path, item in contract.DOCUMENT["paths"].items():
            for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
                if (path, method) == ("/session", "post"):
                    continue
                status, _, _ = self.server.request(method.upper(), "/watra/v1" + path.replace("{id}", "x"), None if method == "get" else {}, token=False)
                self.assertEqual(status, 401, (method, path))


class Lan(unittest.TestCase):
    def test_a_first_password_by_the_command_line_and_the_banner(self):
        with tempfile.TemporaryDirectory() as folder:
            refused = subprocess.run([support.WATRA, "serve", "--lan", "--port", "0", "--home", folder], capture_output=True, text=True, timeout=PATIENCE)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("watra password", refused.stderr)
            self.assertFalse(pathlib.Path(folder, "home.db").exists())
            self.assertEqual(set_password(folder, "short").returncode, 1)
            said = set_password(folder)
            self.assertEqual(said.returncode, 0, said.stderr)
            process = subprocess.Popen([support.WATRA, "serve", "--lan", "--port", "0", "--home", folder],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                line = process.stdout.readline()
                match = re.fullmatch(r"listening on http://0\.0\.0\.0:(\d+)\n", line)
                self.assertTrue(match, line)
                server = type("Reached", (), {"host": "127.0.0.1", "port": int(match[1]), "connect": Server.connect,
                                              "head": Server.head, "request": Server.request})()
                page = Browser(server)
                self.assertIs(page.get("/house")[2]["password"], True)
                self.assertEqual(page.post("/session", {"password": PASSWORD})[0], 200)
                self.assertEqual(page.ok("GET", "/house")["door"], {"lan": True, "tls": False, "password": True})
                # A phone's browser trusts no plain origin but its own machine's, and complains of what it does not heed there.
                heads = {host: server.request("GET", "/health", token=False, host=f"{host}:{match[1]}")[1] for host in ("127.0.0.1", "localhost", "192.0.2.1")}
                self.assertEqual([("cross-origin-opener-policy" in head) for head in heads.values()], [True, True, False])
                self.assertTrue(all(head["cross-origin-resource-policy"] == "same-origin" for head in heads.values()))
                self.assertEqual(server.request("GET", "/health", token=False, host="evil.example")[0], 421)
                self.assertEqual(server.request("GET", "/health", token=False, host=f"192.0.2.1:{match[1]}")[0], 421)
            finally:
                process.terminate()
                said = process.communicate(timeout=PATIENCE)[1]
            self.assertIn("nothing is encrypted", said)


class Tls(unittest.TestCase):
    def test_the_persons_own_certificate(self):
        import ssl
        import urllib.request
        with tempfile.TemporaryDirectory() as folder:
            cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
            made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                                   "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                                   "subjectAltName=DNS:localhost,IP:127.0.0.1"], capture_output=True)
            if made.returncode != 0:
                self.skipTest("no openssl command here")
            bad = subprocess.run([support.WATRA, "serve", "--tls", cert, cert, "--port", "0", "--home", folder], capture_output=True, text=True, timeout=PATIENCE)
            self.assertNotEqual(bad.returncode, 0)
            self.assertIn("--tls", bad.stderr)
            process = subprocess.Popen([support.WATRA, "serve", "--tls", cert, key, "--port", "0", "--home", folder],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                line = process.stdout.readline()
                match = re.fullmatch(r"listening on (https://127\.0\.0\.1:\d+)\n", line)
                self.assertTrue(match, line)
                context = ssl.create_default_context(cafile=cert)
                token = pathlib.Path(folder, "token").read_text().strip()
                open_url = lambda path, **h: urllib.request.urlopen(urllib.request.Request(match[1] + path, headers=h), context=context, timeout=PATIENCE)
                self.assertEqual(json.load(open_url("/health"))["status"], "ok")
                self.assertEqual(open_url("/health").headers["cross-origin-opener-policy"], "same-origin")
                house = json.load(open_url("/watra/v1/house", Authorization=f"Bearer {token}"))
                self.assertIs(house["door"]["tls"], True)
                code = json.load(urllib.request.urlopen(urllib.request.Request(match[1] + "/watra/v1/codes", data=b"{}", headers={"Authorization": f"Bearer {token}"}), context=context, timeout=PATIENCE))["code"]
                reply = urllib.request.urlopen(urllib.request.Request(match[1] + "/watra/v1/session", data=json.dumps({"code": code}).encode(), headers={"X-Watra": "1", "Origin": match[1]}), context=context, timeout=PATIENCE)
                self.assertIn("Secure", reply.headers["Set-Cookie"])
            finally:
                process.terminate()
                process.communicate(timeout=PATIENCE)


class OllamaPort(unittest.TestCase):
    def test_programs_without_a_token_and_no_browser(self):
        import socket
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server("--ollama-port", str(port))
        try:
            other = type("Other", (), {"host": "127.0.0.1", "port": port, "token": "", "connect": Server.connect,
                                       "head": Server.head, "request": Server.request})()
            ask = lambda method, path, body=None, **o: other.request(method, path, body, token=False, **o)
            self.assertEqual(ask("GET", "/")[0], 200)
            self.assertIn("smollm2:latest", [m["name"] for m in ask("GET", "/api/tags")[2]["models"]])
            body = {"model": "smollm2", "prompt": "a", "stream": False, "options": {"num_predict": 1}}
            self.assertEqual(ask("POST", "/api/generate", body)[0], 200)
            self.assertEqual(ask("POST", "/v1/completions", {"prompt": "a", "max_tokens": 1})[0], 200)
            for header in ("Origin: http://localhost", f"Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin",
                           "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"):
                self.assertEqual(ask("GET", "/api/tags", headers=[header])[0], 403, header)
                self.assertEqual(ask("POST", "/api/generate", body, headers=[header])[0], 403, header)
            self.assertEqual(ask("GET", "/api/tags", host="evil.example")[0], 421)
            for path in ("/watra/v1/house", "/metrics", "/props", "/slots", "/nowhere"):
                self.assertEqual(ask("GET", path)[0], 404, path)
            self.assertEqual(ask("POST", "/api/pull", {"model": "smollm2"})[0], 404)
            self.assertEqual(ask("DELETE", "/api/delete", {"model": "smollm2"})[0], 404)
            self.assertEqual(server.get("/v1/models", token=False)[0], 401)  # the main port is as ever
        finally:
            server.stop()


class Opening(unittest.TestCase):
    def test_open_calls_the_persons_browser_where_there_is_a_screen(self):
        with tempfile.TemporaryDirectory() as folder:
            tool = pathlib.Path(folder, "xdg-open")
            tool.write_text(f"#!/bin/sh\necho \"$1\" > {folder}/opened.new && mv {folder}/opened.new {folder}/opened\n")
            tool.chmod(0o755)
            before = dict(os.environ)
            os.environ.update(PATH=f"{folder}:{os.environ['PATH']}", DISPLAY=":99")
            try:
                server = Server("--open", model=None)
            finally:
                os.environ.clear()
                os.environ.update(before)
            try:
                opened = pathlib.Path(folder, "opened")
                support.wait_until(opened.exists, what="the browser")
                code = opened.read_text().strip().partition("/#enter=")[2]
                self.assertNotIn(code, "".join(server.log))
                Browser(server).enter(code)
            finally:
                server.stop()

    def test_open_prints_the_address_where_there_is_none(self):
        before = {name: os.environ.pop(name) for name in ("DISPLAY", "WAYLAND_DISPLAY") if name in os.environ}
        try:
            server = Server("--open", model=None)
        finally:
            os.environ.update(before)
        try:
            self.assertIn("/#enter=", way_in(server))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
