"""A person at the page: threads, turns, waiting for answers. Every answer and every event is held against the contract."""
import itertools
import unittest

import contract
from browser import Browser
from support import Server, wait_until

SCHEMAS = {"thread.changed": "Thread", "thread.message": "Message", "answer.progress": "Run", "compare.changed": "Compare", "series.changed": "Series", "hearth.state": "Hearth"}
_numbers = itertools.count()
ENDLESS = "Tell me a very long story."  # smollm2 goes on with it for thousands of tokens
OVER = ("done", "stopped", "failed", "interrupted")


def client_id():
    return f"c{next(_numbers)}"


def words(message):
    return "".join(p["text"] for p in message["parts"] if p["type"] == "text")


def text(said):
    return [{"type": "text", "text": said}]


def check_event(event):
    contract.check_schema("Event", event)
    if event["type"] in SCHEMAS:
        contract.check_schema(SCHEMAS[event["type"]], event["data"])
    elif event["type"] in ("answer.started", "answer.ended"):
        contract.check_schema("Run", event["data"]["run"])
        contract.check_schema("Message", event["data"]["message"])


class Person(Browser):
    def thread(self, **fields):
        return self.ok("POST", "/threads", {"client_id": client_id(), **fields})

    def say(self, thread, said, parent=None, sampling=None, status=(202,), **more):
        body = {"client_id": client_id(), "parent": parent, "parts": text(said), "sampling": {"temperature": 0, "max_tokens": 12, **(sampling or {})}, **more}
        return self.ok("POST", f"/threads/{thread}/turns", body, status)

    def message(self, message):
        return self.ok("GET", f"/messages/{message}")

    def finished(self, turn):
        answer = turn["answer"]["id"]
        wait_until(lambda: self.message(answer)["state"] in OVER, what="the end of the answer")
        return self.message(answer)


class Visit(unittest.TestCase):
    """A server for the whole class, with a person at its page."""

    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)
        cls.page = Person(cls.server).enter()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def refused(self, method, path, body, status, code, param=None):
        got, _, reply = self.page.request(method, path, body)
        self.assertEqual((got, reply["error"]["code"]), (status, code), reply)
        if param:
            self.assertEqual(reply["error"]["param"], param, reply)
        return reply["error"]
