"""The page as it is served: headers, languages, caching; needs no Node and no built page (then its stand-in is looked at)."""
import gzip
import re
import unittest

import support
from browser import Browser
from support import Server, main

CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; "
       "img-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'")


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(model=None)
        cls.index = cls.server.get("/", token=False)[2]
        cls.built = 'id="house"' in cls.index

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def raw(self, path, *headers):
        with self.server.connect() as s:
            s.sendall(self.server.head("GET", path, token=False, headers=[*headers, "Connection: close"]))
            head, _, body = s.makefile("rb").read().partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return int(lines[0].split()[1]), {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}, body

    def test_everything_carries_the_csp(self):
        for path in ("/", "/health", "/watra/v1/house", "/nowhere", "/v1/models"):
            headers = self.raw(path)[1]
            self.assertEqual(headers["content-security-policy"], CSP, path)
            self.assertEqual(headers["x-content-type-options"], "nosniff", path)
            self.assertEqual(headers["cross-origin-resource-policy"], "same-origin", path)
            self.assertEqual(headers["cross-origin-opener-policy"], "same-origin", path)
            self.assertEqual(headers["referrer-policy"], "same-origin", path)
            self.assertNotIn("access-control-allow-origin", headers)

    def test_the_page_is_open_to_everybody_and_asked_for_anew(self):
        status, headers, _ = self.raw("/")
        self.assertEqual((status, headers["cache-control"]), (200, "no-cache"))
        self.assertTrue(headers["content-type"].startswith("text/html"))
        self.assertNotIn("set-cookie", headers)

    def test_unknown_paths_are_json(self):
        for path in ("/index.html", "/assets/none.js", "/favicon.ico", "/rooms/izba", "/assets/../token", "/%2e%2e/token", "/.vite/manifest.json"):
            status, headers, body = self.raw(path)
            self.assertEqual((status, headers["content-type"]), (404, "application/json"), path)
            self.assertIn(b"error", body)
        self.assertEqual(self.server.get("/watra/v1/nowhere")[2]["error"]["code"], "route.unknown")
        self.assertEqual(self.server.get("/watra/v1/nowhere", token=False)[0], 401)

    def test_no_inline_script_and_nothing_from_elsewhere(self):
        self.assertNotRegex(self.index, r"<script(?![^>]*\bsrc=)")
        self.assertNotRegex(self.index, r"\bon[a-z]+=|javascript:|style=")
        self.assertNotRegex(self.index, r"(src|href)=\"(https?:)?//")

    def test_without_a_built_page_it_says_how_to_build_it(self):
        if self.built:
            self.skipTest("the page is built in")
        self.assertIn("make web", self.index)

    def assets(self):
        if not self.built:
            self.skipTest("the page was not built")
        return re.findall(r'(?:src|href)="(/[^"]+)"', self.index)

    def test_language_theme_and_motion_are_in_the_first_tag(self):
        self.assets()
        tag = lambda *headers: re.search(r"<html[^>]*>", self.raw("/", *headers)[2].decode())[0]
        self.assertIn('lang="pl"', tag("Accept-Language: pl-PL,pl;q=0.9,en;q=0.8"))
        self.assertIn('lang="en"', tag("Accept-Language: en-GB,en;q=0.9,pl;q=0.8"))
        self.assertIn('lang="en"', tag("Accept-Language: de"))
        self.assertRegex(tag(), r'data-theme="[a-z]+" data-motion="[a-z]+"')

    def test_assets_never_change_and_come_compressed(self):
        for path in self.assets():
            status, headers, plain = self.raw(path)
            self.assertEqual(status, 200, path)
            self.assertNotIn("content-encoding", headers)
            etag = headers["etag"]
            if path.startswith("/assets/"):
                self.assertEqual(headers["cache-control"], "public, max-age=31536000, immutable")
            status, again, body = self.raw(path, f"If-None-Match: {etag}")
            self.assertEqual((status, body, again["etag"]), (304, b"", etag))
            if path.endswith((".js", ".css", ".svg")):
                _, packed_headers, packed = self.raw(path, "Accept-Encoding: br, gzip, deflate")
                if "content-encoding" not in packed_headers:  # so small that nothing is saved
                    self.assertGreaterEqual(len(gzip.compress(plain)) + 40, len(plain), path)
                    self.assertEqual(packed, plain)
                    continue
                self.assertEqual(packed_headers["content-encoding"], "gzip", path)
                self.assertEqual(packed_headers["vary"], "Accept-Encoding")
                self.assertEqual(gzip.decompress(packed), plain)
                self.assertNotIn("content-encoding", self.raw(path, "Accept-Encoding: gzip;q=0, br")[1])

    def test_head_has_no_body(self):
        with self.server.connect() as s:
            s.sendall(self.server.head("HEAD", "/", token=False, headers=["Connection: close"]))
            self.assertTrue(s.makefile("rb").read().endswith(b"\r\n\r\n"))


class House(unittest.TestCase):
    def test_what_the_page_asks_first(self):
        server = Server()
        try:
            page = Browser(server).enter()
            house = page.ok("GET", "/house")
            self.assertEqual(house["engine"]["state"], "ready")
            self.assertEqual(house["engine"]["model"], "smollm2")
            self.assertGreater(house["engine"]["n_ctx"], 0)
            self.assertIs(house["first_start"], True)
            self.assertEqual(house["door"], {"lan": False, "tls": False, "password": False})
        finally:
            server.stop()

    def test_without_a_model(self):
        server = Server(model=None)
        try:
            engine = Browser(server).enter().ok("GET", "/house")["engine"]
            self.assertEqual((engine["state"], engine["model"], engine["n_ctx"]), ("empty", None, None))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
