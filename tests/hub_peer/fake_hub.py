"""A server that behaves like a model hub and its storage, and misbehaves on request. Standard library only.

/org/repo/resolve/REV/FILE   the hub: answers 302 to the storage, with X-Linked-Etag (SHA-256) and X-Linked-Size
/storage/KEY?sig=N           the storage: ranges, If-Range, ETag; reached under another host name than the hub
/api/models/org/repo/revision/REV   the list of files
/plain/NAME                  a server that is no hub: the file at once

What one file does is told by its File object; `log` keeps every request.
"""

import hashlib
import http.server
import json
import random
import re
import socket
import ssl
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit


def content(size, seed=1):
    return b"GGUF" + random.Random(seed).randbytes(size - 4)


class File:
    def __init__(self, data, **options):
        self.data = data
        self.sha256 = hashlib.sha256(data).hexdigest()  # what the hub says; a test may make it a lie
        self.etag = '"%s"' % hashlib.md5(data).hexdigest()  # of the storage
        self.ranges = True
        self.if_range = True
        self.cut_after = None      # bytes of a body after which the connection is cut ...
        self.cuts_left = 10 ** 9   # ... so many times
        self.chunk_delay = 0       # seconds between pieces of 64 KiB
        self.gate = None           # a threading.Event that bodies wait for ...
        self.gate_after = 0        # ... once the server has sent so many bytes of whatever
        self.stall_once = None     # a threading.Event: the first body stops in the middle and stays open until it is set
        self.statuses = []         # answers of the storage before it behaves: (status, headers)
        self.hub_statuses = []     # the same for the hub
        self.max_parallel = None   # bodies at the same time; above: 503
        self.token = None          # gated: the hub wants it
        self.signature_uses = None # how often a signed address works
        self.direct = False        # the hub sends the file itself
        self.linked = True         # X-Linked-* headers
        self.linked_on_head_only = False
        self.headers = {}
        self.no_length = False
        self.on_body = None        # called before each body
        self.__dict__.update(options)


class FakeHub:
    def __init__(self, certificate=None, storage_scheme="http", host="127.0.0.1"):
        self.files = {}  # ("org/repo", "main", "file.gguf") or ("plain", name)
        self.log = []    # (method, path, headers)
        self.lock = threading.Lock()
        self.served_bytes = 0
        self.active = self.most_active = 0
        self.signatures = {}
        self.redirects = {}  # path -> Location
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                hub.answer(self)

            def do_HEAD(self):
                hub.answer(self)

            def do_CONNECT(self):
                hub.tunnel(self)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.storage_url = f"{storage_scheme}://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo, name, data, revision="main", **options):
        f = File(data, **options)
        self.files[(repo, revision, name)] = f
        return f

    def add_plain(self, name, data, **options):
        f = File(data, **options)
        self.files[("plain", name)] = f
        return f

    def reset(self):
        with self.lock:
            self.log.clear()
            self.served_bytes = self.most_active = 0

    # ---- answers

    def answer(self, r):
        target = r.path
        if target.startswith("http://"):  # we are the proxy
            parts = urlsplit(target)
            target = parts.path + ("?" + parts.query if parts.query else "")
        with self.lock:
            self.log.append((r.command, r.path, dict(r.headers)))
        path = unquote(urlsplit(target).path)
        if path in self.redirects:
            return self.head(r, 302, {"Location": self.redirects[path]})
        if m := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.resolve(r, m.groups())
        if path.startswith("/storage/"):
            return self.storage(r, path, parse_qs(urlsplit(target).query))
        if m := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            return self.listing(r, *m.groups())
        if path.startswith("/plain/"):
            f = self.files.get(("plain", path[len("/plain/"):]))
            return self.body(r, f) if f else self.head(r, 404, {})
        self.head(r, 404, {})

    def head(self, r, status, headers, body=b""):
        r.send_response(status)
        for k, v in headers.items():
            r.send_header(k, v)
        r.send_header("Content-Length", str(len(body)))
        r.end_headers()
        if r.command != "HEAD":
            r.wfile.write(body)

    def resolve(self, r, key):
        f = self.files.get(key)
        if f is None:
            return self.head(r, 404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        if f.token and r.headers.get("Authorization") != "Bearer " + f.token:
            return self.head(r, 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        if f.hub_statuses:
            status, headers = f.hub_statuses.pop(0)
            return self.head(r, status, headers)
        linked = {}
        if f.linked and (r.command == "HEAD" or not f.linked_on_head_only):
            linked = {"X-Linked-Etag": f'"{f.sha256}"', "X-Linked-Size": str(len(f.data))}
        if f.direct:
            return self.body(r, f, {**linked, "ETag": f'"{f.sha256}"'})
        with self.lock:
            n = len(self.signatures) + 1
            self.signatures[str(n)] = f.signature_uses
        location = f"{self.storage_url}/storage/{'/'.join(key)}?sig={n}"
        self.head(r, 302, {**linked, "Location": location})

    def storage(self, r, path, query):
        repo_a, repo_b, revision, name = path[len("/storage/"):].split("/", 3)
        f = self.files[(f"{repo_a}/{repo_b}", revision, name)]
        signature = query.get("sig", [""])[0]
        with self.lock:
            uses = self.signatures.get(signature, 0)
            if uses is not None:
                self.signatures[signature] = uses - 1
        if uses is not None and uses <= 0:
            return self.head(r, 403, {})
        if f.statuses:
            status, headers = f.statuses.pop(0)
            return self.head(r, status, headers)
        self.body(r, f)

    def listing(self, r, repo, revision):
        siblings = [{"rfilename": k[2], "size": len(f.data)} for k, f in self.files.items() if k[:2] == (repo, revision)]
        if not siblings:
            return self.head(r, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        siblings.append({"rfilename": "README.md", "size": 3})
        self.head(r, 200, {"Content-Type": "application/json"}, json.dumps({"id": repo, "siblings": siblings}).encode())

    def body(self, r, f, extra=()):
        with self.lock:
            self.active += 1
            self.most_active = max(self.most_active, self.active)
            crowded = f.max_parallel is not None and self.active > f.max_parallel
        is_in = True

        def leave():
            nonlocal is_in
            with self.lock:
                self.active -= is_in
                is_in = False

        try:
            if crowded:
                return self.head(r, 503, {})
            self.send_body(r, f, dict(extra), leave)
        finally:
            leave()

    def send_body(self, r, f, extra, leave):
        """Calls leave() before the last piece: who has it may ask for the next body before this thread runs again."""
        if f.on_body:
            f.on_body(f, r)
        headers = {"ETag": f.etag, "Content-Type": "application/octet-stream", **f.headers, **extra}
        headers = {k: v for k, v in headers.items() if v is not None}
        data, status = f.data, 200
        wanted = r.headers.get("Range") if f.ranges else None
        if wanted and f.if_range and r.headers.get("If-Range", headers.get("ETag")) != headers.get("ETag"):
            wanted = None
        if f.ranges:
            headers["Accept-Ranges"] = "bytes"
        if wanted:
            m = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            begin, end = int(m[1]), min(int(m[2] or len(f.data)), len(f.data) - 1)
            if begin >= len(f.data):
                return self.head(r, 416, {"Content-Range": f"bytes */{len(f.data)}"})
            data, status = f.data[begin:end + 1], 206
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(f.data)}"
        r.send_response(status)
        for k, v in headers.items():
            r.send_header(k, v)
        if f.no_length:
            r.send_header("Connection", "close")
            r.close_connection = True
        else:
            r.send_header("Content-Length", str(len(data)))
        r.end_headers()
        if r.command == "HEAD":
            return
        step = 1 << 16
        for at in range(0, len(data), step):
            piece = data[at:at + step]
            if f.cut_after is not None and at + len(piece) > f.cut_after and f.cuts_left > 0:
                f.cuts_left -= 1
                piece = piece[:max(0, f.cut_after - at)]
                r.wfile.write(piece)
                r.wfile.flush()
                r.connection.shutdown(socket.SHUT_RDWR)
                r.close_connection = True
                return
            if f.stall_once and at >= len(data) // 2 and len(data) > 1:
                stall, f.stall_once = f.stall_once, None
                stall.wait()
                r.close_connection = True
                return
            while f.gate and self.served_bytes >= f.gate_after and not f.gate.wait(0.05):
                pass
            if f.chunk_delay:
                time.sleep(f.chunk_delay)
            if at + step >= len(data):
                leave()
            r.wfile.write(piece)
            with self.lock:
                self.served_bytes += len(piece)

    def tunnel(self, r):
        with self.lock:
            self.log.append(("CONNECT", r.path, dict(r.headers)))
        host, port = r.path.rsplit(":", 1)
        upstream = socket.create_connection((host, int(port)))
        r.send_response(200)
        r.end_headers()

        def pump(a, b):
            try:
                while piece := a.recv(1 << 16):
                    b.sendall(piece)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        with upstream:
            back = threading.Thread(target=pump, args=(upstream, r.connection), daemon=True)
            back.start()
            pump(r.connection, upstream)
            back.join()
        r.close_connection = True
