"""What the suites share: a server on a home of its own, plain HTTP over a socket, waiting for a condition."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import contract

WATRA, TEST_HOME = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = "smollm2"
PATIENCE = 600  # seconds after which what is waited for will never come, however busy the machine; no test's point is this number


class Server:
    """`watra serve` as a child; the token, the port and what it logged."""

    def __init__(self, *options, model=MODEL, command=("serve",), wait=True, files="SmolLM2"):
        self.folder = tempfile.TemporaryDirectory(prefix="watra-server-")
        self.home = pathlib.Path(self.folder.name)
        (self.home / "models").mkdir()
        for file in (TEST_HOME / "models").glob("*.gguf"):
            if files in file.name:
                (self.home / "models" / file.name).symlink_to(file.resolve())
        args = [WATRA, *command, "--home", str(self.home), "--port", "0", "-v"]
        if command != ("serve",):
            args = [WATRA, "--home", str(self.home), *command]
        elif model:
            args += ["--model", model]
        self.args = args + list(options)
        self.start()
        if wait:
            self.wait_for_line()

    def start(self):
        self.process = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log, self.lines = [], []
        errors, log = self.process.stderr, self.log
        self.reader = threading.Thread(target=lambda: log.extend(errors), daemon=True)
        self.reader.start()

    def restart(self):
        """The same home again, after the process has ended."""
        self.reader.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        self.start()
        self.wait_for_line()

    def wait_for_line(self):
        self.line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on http://([^:]+):(\d+)\n", self.line)
        if not match:
            self.process.wait(PATIENCE)
            raise RuntimeError(f"no server: {self.line!r} {''.join(self.log)}")
        self.host, self.port = match[1], int(match[2])
        token = self.home / "token"
        self.token = token.read_text().strip() if token.exists() else "none"
        self.url = f"http://{self.host}:{self.port}"

    def stop(self, how=signal.SIGTERM):
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.reader.join(PATIENCE)
            self.process.stdout.close()
            self.process.stderr.close()
            self.folder.cleanup()
        return time.monotonic() - began

    def connect(self, timeout=PATIENCE):
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def head(self, method, path, body=b"", headers=(), token=True, host=None):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'{self.host}:{self.port}'}"]
        if token:
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, *headers, "", ""]).encode()

    def request(self, method, path, body=None, **options):
        """One request on a connection of its own: (status, headers, JSON or text), held against docs/openapi_clients.json."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.connect() as s:
            s.sendall(self.head(method, path, data, **options) + data)
            reply = read_reply(s.makefile("rb"))
        if reply and method != "HEAD":
            contract.check_clients(method, path, *reply)
        return reply

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, body, **options)

    def metrics(self, *names):
        """Several of one moment."""
        text = self.get("/metrics")[2]
        return [float(re.search(rf"^llamacpp:{name} (\S+)$", text, re.M)[1]) for name in names]

    def metric(self, name):
        return self.metrics(name)[0]

    def n_requests(self):
        """That are answered or wait for it."""
        return sum(self.metrics("requests_processing", "requests_deferred"))

    def rss_mib(self, what="VmRSS"):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) / 1024

    def peak_mib(self):
        return self.rss_mib("VmHWM")


def read_reply(f):
    status_line = f.readline().decode()
    if not status_line:
        return None
    status = int(status_line.split()[1])
    headers = {}
    while (line := f.readline().decode().strip()):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(f.readline(), 16)):
            body += f.read(size)
            f.readline()
        f.readline()
    else:
        body = f.read(int(headers.get("content-length", 0)))
    text = body.decode()
    return status, headers, json.loads(text) if headers.get("content-type") == "application/json" else text


class Asking(unittest.TestCase):
    """One server for all tests of a class, and requests that must be taken, or refused by the name of a field."""
    options, model, files = ("--ctx", "512"), MODEL, "SmolLM2"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options, model=cls.model, files=cls.files)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def ok(self, path, body, status=200):
        got, _, reply = self.server.post(path, body)
        self.assertEqual(got, status, reply)
        return reply

    def refused(self, path, body, param, status=400):
        error = self.ok(path, body, status)["error"]
        self.assertEqual(error["param"], param, error)
        self.assertTrue(error["message"])
        return error


def wait_until(condition, seconds=PATIENCE, what="the condition"):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not come about in {seconds} s")
        time.sleep(0.02)


def shortest(attempt, enough, tries=6):
    """Of the seconds that each attempt() takes: where time itself is the point. A machine with other work only ever adds to them, so
    the shortest of a few is what the program takes; the first that is short enough ends it."""
    best = attempt()
    for _ in range(tries - 1):
        if best < enough:
            break
        best = min(best, attempt())
    return best


def sse_data(text):
    """The JSON of each data line; [DONE] as a text."""
    out = []
    for line in text.splitlines():
        if line.startswith("data: "):
            out.append(line[6:] if line[6:] == "[DONE]" else json.loads(line[6:]))
    return out


def main(extra=0):
    if not any((TEST_HOME / "models").glob("*SmolLM2*.gguf")):
        print(f"smollm2 is not on the shelf of {TEST_HOME}; `watra pull smollm2 --home {TEST_HOME}` brings it")
        sys.exit(1)
    os.environ.pop("http_proxy", None)
    os.environ.pop("https_proxy", None)
    os.environ["NO_PROXY"] = "*"
    chosen = [a for a in sys.argv[3:] if a[0].isupper() and "." in a]  # Class.test_name
    unittest.main(argv=[sys.argv[0], *chosen], verbosity=1, warnings="ignore")  # clients leave sockets open
