"""Compares, presets, personas, question sets, attachments, export and import against the running server."""
import hashlib
import io
import json
import zipfile

import contract
import talk
from browser import quoted
from support import main, wait_until
from talk import Visit, client_id, text, words


class Room(Visit):
    options = ("--ctx", "512", "--parallel", "3")

    def raw(self, method, path, body=None, headers=()):
        """Bytes instead of JSON, either way."""
        return self.server.request(method, contract.BASE + path, body, headers=list(headers))


class Compares(Room):
    options = ("--ctx", "8192", "--parallel", "3")

    def compare(self, blind=False):
        body = {"client_id": client_id(), "question": "Name a tree.", "blind": blind,
                "columns": [{"model": "smollm2", "sampling": {"max_tokens": 8, "temperature": 0}}, {"model": "smollm2", "sampling": {"max_tokens": 8, "seed": 3}}]}
        made = self.page.ok("POST", "/compares", body)
        self.assertEqual(self.page.ok("POST", "/compares", body)["id"], made["id"])
        wait_until(lambda: self.shown(made["id"])["state"] != "running", what="the end of the compare")
        return self.shown(made["id"])

    def shown(self, compare):
        return self.page.ok("GET", f"/compares/{compare}")["compare"]

    def test_two_answers_side_by_side(self):
        compare = self.compare()
        self.assertEqual((compare["state"], compare["order"], compare["revealed"]), ("done", "together", True))
        for column in compare["columns"]:
            self.assertEqual(column["state"], "done")
            self.assertTrue(words(column["answer"]))
            self.assertEqual(column["answer"]["answer"]["model"]["id"], "smollm2")
        self.assertNotIn(compare["thread"], [t["id"] for t in self.page.ok("GET", "/threads")["threads"]])
        pasted = self.page.ok("POST", f"/compares/{compare['id']}/columns", {"name": "Elsewhere", "text": "A spruce."})
        self.assertEqual((pasted["columns"][2]["pasted"], words(pasted["columns"][2]["answer"])), (True, "A spruce."))
        kept = self.page.ok("POST", f"/compares/{compare['id']}/keep", {"client_id": client_id(), "column": compare["columns"][0]["id"]})
        turn = self.page.say(kept["id"], "And another?", parent=kept["head"], sampling={"max_tokens": 3})
        self.assertEqual(self.page.finished(turn)["state"], "done")
        status, headers, table = self.raw("GET", f"/compares/export?format=csv&ids={compare['id']}")
        self.assertEqual(status, 200)
        self.assertEqual(len(table.strip().split("\r\n")), 4)
        row = self.raw("GET", f"/compares/export?format=json&ids={compare['id']}")[2][0]
        facts = compare["columns"][0]["answer"]["answer"]
        self.assertEqual(len(row), 16)
        self.assertEqual((row["file"], row["template"], row["sampling"], row["seed"]), (facts["model"]["file"], "chatml", facts["sampling"], facts["seed"]))
        self.assertEqual(row["tokens_per_s"], round(facts["decode_tokens_per_s"], 2))
        self.refused("GET", "/compares/export?format=pdf", None, 400, "request.invalid")
        self.page.ok("DELETE", f"/compares/{compare['id']}")
        self.refused("GET", f"/compares/{compare['id']}", None, 404, "compare.unknown")

    def test_blind_until_the_vote(self):
        stream = self.page.events()
        compare = self.compare(blind=True)
        self.page.mark(stream)
        answer = compare["columns"][0]["answer"]
        listed = [c for c in self.page.ok("GET", "/compares")["compares"] if c["blind"] and not c["revealed"]]
        self.assertIn(compare["id"], [c["id"] for c in listed])
        told = json.dumps([compare, listed, self.page.message(answer["id"])] + [e for e in stream.all if e["thread"] == compare["thread"]])
        self.assertNotIn("smollm", told.lower())
        self.refused("GET", f"/messages/{answer['id']}/prompt", None, 404, "message.unknown")
        for event in stream.all:
            talk.check_event(event)
        stream.close()
        voted = self.page.ok("POST", f"/compares/{compare['id']}/vote", {"column": compare["columns"][0]["id"], "verdict": "best"})
        self.assertEqual((voted["revealed"], voted["columns"][0]["model"]), (True, "smollm2"))
        self.assertEqual(self.page.message(answer["id"])["answer"]["model"]["id"], "smollm2")

    def test_a_set_is_asked_whoever_looks(self):
        columns = [{"model": "smollm2", "sampling": {"max_tokens": 4, "temperature": 0}}] * 2
        body = {"client_id": client_id(), "questions": ["Name a tree.", "Name a bird.", "Name a river."], "blind": False, "columns": columns}
        stream = self.page.events()
        begun = self.page.ok("POST", "/series", body)
        self.assertEqual((begun["all"], begun["state"]), (3, "running"))
        self.assertEqual(self.page.ok("POST", "/series", body)["id"], begun["id"])
        self.refused("POST", "/series", {**body, "client_id": client_id()}, 409, "series.busy")
        seen = lambda: self.page.ok("GET", "/series")["series"]
        wait_until(lambda: seen()["state"] != "running", what="the end of the series")
        self.assertEqual((seen()["state"], seen()["done"], seen()["compare"], seen()["error"]), ("done", 3, None, None))
        asked = [c for c in self.page.ok("GET", "/compares")["compares"] if c["question"] in body["questions"]][:3]
        self.assertEqual([(c["question"], c["state"]) for c in reversed(asked)], [(q, "done") for q in body["questions"]])
        self.page.mark(stream)
        self.assertEqual([e["data"]["done"] for e in stream.of("series.changed")], [0, 1, 2, 3])
        for event in stream.of("series.changed"):
            talk.check_event(event)
        stream.close()
        long = {**body, "client_id": client_id(), "questions": [talk.ENDLESS] * 3, "columns": [{"model": "smollm2", "sampling": {"max_tokens": 7000, "temperature": 0}}] * 2}
        running = self.page.ok("POST", "/series", long)
        stopped = self.page.ok("POST", f"/series/{running['id']}/stop", {})
        self.assertEqual((stopped["state"], stopped["all"]), ("stopped", 3))
        self.page.ok("POST", f"/compares/{running['compare']}/stop", {})
        wait_until(lambda: self.shown(running["compare"])["state"] == "stopped", what="the stop")
        self.assertEqual(len([c for c in self.page.ok("GET", "/compares")["compares"] if c["question"] == talk.ENDLESS and c["state"] == "running"]), 0)
        self.refused("POST", "/series/q_no/stop", {}, 404, "series.unknown")
        self.refused("POST", "/series", {**body, "client_id": client_id(), "questions": []}, 400, "request.invalid", "questions")
        self.refused("POST", "/series", {**body, "client_id": client_id(), "columns": [{"model": "no-such"}, {"model": "smollm2"}]}, 404, "model.unknown")
        self.assertEqual(seen()["id"], running["id"])

    def test_stop_and_refusals(self):
        columns = [{"model": "smollm2", "sampling": {"max_tokens": 7000, "temperature": 0}}] * 2
        made = self.page.ok("POST", "/compares", {"client_id": client_id(), "question": talk.ENDLESS, "blind": False, "columns": columns})
        self.refused("DELETE", f"/compares/{made['id']}", None, 409, "compare.busy")
        self.page.ok("POST", f"/compares/{made['id']}/stop", {})
        wait_until(lambda: self.shown(made["id"])["state"] == "stopped", what="the stop")
        base = {"question": "x", "blind": False, "columns": columns}
        self.refused("POST", "/compares", base, 400, "request.invalid")
        self.refused("POST", "/compares", {**base, "client_id": client_id(), "columns": columns[:1]}, 400, "request.invalid")
        self.refused("POST", "/compares", {**base, "client_id": client_id(), "columns": [{"model": "no-such"}, {"model": "smollm2"}]}, 404, "model.unknown")


class Things(Room):
    def test_personas_presets_and_sets(self):
        self.page.ok("PUT", "/personas/p1", {"name": "Baca", "text": "Krótko."})
        self.assertEqual([p["id"] for p in self.page.ok("GET", "/personas")["personas"]], ["p1"])
        self.refused("PUT", "/personas/p1", {"name": "", "text": ""}, 400, "request.invalid")
        self.page.ok("DELETE", "/personas/p1")
        self.refused("DELETE", "/personas/p1", None, 404, "persona.unknown")
        self.page.ok("PUT", "/presets/mine", {"name": {"pl": "Mój", "en": "Mine"}, "sampling": {"top_p": 0.4}})
        presets = {p["id"]: p for p in self.page.ok("GET", "/presets")["presets"]}
        self.assertEqual((presets["mine"]["builtin"], presets["calm"]["builtin"]), (False, True))
        self.refused("DELETE", "/presets/calm", None, 409, "preset.builtin")
        self.page.ok("DELETE", "/presets/mine")
        self.page.ok("PUT", "/sets/s1", {"name": "Pytania", "questions": ["a", "b"]})
        self.assertEqual(self.page.ok("GET", "/sets")["sets"][0]["questions"], ["a", "b"])
        self.page.ok("DELETE", "/sets/s1")
        self.refused("DELETE", "/sets/s1", None, 404, "set.unknown")

    def test_words_kept_ready(self):
        stream = self.page.events()
        made = self.page.ok("PUT", "/phrases/list", {"name": "List", "text": "Napisz list o {{temat}}.", "if_updated_ms": 0})
        self.assertEqual(self.page.ok("GET", "/phrases")["phrases"], [made])
        self.refused("PUT", "/phrases/list", {"name": "List", "text": ""}, 400, "request.invalid")
        self.refused("PUT", "/phrases/list", {"name": "List", "text": "x", "if_updated_ms": 0}, 409, "phrase.changed")
        self.page.ok("DELETE", "/phrases/list")
        self.refused("DELETE", "/phrases/list", None, 404, "phrase.unknown")
        self.page.mark(stream)
        self.assertEqual([e["data"] for e in stream.of("phrase.changed")], [{"id": "list", "updated_ms": made["updated_ms"]}, {"id": "list", "updated_ms": None}])
        stream.close()

    def test_what_another_page_wrote_is_not_written_over(self):
        stream = self.page.events()
        made = self.page.ok("PUT", "/personas/juhas", {"name": "Juhas", "text": "a", "if_updated_ms": 0})
        there = self.page.ok("PUT", "/personas/juhas", {"name": "Juhas", "text": "b", "if_updated_ms": made["updated_ms"]})
        self.refused("PUT", "/personas/juhas", {"name": "Juhas", "text": "c", "if_updated_ms": made["updated_ms"]}, 409, "persona.changed")
        self.assertEqual(next(p["text"] for p in self.page.ok("GET", "/personas")["personas"] if p["id"] == "juhas"), "b")
        self.page.ok("DELETE", "/personas/juhas")
        self.page.mark(stream)
        told = [e["data"] for e in stream.of("persona.changed") if e["data"]["id"] == "juhas"]
        self.assertEqual(told, [{"id": "juhas", "updated_ms": made["updated_ms"]}, {"id": "juhas", "updated_ms": there["updated_ms"]}, {"id": "juhas", "updated_ms": None}])
        stream.close()

    def test_a_text_file_enters_the_prompt(self):
        content = "The shepherd's dog is called Burek.".encode()
        status, _, kept = self.raw("POST", "/attachments", content, [f"X-Watra-Name: {quoted('pies żółty.txt')}", "Content-Type: text/plain"])
        self.assertEqual(status, 201)
        contract.check("POST", "/attachments", status, kept)
        self.assertEqual((kept["hash"], kept["name"]), (hashlib.sha256(content).hexdigest(), "pies żółty.txt"))
        self.assertGreater(kept["n_tokens"], 5)
        self.assertEqual(self.raw("GET", f"/attachments/{kept['hash']}")[2].encode(), content)
        thread = self.page.thread()["id"]
        parts = text("What is the dog called?") + [{"type": "attachment", **kept}]
        turn = self.page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": None, "parts": parts, "sampling": {"temperature": 0, "max_tokens": 16}})
        answer = self.page.finished(turn)
        prompt = self.page.ok("GET", f"/messages/{answer['id']}/prompt")
        self.assertIn("Burek", "".join(s["text"] for s in prompt["spans"] if s["message"] == turn["message"]["id"]))
        self.page.ok("DELETE", f"/threads/{thread}")
        self.assertEqual(self.raw("GET", f"/attachments/{kept['hash']}")[0], 404)

    def test_a_page_in_an_attachment_cannot_run(self):
        _, _, kept = self.raw("POST", "/attachments", b"<script>alert(1)</script>", ["Content-Type: text/html"])
        _, headers, _ = self.raw("GET", f"/attachments/{kept['hash']}")
        self.assertTrue(headers["content-type"].startswith("text/plain"))
        self.assertEqual(headers["x-content-type-options"], "nosniff")

    def imported(self, content, query="dry=false"):
        status, _, job = self.raw("POST", f"/import?{query}", content)
        self.assertEqual(status, 202, job)
        contract.check("POST", "/import", status, job)
        find = lambda: next(j for j in self.page.ok("GET", "/jobs")["jobs"] if j["id"] == job["id"])
        wait_until(lambda: find()["state"] in ("done", "failed"), what="the end of the import")
        return find()

    def test_out_and_in(self):
        thread = self.page.thread(title="Do wywozu")["id"]
        self.page.finished(self.page.say(thread, "Żółw", sampling={"max_tokens": 3}))
        self.assertIn("Żółw", self.raw("GET", f"/threads/{thread}/export?format=md")[2])
        exported = self.raw("GET", f"/threads/{thread}/export?format=json")[2]
        self.assertEqual(len(exported["messages"]), 2)
        again = self.imported(json.dumps(exported).encode())
        self.assertEqual((again["result"]["format"], again["result"]["messages"]), ("watra", 0))
        with self.server.connect() as s:
            s.sendall(self.server.head("GET", contract.BASE + "/export", headers=["Connection: close"]))
            reply = s.makefile("rb").read()
        head, _, body = reply.partition(b"\r\n\r\n")
        self.assertIn(b"application/zip", head)
        data, at = b"", 0
        while (size := int(body[at:body.index(b"\r\n", at)], 16)):
            at = body.index(b"\r\n", at) + 2
            data += body[at:at + size]
            at += size + 2
        archive = zipfile.ZipFile(io.BytesIO(data))
        for line in archive.read("SHA256SUMS").decode().splitlines():
            digest, name = line.split("  ", 1)
            self.assertEqual(hashlib.sha256(archive.read(name)).hexdigest(), digest, name)
        self.page.ok("DELETE", f"/threads/{thread}")
        back = self.imported(data)
        self.assertGreaterEqual(back["result"]["messages"], 2)
        self.assertEqual(self.page.ok("GET", f"/threads/{thread}")["thread"]["title"], "Do wywozu")
        self.page.ok("DELETE", f"/imports/{back['result']['import']}")
        self.refused("GET", f"/threads/{thread}", None, 404, "thread.unknown")

    def test_chatgpt(self):
        node = lambda parent, role, said: {"parent": parent, "message": {"author": {"role": role}, "create_time": 1700000000.0, "recipient": "all", "content": {"content_type": "text", "parts": [said]}}}
        talks = json.dumps([{"title": "Stara rozmowa", "conversation_id": "x", "current_node": "a", "mapping": {"q": node(None, "user", "Wiatr halny?"), "a": node("q", "assistant", "Wieje z południa.")}}]).encode()
        self.assertEqual(self.imported(talks, "dry=true")["result"]["messages"], 2)
        self.assertEqual(self.page.ok("GET", "/search?q=halny")["hits"], [])
        done = self.imported(talks)
        self.assertEqual((done["result"]["threads"], done["result"]["messages"]), (1, 2))
        self.assertEqual(len(self.page.ok("GET", "/search?q=halny")["hits"]), 1)
        self.assertEqual(self.imported(talks)["result"]["messages"], 0)
        self.assertEqual(self.page.ok("DELETE", f"/imports/{done['result']['import']}")["erased"], 2)
        self.refused("DELETE", f"/imports/{done['result']['import']}", None, 404, "import.unknown")
        failed = self.imported(b"nonsense")
        self.assertEqual((failed["state"], failed["error"]["code"]), ("failed", "import.unreadable"))

    def test_a_large_file_lies_on_the_disk(self):
        n_mib = 160
        content = b"[" + (b'{"no":"' + b"x" * (1 << 20) + b'"},') * n_mib + b"{}]"
        before = self.server.peak_mib()
        done = self.imported(content)
        self.assertEqual((done["state"], done["error"]["code"]), ("failed", "import.unreadable"))
        self.assertLess(self.server.peak_mib() - before, n_mib / 2)
        wait_until(lambda: not [p for p in (self.server.home / "passing").glob("*/*") if p.is_file()])
        self.refused("POST", "/import?dry=false", None, 400, "request.invalid", "body")


if __name__ == "__main__":
    main()
