"""A browser as far as the door sees one: it keeps its cookie and says where its requests come from."""
import itertools
import json
import re
import socket
import threading
import time
import urllib.parse

import contract
from support import PATIENCE, wait_until

_marks = itertools.count()


def way_in(server):
    """The address that `watra serve` prints on standard error."""
    find = lambda: re.search(r"the page: (\S+)", "".join(server.log))
    wait_until(find, what="the line with the page's address")
    return find()[1]


class Browser:
    def __init__(self, server, host=None):
        self.server, self.cookie = server, None
        self.host = host or f"{server.host}:{server.port}"
        self.origin = f"http://{self.host}"

    def headers(self, method):
        out = ["Sec-Fetch-Site: same-origin", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"]
        if method != "GET":
            out += [f"Origin: {self.origin}", "X-Watra: 1"]
        if self.cookie:
            out.append(f"Cookie: {self.cookie}")
        return out

    def request(self, method, path, body=None, headers=None, checked=True):
        """(status, headers, body); the answer is held against docs/openapi.json."""
        headers = self.headers(method) if headers is None else headers
        if body is not None:
            headers = [*headers, "Content-Type: application/json"]
        status, told, reply = self.server.request(method, contract.BASE + path, body, token=False, host=self.host,
                                                  headers=headers)
        if "set-cookie" in told:
            value = told["set-cookie"].partition(";")[0]
            self.cookie = None if value.endswith("=") else value
        if checked:
            contract.check(method, path, status, reply)
        return status, told, reply

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, {} if body is None else body, **options)

    def ok(self, method, path, body=None, status=(200, 201, 202, 204)):
        """The body of an answer that must be one of success."""
        code, _, reply = self.request(method, path, body)
        if code not in status:
            raise AssertionError(f"{method} {path}: {code} {reply}")
        return reply

    def enter(self, code=None):
        """Comes in by a code: the one given, or a new one that the token buys."""
        code = code or self.server.post("/watra/v1/codes", {})[2]["code"]
        status, _, reply = self.post("/session", {"code": code})
        assert (status, reply) == (200, {"ok": True}), (status, reply)
        return self

    def events(self, after=None, last_event_id=None, gather_ms=None):
        return Events(self, after, last_event_id, gather_ms)

    def mark(self, *streams):
        """Changes something and waits until each of the streams has told of it: what came before it has been told by then, what a
        stream has not told by then it will not tell. The number of the change."""
        thread = self.ok("POST", "/threads", {"client_id": f"mark{next(_marks)}"})["id"]
        told = lambda stream: [e["seq"] for e in stream.of("thread.changed") if e["thread"] == thread]
        wait_until(lambda: all(told(s) for s in streams), what="the event of a new thread")
        return told(streams[0])[0]


class Events:
    """The event stream, read on a thread; of each event of `all`: `at`, when it came, in seconds of time.monotonic(), and `chunk`, the number of
    the piece of the stream that it came with."""

    def __init__(self, browser, after=None, last_event_id=None, gather_ms=None):
        headers = browser.headers("GET") + ["Accept: text/event-stream"]
        if last_event_id is not None:
            headers.append(f"Last-Event-ID: {last_event_id}")
        query = urllib.parse.urlencode({name: value for name, value in (("after", after), ("gather_ms", gather_ms)) if value is not None})
        self.socket = browser.server.connect()
        self.socket.sendall(browser.server.head("GET", f"/watra/v1/events?{query}", token=False, host=browser.host, headers=headers))
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().decode().strip()):
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.all, self.ids, self.at, self.chunk, self.comments, self.ended = [], [], [], [], 0, threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def chunks(self):
        while (line := self.file.readline()):
            size = int(line, 16)
            if size == 0:
                return
            yield self.file.read(size)
            self.file.readline()

    def read(self):
        text, number = "", None
        try:
            for n, chunk in enumerate(self.chunks()):
                text += chunk.decode()
                while "\n\n" in text:
                    frame, _, text = text.partition("\n\n")
                    for line in frame.splitlines():
                        if line.startswith("id: "):
                            number = int(line[4:])
                        elif line.startswith("data: "):
                            event = json.loads(line[6:])
                            own = event["type"] in ("engine.hello", "hearth.state")
                            assert event["seq"] == number or own and number < event["seq"], (event, number)
                            self.ids.append(number)
                            self.at.append(time.monotonic())
                            self.chunk.append(n)
                            self.all.append(event)
                        elif line.startswith(":"):
                            self.comments += 1
        except (OSError, ValueError):
            pass
        self.ended.set()

    def of(self, *types):
        return [e for e in list(self.all) if e["type"] in types]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(PATIENCE)
        self.file.close()
        self.socket.close()


def quoted(text):
    return urllib.parse.quote(text, safe="")
