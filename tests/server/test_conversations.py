"""The conversation half of /watra/v1 against the running server: threads, turns, runs, events, search, erasing."""
import hashlib
import json
import signal
import threading
import time
import unittest

import contract
import talk
from support import PATIENCE, Server, main, wait_until
from talk import Person, Visit, client_id, text, words


class House(Visit):
    options = ("--ctx", "4096", "--parallel", "4")


class Crowd(unittest.TestCase):
    def test_more_runs_than_can_wait_are_refused(self):
        most = 256
        server = Server("--ctx", "512", "--parallel", "1")
        try:
            page = Person(server).enter()
            long = {"max_tokens": 400, "temperature": 0}
            for n in range(2 * most):  # one may end while others are asked for
                turns = f"/threads/{page.thread()['id']}/turns"
                body = {"client_id": client_id(), "parent": None, "parts": text(talk.ENDLESS), "sampling": long}
                status, headers, reply = page.request("POST", turns, body)
                if status != 202:
                    break
            self.assertEqual((status, reply["error"]["code"], headers["retry-after"]), (503, "engine.full", "5"))
            self.assertGreaterEqual(n, most)
            self.assertEqual(page.ok("GET", turns.replace("turns", "messages"))["messages"], [])  # nothing was kept
            for run in page.ok("GET", "/runs")["runs"]:
                page.request("POST", f"/runs/{run['id']}/stop", {})
            wait_until(lambda: not page.ok("GET", "/runs")["runs"])
            self.assertEqual(page.request("POST", turns, body)[0], 202)
        finally:
            server.stop()


class Narrow(Visit):
    options = ("--ctx", "1024")

    def test_a_long_conversation_keeps_its_newest_turns(self):
        thread = self.page.thread()["id"]
        parent, asked = None, []
        for i in range(5):
            turn = self.page.say(thread, f"Number {i}: " + "wood and fire " * 80, parent=parent, sampling={"max_tokens": 4})
            answer = self.page.finished(turn)
            self.assertEqual(answer["state"], "done", answer["error"])
            parent = answer["id"]
            asked.append(turn["message"]["id"])
        context = answer["answer"]["context"]
        self.assertNotEqual(context["sees_from"], asked[0])
        self.assertLessEqual(context["used_tokens"], 1024)
        prompt = self.page.ok("GET", f"/messages/{answer['id']}/prompt")
        self.assertTrue(prompt["dropped"])
        self.assertEqual(prompt["dropped"][-1]["message"], asked[0])
        now = self.page.ok("GET", f"/threads/{thread}/context")
        self.assertEqual(now["n_ctx"], 1024)
        error = self.refused("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": None, "parts": text("word " * 3000)}, 400, "context.too_long")
        self.assertEqual(error["allowed"]["n_ctx"], 1024)
        self.assertGreater(error["allowed"]["n_prompt"], 1024)


class Turns(House):
    def test_a_question_is_answered(self):
        thread = self.page.thread()
        turn = self.page.say(thread["id"], "What is the capital of France?")
        self.assertEqual(turn["message"]["role"], "user")
        self.assertEqual(turn["answer"]["parent"], turn["message"]["id"])
        self.assertEqual(turn["run"]["answer"], turn["answer"]["id"])
        answer = self.page.finished(turn)
        self.assertEqual(answer["state"], "done")
        self.assertIn("Paris", words(answer))
        facts = answer["answer"]
        self.assertEqual(facts["model"]["id"], "smollm2")
        self.assertEqual(facts["finish_reason"], "length" if facts["n_generated"] == 12 else "stop")
        self.assertEqual(facts["sampling"]["temperature"], 0)
        self.assertGreater(facts["n_prompt"], 5)
        self.assertGreater(facts["ttft_ms"], 0)
        self.assertGreater(facts["memory_bytes"], 0)
        self.assertEqual(facts["context"]["n_ctx"], 4096)
        self.assertEqual(facts["context"]["sees_from"], turn["message"]["id"])
        now = self.page.ok("GET", f"/threads/{thread['id']}")["thread"]
        self.assertEqual((now["title"], now["named"], now["run"], now["head"]), ("What is the capital of France?", False, None, answer["id"]))

    def test_pieces_and_state_meet_exactly(self):
        thread = self.page.thread()
        stream = self.page.events()
        wait_until(lambda: len(stream.all) >= 2)
        turn = self.page.say(thread["id"], "Tell me a long story about a fire.", sampling={"max_tokens": 80})
        answer = turn["answer"]["id"]
        shots = []
        while self.page.message(answer)["state"] == "running":
            shots.append(self.page.message(answer))
        whole = self.page.finished(turn)
        self.page.mark(stream)
        stream.close()
        pieces = [e for e in stream.of("answer.piece") if e["node"] == answer]
        self.assertGreater(len(pieces), 2)
        self.assertEqual("".join(e["data"]["text"] for e in pieces), words(whole))
        for shot in shots:  # what a page that reloads has and is told: nothing is missing, nothing comes twice
            rest = "".join(e["data"]["text"] for e in pieces if e["seq"] > shot["seq"])
            self.assertEqual(words(shot) + rest, words(whole))
        for event in stream.all:
            talk.check_event(event)
        numbers = [e["seq"] for e in stream.all[2:]]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        order = [e["type"] for e in stream.all if e["node"] in (answer, turn["message"]["id"]) and e["type"] not in ("answer.piece", "answer.progress")]
        self.assertEqual(order, ["thread.message", "answer.started", "answer.ended"])
        hearth = [e["data"]["state"] for e in stream.of("hearth.state")]
        self.assertIn("speaking", hearth)

    def test_gathered_words_come_together_and_none_is_missing(self):
        thread = self.page.thread()
        each, gathered = self.page.events(), self.page.events(gather_ms=1000)
        wait_until(lambda: len(each.all) >= 2 and len(gathered.all) >= 2)
        turn = self.page.say(thread["id"], "Tell me a long story about a fire.", sampling={"max_tokens": 500})
        answer = turn["answer"]["id"]
        self.page.finished(turn)
        last = self.page.mark(each, gathered)
        for stream in (each, gathered):
            stream.close()
        came = lambda stream: [(e["seq"], e["type"], e["data"]) for e in stream.all[2:] if e["seq"] <= last]
        self.assertEqual(came(gathered), came(each))
        pieces = [(n, e) for n, e in zip(gathered.chunk, gathered.all) if e["node"] == answer and e["type"] == "answer.piece"]
        seconds = (pieces[-1][1]["at"] - pieces[0][1]["at"]) / 1000
        n_chunks = len({n for n, _ in pieces})
        # Each second one chunk with words, and one with each change, which takes along what waits.
        words = ("answer.piece", "answer.progress", "hearth.state")
        n_changes = sum(pieces[0][1]["seq"] < e["seq"] < pieces[-1][1]["seq"] and e["type"] not in words for e in gathered.all[2:])
        self.assertLessEqual(n_chunks, 2 + seconds + n_changes, f"{len(pieces)} pieces in {seconds:.1f} s")
        self.assertGreater(len(pieces), n_chunks)

    def test_what_changes_and_the_first_word_wait_for_nothing(self):
        each, gathered = self.page.events(), self.page.events(gather_ms=2000)
        late = {"answer.started": [], "answer.piece": [], "answer.ended": []}
        for _ in range(8):  # a busy machine only ever adds to how late they are
            thread = self.page.thread()
            turn = self.page.say(thread["id"], talk.ENDLESS, sampling={"max_tokens": 30})
            self.page.finished(turn)
            self.page.mark(each, gathered)
            for kind, seconds in late.items():
                at = lambda stream: next(when for when, e in zip(stream.at, list(stream.all)) if e["node"] == turn["answer"]["id"] and e["type"] == kind)
                seconds.append(at(gathered) - at(each))
            if max(map(min, late.values())) < 0.3:
                break
            time.sleep(2)  # so that the next first word comes after a silence
        for kind, seconds in late.items():
            self.assertLess(min(seconds), 0.3, kind)
        for stream in (each, gathered):
            stream.close()

    def test_the_same_client_id_begins_nothing_twice(self):
        thread = self.page.thread()
        body = {"client_id": client_id(), "parent": None, "parts": text("Hi"), "sampling": {"max_tokens": 4}}
        first = self.page.ok("POST", f"/threads/{thread['id']}/turns", body)
        again = self.page.ok("POST", f"/threads/{thread['id']}/turns", body)
        self.assertEqual((first["answer"]["id"], first["run"]["id"]), (again["answer"]["id"], again["run"]["id"]))
        self.page.finished(first)
        later = self.page.ok("POST", f"/threads/{thread['id']}/turns", body)
        self.assertEqual((later["answer"]["id"], later["run"]["state"]), (first["answer"]["id"], "done"))
        self.assertEqual(self.page.ok("GET", f"/threads/{thread['id']}")["thread"]["n_messages"], 2)

    def test_stop_keeps_what_is_there(self):
        thread = self.page.thread()
        turn = self.page.say(thread["id"], talk.ENDLESS, sampling={"max_tokens": 3900})
        self.refused("POST", f"/threads/{thread['id']}/turns", {"client_id": client_id(), "parent": None, "parts": text("x")}, 409, "thread.busy")
        self.assertEqual([r["id"] for r in self.page.ok("GET", "/runs")["runs"]], [turn["run"]["id"]])
        wait_until(lambda: len(words(self.page.message(turn["answer"]["id"]))) > 20)
        self.page.ok("POST", f"/runs/{turn['run']['id']}/stop", {})
        answer = self.page.finished(turn)
        self.assertLess(answer["answer"]["n_generated"], 3900)
        self.assertEqual((answer["state"], answer["answer"]["finish_reason"]), ("stopped", "stopped"))
        self.assertGreater(len(words(answer)), 20)
        self.refused("POST", f"/runs/{turn['run']['id']}/stop", {}, 404, "run.unknown")
        on = self.page.ok("POST", f"/threads/{thread['id']}/turns", {"client_id": client_id(), "continue": answer["id"], "sampling": {"temperature": 0, "max_tokens": 10}})
        self.assertIsNone(on["message"])
        self.assertEqual(on["answer"]["id"], answer["id"])
        longer = self.page.finished(on)
        self.assertEqual(longer["state"], "done")
        self.assertTrue(words(longer).startswith(words(answer)))
        self.assertGreater(len(words(longer)), len(words(answer)))

    def test_edit_and_again_are_siblings(self):
        thread = self.page.thread()["id"]
        first = self.page.say(thread, "Say one word.", sampling={"max_tokens": 4})
        self.page.finished(first)
        edit = self.page.say(thread, "Say two words.", sampling={"max_tokens": 4})
        self.page.finished(edit)
        again = self.page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": first["message"]["id"], "sampling": {"max_tokens": 4, "seed": 5}})
        answer = self.page.finished(again)
        self.assertEqual(answer["parent"], first["message"]["id"])
        self.assertEqual(answer["answer"]["seed"], 5)
        messages = self.page.ok("GET", f"/threads/{thread}/messages")["messages"]
        self.assertEqual(len(messages), 5)
        self.assertEqual([m["parent"] for m in messages if m["role"] == "user"], [None, None])
        self.refused("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": answer["id"]}, 400, "request.invalid", "parent")
        self.refused("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": "m_no", "parts": text("x")}, 404, "message.unknown")
        fork = self.page.ok("POST", f"/threads/{thread}/fork", {"client_id": client_id(), "at": answer["id"]})
        copied = self.page.ok("GET", f"/threads/{fork['id']}/messages")["messages"]
        self.assertEqual([m["origin"] for m in copied], [first["message"]["id"], answer["id"]])

    def test_an_answer_in_the_persons_words_goes_on_from_its_end(self):
        thread = self.page.thread()["id"]
        turn = self.page.say(thread, "What is the capital of France?")
        answer = self.page.finished(turn)
        stream = self.page.events()
        wait_until(lambda: len(stream.all) >= 2)
        body = {"client_id": client_id(), "text": "The capital of France is called"}
        mine = self.page.ok("POST", f"/messages/{answer['id']}/versions", body, (201,))
        self.assertEqual(self.page.ok("POST", f"/messages/{answer['id']}/versions", body, (201,))["id"], mine["id"])
        self.assertEqual((mine["source"], mine["origin"], mine["parent"], mine["answer"]), ("edited", answer["id"], answer["parent"], None))
        self.assertEqual((words(mine), mine["actor"]), (body["text"], answer["actor"]))
        self.assertEqual(words(self.page.message(answer["id"])), words(answer))  # nothing is overwritten
        self.refused("GET", f"/messages/{mine['id']}/prompt", None, 404, "message.unknown")  # no model saw anything
        self.page.mark(stream)
        stream.close()
        self.assertEqual([e["node"] for e in stream.of("thread.message")], [mine["id"]])
        self.assertEqual([e["data"]["head"] for e in stream.of("thread.changed") if e["thread"] == thread], [mine["id"]])
        on = self.page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "continue": mine["id"], "sampling": {"temperature": 0, "max_tokens": 8}})
        longer = self.page.finished(on)
        self.assertEqual((longer["id"], longer["source"], longer["state"]), (mine["id"], "edited", "done"))
        self.assertTrue(words(longer).startswith(body["text"]) and "Paris" in words(longer), words(longer))
        begun = self.page.ok("GET", f"/messages/{mine['id']}/prompt")["spans"][-1]
        self.assertEqual((begun["text"], begun["message"], begun["role"], begun["why"]), (body["text"], mine["id"], "assistant", "begun"))
        # The next turn is answered from these words, and the search finds them.
        self.page.finished(self.page.say(thread, "And of Poland?", parent=mine["id"], sampling={"max_tokens": 2}))
        hits = self.page.ok("GET", "/search?q=%22is%20called%22")["hits"]
        self.assertIn((mine["id"], {"at": 2, "of": 2}), [(h["message"], h.get("version")) for h in hits])
        said = {"client_id": client_id(), "text": "x"}
        self.refused("POST", f"/messages/{turn['message']['id']}/versions", said, 400, "request.invalid", "id")
        self.refused("POST", f"/messages/{mine['id']}/versions", {**said, "text": ""}, 400, "request.invalid", "text")
        self.refused("POST", "/messages/m_no/versions", said, 404, "message.unknown")

    def test_an_answer_begins_with_the_words_that_were_given(self):
        thread = self.page.thread()["id"]
        begin = "Oh, that is an easy one: the city of"
        stream = self.page.events()
        wait_until(lambda: len(stream.all) >= 2)
        turn = self.page.say(thread, "What is the capital of France?", begin=begin)
        self.assertEqual(words(turn["answer"]), begin)  # from the start
        answer = self.page.finished(turn)
        self.page.mark(stream)
        stream.close()
        self.assertEqual((answer["state"], [p["type"] for p in answer["parts"]]), ("done", ["text"]))
        self.assertTrue(words(answer).startswith(begin + " Paris"), words(answer))
        pieces = "".join(e["data"]["text"] for e in stream.of("answer.piece") if e["node"] == answer["id"])
        self.assertEqual(begin + pieces, words(answer))
        spans = self.page.ok("GET", f"/messages/{answer['id']}/prompt")["spans"]
        self.assertEqual((spans[-1]["text"], spans[-1]["kind"], spans[-1]["why"], spans[-1]["message"]), (begin, "content", "begun", answer["id"]))
        self.assertTrue(spans[-2]["text"].endswith("assistant\n"), spans[-2])  # nothing of the template between
        self.assertEqual([s["why"] for s in spans if s["message"] == turn["message"]["id"]], ["asked"])
        again = {"client_id": client_id(), "parent": turn["message"]["id"], "sampling": {"temperature": 0, "max_tokens": 4}}
        other = self.page.finished(self.page.ok("POST", f"/threads/{thread}/turns", {**again, "begin": "It is"}))
        self.assertTrue(words(other).startswith("It is"), words(other))
        thought = self.page.finished(self.page.ok("POST", f"/threads/{thread}/turns", {**again, "client_id": client_id(), "begin": "<think>France, so"}))
        self.assertEqual((thought["parts"][0]["type"], thought["parts"][0]["text"][:10]), ("reasoning", "France, so"))
        turns = f"/threads/{thread}/turns"
        self.refused("POST", turns, {"client_id": client_id(), "continue": answer["id"], "begin": "x"}, 400, "request.invalid", "begin")
        self.refused("POST", turns, {**again, "client_id": client_id(), "begin": ""}, 400, "request.invalid", "begin")
        self.refused("POST", turns, {**again, "client_id": client_id(), "begin": "word " * 5000}, 400, "context.too_long")

    def test_an_answer_names_the_file_that_made_it(self):
        file = self.server.home / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        loaded = lambda: next(m for m in self.page.ok("GET", "/models")["models"] if m["state"] == "loaded")
        wait_until(lambda: loaded()["sha256"] == sha256, what="the hash of a file that no download has checked")
        answer = self.page.finished(self.page.say(self.page.thread()["id"], "Hi", sampling={"max_tokens": 2}))
        self.assertEqual((answer["answer"]["model"]["file"], answer["answer"]["model"]["sha256"]), (file.name, sha256))

    def test_settings_persona_and_system_reach_the_model(self):
        self.page.ok("PUT", "/personas/gazda", {"name": "Gazda", "text": "Jesteś gospodarzem chaty na hali."})
        thread = self.page.thread(persona="gazda")["id"]
        self.page.ok("PATCH", f"/threads/{thread}", {"system": "Mów krótko.", "sampling": {"top_k": 7}})
        turn = self.page.say(thread, "Kto tu mieszka? <|im_end|>", sampling={"max_tokens": 3})
        answer = self.page.finished(turn)
        self.assertEqual(answer["actor"], {"kind": "companion", "id": "gazda", "name": "Gazda"})
        self.assertEqual((answer["answer"]["persona"], answer["answer"]["sampling"]["top_k"], answer["answer"]["sampling"]["max_tokens"]), ("gazda", 7, 3))
        prompt = self.page.ok("GET", f"/messages/{answer['id']}/prompt")
        content = {s["what"]: s for s in prompt["spans"] if s["kind"] == "content"}
        self.assertEqual(content["persona"]["text"], "Jesteś gospodarzem chaty na hali.")
        self.assertEqual(content["system"]["text"].strip(), "Mów krótko.")
        self.assertEqual((content["turn"]["text"], content["turn"]["message"], content["turn"]["role"]), ("Kto tu mieszka? <|im_end|>", turn["message"]["id"], "user"))
        self.assertEqual(prompt["spans"][-1]["what"], "generation")
        self.assertEqual(prompt["template"], "chatml")
        self.assertEqual(prompt["n_tokens"], answer["answer"]["n_prompt"])
        self.assertEqual(prompt["seed"], answer["answer"]["seed"])

    def test_new_conversations_begin_with_the_persona_of_the_settings(self):
        self.page.ok("PUT", "/personas/usual", {"name": "Gazda", "text": "Jesteś gazdą."})
        self.refused("PATCH", "/settings", {"house.persona": "nobody"}, 404, "persona.unknown")
        self.page.ok("PATCH", "/settings", {"house.persona": "usual"})
        self.assertEqual((self.page.thread()["persona"], self.page.thread(persona=None)["persona"]), ("usual", None))
        self.page.ok("DELETE", "/personas/usual")
        self.assertEqual(self.page.ok("GET", "/settings")["values"]["house.persona"], "")
        self.assertIsNone(self.page.thread()["persona"])

    def test_a_draft_stays_where_something_else_is_said(self):
        thread = self.page.thread()["id"]
        draft = {"text": "A na deszczu", "parts": [], "at_ms": 1}
        self.page.ok("PATCH", f"/threads/{thread}", {"draft": draft})
        turn = self.page.say(thread, "Jak rozpalić ogień?", sampling={"max_tokens": 2})
        self.page.finished(turn)
        self.assertEqual(self.page.ok("GET", f"/threads/{thread}")["thread"]["draft"]["text"], "A na deszczu")
        again = self.page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "parent": turn["message"]["id"], "sampling": {"max_tokens": 2}})
        self.page.finished(again)
        self.assertEqual(self.page.ok("GET", f"/threads/{thread}")["thread"]["draft"]["text"], "A na deszczu")
        last = self.page.say(thread, "A na deszczu", parent=again["answer"]["id"], sampling={"max_tokens": 2})
        self.page.finished(last)
        self.assertIsNone(self.page.ok("GET", f"/threads/{thread}")["thread"]["draft"])

    def test_a_conversation_outlives_its_persona(self):
        self.page.ok("PUT", "/personas/baca", {"name": "Baca", "text": "Jesteś bacą."})
        thread = self.page.thread(persona="baca")["id"]
        first = self.page.finished(self.page.say(thread, "Kto tu mieszka?", sampling={"max_tokens": 3}))
        self.page.ok("DELETE", "/personas/baca")
        self.assertIsNone(self.page.ok("GET", f"/threads/{thread}")["thread"]["persona"])
        self.assertEqual(self.page.message(first["id"])["actor"], {"kind": "companion", "id": "baca", "name": "Baca"})  # who spoke has spoken
        said = self.page.finished(self.page.say(thread, "A teraz?", parent=first["id"], sampling={"max_tokens": 3}))
        self.assertEqual((said["state"], said["actor"]["kind"]), ("done", "model"))
        turns = f"/threads/{thread}/turns"
        again = self.page.finished(self.page.ok("POST", turns, {"client_id": client_id(), "parent": first["parent"], "sampling": {"max_tokens": 3}}))
        self.assertEqual(again["actor"]["kind"], "model")
        on = self.page.finished(self.page.ok("POST", turns, {"client_id": client_id(), "continue": first["id"], "sampling": {"max_tokens": 3}}))
        self.assertEqual(on["state"], "done")
        self.page.ok("PATCH", f"/threads/{thread}", {"persona": "baca"})  # named by who did not know: taken for none
        self.assertEqual(self.page.finished(self.page.say(thread, "I jeszcze?", parent=said["id"], sampling={"max_tokens": 3}))["actor"]["kind"], "model")

    def test_what_cannot_be_is_refused_by_name(self):
        thread = self.page.thread()["id"]
        turns = f"/threads/{thread}/turns"
        said = {"parent": None, "parts": text("x")}
        self.refused("POST", turns, {**said}, 400, "request.invalid", "client_id")
        self.refused("POST", turns, {**said, "client_id": "a b"}, 400, "request.invalid", "client_id")
        self.refused("POST", turns, {**said, "client_id": client_id(), "sampling": {"temperature": 5.5}}, 400, "request.invalid", "sampling.temperature")
        self.refused("POST", turns, {**said, "client_id": client_id(), "model": "nothing-1b"}, 404, "model.unknown", "model")
        self.refused("POST", turns, {**said, "client_id": client_id(), "persona": "nobody"}, 404, "persona.unknown")
        self.refused("POST", turns, {"client_id": client_id(), "parts": []}, 400, "request.invalid", "parts")
        self.refused("POST", turns, {"client_id": client_id(), "parts": text("")}, 400, "request.invalid", "parts")
        self.refused("POST", turns, {"client_id": client_id(), "parts": [{"type": "image", "hash": "x"}]}, 400, "request.invalid", "parts")
        self.refused("POST", turns, {"client_id": client_id(), "parts": [{"type": "attachment", "hash": "x", "name": "a", "mime": "b", "bytes": 1, "n_tokens": None}]}, 404, "attachment.unknown")
        self.refused("POST", "/threads/t_no/turns", {**said, "client_id": client_id()}, 404, "thread.unknown")
        self.refused("GET", "/threads?limit=0", None, 400, "request.invalid", "limit")
        self.refused("GET", f"/threads?before_id={thread}", None, 400, "request.invalid", "before_id")
        self.refused("PATCH", f"/threads/{thread}", {"title": ""}, 400, "request.invalid", "title")
        self.refused("GET", f"/messages/{thread}/prompt", None, 404, "message.unknown")
        self.assertEqual(self.page.ok("GET", f"/threads/{thread}")["thread"]["n_messages"], 0)

    def test_pages_of_the_list_meet_where_many_are_of_one_time(self):
        talk = lambda i: {"watra": 1, "thread": {"id": f"t_same_{i}", "title": f"T{i}", "created_ms": 1000, "updated_ms": 1000},
                          "messages": [{"id": f"m_same_{i}", "parent": None, "role": "user", "at_ms": 1000, "state": "done", "parts": text("x")}]}
        lines = "\n".join(json.dumps(talk(i)) for i in range(12))
        job = self.server.request("POST", "/watra/v1/import", lines.encode())[2]
        wait_until(lambda: next(j for j in self.page.ok("GET", "/jobs")["jobs"] if j["id"] == job["id"])["state"] == "done", what="the import")
        seen, query = [], ""
        while True:
            page = self.page.ok("GET", "/threads?limit=5" + query)
            seen += [t["id"] for t in page["threads"]]
            if not page["more"]:
                break
            query = f"&before={page['threads'][-1]['updated_ms']}&before_id={page['threads'][-1]['id']}"
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual({t for t in seen if t.startswith("t_same_")}, {f"t_same_{i}" for i in range(12)})
        self.assertFalse(self.page.ok("GET", "/threads?before=1000")["threads"])
        # Pinned ones have pages of their own, and what was said in one moment is found once each.
        for i in range(7):
            self.page.ok("PATCH", f"/threads/t_same_{i}", {"pinned": True, "archived": True})
        for i in range(7, 12):
            self.page.ok("PATCH", f"/threads/t_same_{i}", {"archived": True})
        seen, query = [], ""
        while True:
            page = self.page.ok("GET", "/threads?archived=true&limit=3" + query)
            seen += [t["id"] for t in page["threads"]]
            if not page["more"]:
                break
            last = page["threads"][-1]
            query = f"&before={last['updated_ms']}&before_id={last['id']}&before_pinned={json.dumps(last['pinned'])}"
        self.assertEqual(sorted(seen), sorted(f"t_same_{i}" for i in range(12)))
        seen, query = [], ""
        while True:
            page = self.page.ok("GET", "/search?q=x&limit=5" + query)
            seen += [hit["message"] for hit in page["hits"]]
            if not page["more"]:
                break
            query = f"&before={page['hits'][-1]['at_ms']}&before_id={page['hits'][-1]['message']}"
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual({m for m in seen if m.startswith("m_same_")}, {f"m_same_{i}" for i in range(12)})
        self.refused("GET", "/threads?before_pinned=true", None, 400, "request.invalid", "before_pinned")
        self.refused("GET", "/search?q=x&before_id=m_same_1", None, 400, "request.invalid", "before_id")
        self.refused("GET", "/search?q=x&before=5&before_id=m_never", None, 400, "request.invalid", "before_id")

    def test_many_conversations_at_once(self):
        one, two, three = (self.page.thread()["id"] for _ in range(3))
        self.page.ok("PATCH", f"/threads/{one}", {"tags": ["a"]})
        changed = self.page.ok("PATCH", "/threads", {"ids": [one, two], "archived": True, "folder": "Hut", "add_tags": ["b"]})["threads"]
        self.assertEqual([(t["id"], t["archived"], t["folder"], t["tags"]) for t in changed], [(one, True, "Hut", ["a", "b"]), (two, True, "Hut", ["b"])])
        away = [t["id"] for t in self.page.ok("GET", "/threads?archived=true")["threads"]]
        self.assertTrue({one, two} <= set(away) and three not in away, away)
        self.refused("PATCH", "/threads", {"ids": [one, "t_no"], "archived": False}, 404, "thread.unknown")
        self.refused("PATCH", "/threads", {"ids": [], "archived": False}, 400, "request.invalid", "ids")
        self.assertTrue(self.page.ok("GET", f"/threads/{one}")["thread"]["archived"])  # all or none
        turn = self.page.say(three, talk.ENDLESS, sampling={"max_tokens": 400})
        self.refused("POST", "/threads/erase", {"ids": [one, three]}, 409, "thread.busy")
        self.page.request("POST", f"/runs/{turn['run']['id']}/stop", {})
        self.page.finished(turn)
        self.assertEqual(self.page.ok("POST", "/threads/erase", {"ids": [one, two, three]})["erased"], 2)
        for thread in (one, two, three):
            self.refused("GET", f"/threads/{thread}", None, 404, "thread.unknown")

    def test_two_devices_at_once(self):
        phone = Person(self.server).enter()
        thread = self.page.thread()["id"]
        fields = [("title", f"T{i}") if i % 2 else ("folder", f"F{i}") for i in range(20)]
        results = []

        def change(device, mine):
            results.extend(device.request("PATCH", f"/threads/{thread}", {name: value})[0] for name, value in mine)
        threads = [threading.Thread(target=change, args=(device, mine)) for device, mine in ((self.page, fields[::2]), (phone, fields[1::2]))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(results), {200})
        now = self.page.ok("GET", f"/threads/{thread}")["thread"]
        self.assertTrue(now["title"].startswith("T") and now["folder"].startswith("F"))
        said = {"parent": None, "parts": text(talk.ENDLESS), "sampling": {"temperature": 0, "max_tokens": 3900}}
        turns = []

        def ask(device):
            turns.append(device.request("POST", f"/threads/{thread}/turns", {"client_id": client_id(), **said})[::2])
        threads = [threading.Thread(target=ask, args=(device,)) for device in (self.page, phone)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        [(_, begun), (_, refused)] = sorted(turns, key=lambda turn: turn[0])
        self.assertEqual(sorted(status for status, _ in turns), [202, 409], refused)
        self.page.ok("POST", f"/runs/{begun['run']['id']}/stop", {})
        wait_until(lambda: self.page.ok("GET", f"/threads/{thread}")["thread"]["run"] is None)

    def test_search_and_erasing(self):
        thread = self.page.thread()["id"]
        turn = self.page.say(thread, "Byłem w Łodzi i zgubiłem krzesiwo", sampling={"max_tokens": 3})
        self.page.finished(turn)
        found = self.page.ok("GET", "/search?q=lodzi%20krzesiw")
        self.assertEqual([h["message"] for h in found["hits"]], [turn["message"]["id"]])
        self.assertEqual([p["text"] for p in found["hits"][0]["snippet"] if p["hit"]], ["Łodzi", "krzesiw"])
        self.assertEqual(self.page.ok("GET", "/search?q=%22krzesiwo%20lodzi%22")["hits"], [])
        self.refused("GET", "/search", None, 400, "request.invalid", "q")
        stream = self.page.events()
        wait_until(lambda: len(stream.all) >= 2)
        erased = self.page.ok("DELETE", f"/messages/{turn['message']['id']}")
        self.assertEqual(erased["erased"], 1)
        self.assertEqual(self.page.message(turn["message"]["id"])["state"], "erased")
        self.assertEqual(self.page.ok("GET", "/search?q=krzesiwo")["hits"], [])
        wait_until(lambda: any(e["data"]["state"] == "erased" for e in stream.of("thread.message")))
        stream.close()
        for file in self.server.home.rglob("home.db*"):
            self.assertNotIn("krzesiwo".encode(), file.read_bytes())
        self.assertEqual(self.page.ok("DELETE", f"/threads/{thread}")["erased"], 2)
        self.refused("GET", f"/threads/{thread}", None, 404, "thread.unknown")

    def test_settings(self):
        schema = self.page.ok("GET", "/settings/schema")
        values = self.page.ok("GET", "/settings")["values"]
        self.assertEqual(set(values), {s["key"] for s in schema["settings"]})
        changed = self.page.ok("PATCH", "/settings", {"look.theme": "papier", "sampling.top_p": 0.5})["values"]
        self.assertEqual((changed["look.theme"], changed["sampling.top_p"]), ("papier", 0.5))
        self.assertEqual(self.page.ok("GET", "/house")["settings"]["look.theme"], "papier")
        self.refused("PATCH", "/settings", {"look.theme": "watra", "sampling.top_p": 2}, 400, "request.invalid", "sampling.top_p")
        self.assertEqual(self.page.ok("GET", "/settings")["values"]["look.theme"], "papier")
        back = self.page.ok("PATCH", "/settings", {"look.theme": None, "sampling.top_p": None})["values"]
        self.assertEqual((back["look.theme"], back["sampling.top_p"]), ("watra", 0.95))


def with_template(model, template):
    """A model's file with another chat template, as long as its own."""
    content = bytearray(model.read_bytes())
    key = b"tokenizer.chat_template"
    at = content.index(key) + len(key) + 4  # behind the type
    room = int.from_bytes(content[at : at + 8], "little")
    written = template.encode()
    content[at + 8 : at + 8 + room] = written + b"{#" + b"-" * (room - len(written) - 4) + b"#}"
    return content


class Thinking(unittest.TestCase):
    """A model whose template opens the block of thoughts itself."""

    def test_an_answer_that_has_words_goes_on_behind_its_thoughts(self):
        template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n<think>{{ '\\n' }}"
        server = Server(model=None)
        try:
            (path,) = (server.home / "models").glob("*135M*")
            (server.home / "models" / "thinks.gguf").write_bytes(with_template(path, template))
            page = Person(server).enter()
            thread = page.thread(model="thinks")["id"]

            def tail(message):
                spans = page.ok("GET", f"/messages/{message['id']}/prompt")["spans"]
                self.assertEqual((spans[-1]["why"], spans[-1]["message"]), ("begun", message["id"]))
                return spans[-2]["text"].rpartition("assistant")[2] + spans[-1]["text"]

            said = page.finished(page.say(thread, "What is the capital of France?", begin="The city of"))
            self.assertEqual([p["type"] for p in said["parts"]], ["text"], said)
            self.assertTrue(words(said).startswith("The city of"), said["parts"])
            self.assertEqual(tail(said), "\n<think>\n\n</think>\n\nThe city of")
            thought = page.finished(page.say(thread, "And of Poland?", parent=said["id"], begin="<think>Poland lies"))
            self.assertEqual(thought["parts"][0]["type"], "reasoning")
            self.assertTrue(thought["parts"][0]["text"].startswith("Poland lies"), thought["parts"])
            self.assertEqual(tail(thought), "\n<think>\nPoland lies")
            mine = page.ok("POST", f"/messages/{said['id']}/versions", {"client_id": client_id(), "text": "It is"}, (201,))
            on = page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "continue": mine["id"], "sampling": {"temperature": 0, "max_tokens": 4}})
            longer = page.finished(on)
            self.assertEqual([p["type"] for p in longer["parts"]], ["text"])
            self.assertEqual(tail(longer), "\n<think>\n\n</think>\n\nIt is")
        finally:
            server.stop()


class Ends(unittest.TestCase):
    """Servers that are stopped, killed, and started again on the same home."""

    def test_killed_in_the_middle(self):
        self.ended_by(signal.SIGKILL)

    def test_stopped_in_the_middle(self):
        self.ended_by(signal.SIGTERM)

    def ended_by(self, how):
        server = Server("--ctx", "8192")
        page = Person(server).enter()
        stream = page.events()
        thread = page.thread()["id"]
        turn = page.say(thread, talk.ENDLESS, sampling={"max_tokens": 7000})
        answer = turn["answer"]["id"]
        wait_until(lambda: len([e for e in stream.of("answer.piece") if e["node"] == answer]) > 5)
        server.process.send_signal(how)
        server.process.wait(PATIENCE)
        self.assertTrue(stream.ended.wait(PATIENCE))
        shown = "".join(e["data"]["text"] for e in stream.of("answer.piece") if e["node"] == answer)
        last = stream.all[-1]["seq"]
        server.restart()
        page = Person(server).enter()
        message = page.message(answer)
        self.assertEqual(message["state"], "interrupted")
        self.assertTrue(words(message).startswith(shown), (shown, words(message)))
        self.assertEqual(message["answer"]["finish_reason"], "interrupted")
        self.assertIsNone(page.ok("GET", f"/threads/{thread}")["thread"]["run"])
        again = page.events(after=last)
        wait_until(lambda: any(e["node"] == answer for e in again.of("answer.ended")))
        self.assertTrue(again.all[0]["data"]["resumed"])
        again.close()
        on = page.ok("POST", f"/threads/{thread}/turns", {"client_id": client_id(), "continue": answer, "sampling": {"temperature": 0, "max_tokens": 8}})
        whole = page.finished(on)
        self.assertEqual(whole["state"], "done")
        self.assertTrue(words(whole).startswith(words(message)))
        server.stop()

    def test_closing_every_page_stops_nothing(self):
        server = Server("--ctx", "512")
        page = Person(server).enter()
        thread = page.thread()["id"]
        turn = page.say(thread, "Tell me about wood.", sampling={"max_tokens": 40})
        self.assertEqual(page.finished(turn)["answer"]["n_generated"], 40)
        server.stop()

    def test_without_a_model(self):
        server = Server(model=None)
        page = Person(server).enter()
        thread = page.thread()["id"]
        status, _, reply = page.post(f"/threads/{thread}/turns", {"client_id": client_id(), "parent": None, "parts": text("x")})
        self.assertEqual((status, reply["error"]["code"]), (409, "engine.empty"))
        stream = page.events()
        turn = page.say(thread, "Hi", model="smollm2", sampling={"max_tokens": 4})
        self.assertEqual(page.finished(turn)["state"], "done")
        page.mark(stream)
        self.assertIn("loading", [e["data"]["state"] for e in stream.of("answer.progress")])
        stream.close()
        server.stop()


if __name__ == "__main__":
    main()
