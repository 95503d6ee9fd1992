"""Answers and prompts that are longer than their context: context_shift, n_keep, n_discard, --endless, --context-shift, the page's setting."""
import threading
import unittest

import contract
import talk
from support import Asking, Server, main, sse_data, wait_until
from talk import Visit

CTX = 256
LONG = "One, two, three, four, five, six, seven, eight, nine, ten. "
WRITE = {"temperature": 0, "ignore_eos": True}


def step_of(n_kept):
    """Tokens that go at once, by docs/api.md: a quarter of what lies behind the kept ones (fewer than four pages)."""
    return (CTX - n_kept) // 4


def what_is_left(ids, n_kept):
    while len(ids) >= CTX:
        ids = ids[:n_kept] + ids[n_kept + step_of(n_kept):]
    return ids


class Asked(Asking):
    options = ("--ctx", str(CTX), "--parallel", "4")

    def completion(self, **body):
        return self.ok("/completion", {"prompt": LONG, **WRITE, **body})

    def chat(self, messages, **body):
        return self.ok("/v1/chat/completions", {"messages": messages, "context_shift": True, **WRITE, **body})

    def ids(self, text):
        return self.ok("/tokenize", {"content": text})["tokens"]

    def test_without_it_the_context_is_the_end(self):
        whole = self.completion(n_predict=400)
        n_prompt = len(self.ids(LONG))
        self.assertEqual((whole["tokens_predicted"], whole["truncated"], whole["stop_type"]), (CTX - n_prompt, False, "limit"))
        self.assertNotIn("forgotten_n", whole["timings"])
        for body in ({"prompt": LONG * 20}, {"prompt": LONG * 20, "context_shift": False, "n_keep": 5}):
            error = self.ok("/completion", body, 400)["error"]
            self.assertEqual((error["code"], error["n_ctx"]), ("context_length_exceeded", CTX))
        said = [{"role": "user", "content": LONG * 20}]
        self.assertEqual(self.ok("/v1/chat/completions", {"messages": said}, 400)["error"]["code"], "context_length_exceeded")

    def test_an_answer_goes_on(self):
        n_prompt = len(self.ids(LONG))
        whole = self.completion(n_predict=700, context_shift=True, return_tokens=True)
        self.assertEqual((whole["tokens_predicted"], whole["truncated"], whole["stop_type"]), (700, True, "limit"))
        self.assertEqual((whole["tokens_evaluated"], len(whole["tokens"])), (n_prompt, 700))
        # Steps begin with a full context, and the last token is not run any more.
        n_steps = (n_prompt + 700 - 1 - CTX) // step_of(64) + 1
        self.assertEqual(whole["timings"]["forgotten_n"], n_steps * step_of(64))
        settings = whole["generation_settings"]
        self.assertEqual((settings["context_shift"], settings["n_keep"], settings["n_discard"]), (True, 0, 0))
        # As far as nothing was forgotten it is the answer that ends there; from then on that of what was left.
        plain = self.completion(n_predict=700, return_tokens=True)["tokens"]
        self.assertEqual(whole["tokens"][:len(plain)], plain)
        for n_written in (CTX - n_prompt, CTX - n_prompt + 2 * step_of(64)):
            left = what_is_left(self.ids(LONG) + whole["tokens"][:n_written], 64)
            on = self.completion(prompt=left, n_predict=30, return_tokens=True)["tokens"]
            self.assertEqual(on, whole["tokens"][n_written:n_written + 30])
        parts = sse_data(self.ok("/completion", {"prompt": LONG, **WRITE, "n_predict": 700, "context_shift": True, "stream": True}))
        self.assertEqual("".join(p["content"] for p in parts), whole["content"])
        self.assertEqual((parts[-1]["truncated"], parts[-1]["timings"]["forgotten_n"]), (True, whole["timings"]["forgotten_n"]))

    def test_what_stays_and_how_much_goes(self):
        prompt = self.ids(LONG)
        for asked, n_kept, step in (({"n_keep": 100}, 100, 39), ({"n_keep": -1, "prompt": self.ids(LONG * 4)}, min(len(self.ids(LONG * 4)), 192), None),
                                    ({"n_discard": 100}, 64, 100)):
            whole = self.completion(**{"prompt": prompt, "n_predict": 250, "context_shift": True, "return_tokens": True, **asked})
            step = step or step_of(n_kept)
            n_prompt = len(asked.get("prompt", prompt))
            ids = asked.get("prompt", prompt) + whole["tokens"]
            self.assertEqual(whole["timings"]["forgotten_n"], ((n_prompt + 250 - 1 - CTX) // step + 1) * step)
            on = self.completion(prompt=ids[:n_kept] + ids[n_kept + step:CTX], n_predict=10, return_tokens=True)["tokens"]
            self.assertEqual(on, ids[CTX:CTX + 10])

    def test_a_chat_keeps_its_system_words(self):
        system = {"role": "system", "content": "You are a shepherd of few words, who has tended his fire for forty years and speaks of it in rhymes."}
        for times in (1, 4):  # a longer persona stays too
            messages = [{**system, "content": system["content"] * times}, {"role": "user", "content": LONG * 20}]
            prompt = self.ok("/apply-template", {"messages": messages})["prompt"]
            ids, n_beginning = self.ids(prompt), len(self.ids(prompt[:prompt.index(LONG)]))
            self.assertGreaterEqual(n_beginning, 25 * times)
            left = what_is_left(ids, max(n_beginning, 64))
            n = CTX - len(left)  # until the next step
            whole = self.chat(messages, max_tokens=n)
            self.assertEqual((whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]), (len(ids), n))
            self.assertEqual(whole["timings"]["forgotten_n"], len(ids) - len(left))
            self.assertEqual(whole["timings"]["prompt_n"] + whole["timings"]["cache_n"], len(left))
            self.assertEqual(whole["choices"][0]["message"]["content"], self.completion(prompt=left, n_predict=n)["content"])

    def test_every_way_of_asking(self):
        said = [{"role": "user", "content": "Tell me a very long story."}]
        chat = self.chat(said, max_tokens=400, logprobs=True)
        self.assertEqual((chat["usage"]["completion_tokens"], chat["choices"][0]["finish_reason"]), (400, "length"))
        self.assertEqual(len(chat["choices"][0]["logprobs"]["content"]), 400)
        parts = sse_data(self.ok("/v1/chat/completions", {"messages": said, "context_shift": True, **WRITE, "max_tokens": 400, "stream": True}))[:-1]
        self.assertEqual("".join(p["choices"][0]["delta"].get("content", "") for p in parts), chat["choices"][0]["message"]["content"])
        self.assertEqual(parts[-1]["timings"]["forgotten_n"], chat["timings"]["forgotten_n"])
        text = self.ok("/v1/completions", {"prompt": LONG, "max_tokens": 400, "context_shift": True, **WRITE})
        self.assertEqual(text["usage"]["completion_tokens"], 400)
        message = self.ok("/v1/messages", {"messages": said, "max_tokens": 400, "context_shift": True, **WRITE})
        self.assertEqual(message["usage"]["output_tokens"], 400)
        response = self.ok("/v1/responses", {"input": "Tell me a very long story.", "max_output_tokens": 400, "context_shift": True, **WRITE})
        self.assertEqual(response["usage"]["output_tokens"], 400)
        ollama = {"stream": False, "shift": True, "options": {**WRITE, "num_predict": 400, "num_keep": 70}}
        self.assertEqual(self.ok("/api/chat", {"messages": said, **ollama})["eval_count"], 400)
        self.assertEqual(self.ok("/api/generate", {"prompt": LONG * 20, "raw": True, **ollama})["eval_count"], 400)

    def test_truncation_of_responses(self):
        long = {"input": LONG * 20, "max_output_tokens": 5, **WRITE}
        for disabled in ({}, {"truncation": "disabled"}, {"truncation": "auto", "context_shift": False}):
            self.assertEqual(self.ok("/v1/responses", {**long, **disabled}, 400)["error"]["code"], "context_length_exceeded")
        cut = self.ok("/v1/responses", {**long, "truncation": "auto"})
        shifted = self.ok("/v1/responses", {**long, "context_shift": True})
        words = lambda reply: reply["output"][-1]["content"][0]["text"]
        self.assertEqual((cut["truncation"], shifted["truncation"], words(cut)), ("auto", "auto", words(shifted)))
        self.assertGreater(cut["usage"]["input_tokens"], CTX)  # as it was asked
        going = self.ok("/v1/responses", {"input": "Tell me a very long story.", "max_output_tokens": 400, "truncation": "auto", **WRITE})
        self.assertEqual(going["usage"]["output_tokens"], 400)
        short = self.ok("/v1/responses", {"input": "A colour?", "max_output_tokens": 2, "truncation": "disabled", **WRITE})
        self.assertEqual(short["truncation"], "disabled")

    def test_grammars_and_stop_strings_hold(self):
        never_ends = [[0, -1e6], [2, -1e6]]  # smollm2's tokens that end an answer
        only = self.completion(n_predict=350, context_shift=True, grammar='root ::= ("a" | "b" | "c ")+', temperature=1, seed=3, logit_bias=never_ends)
        self.assertEqual((only["tokens_predicted"], only["truncated"], set(only["content"]) - set("abc ")), (350, True, set()))
        whole = self.completion(n_predict=400, context_shift=True, temperature=1, seed=5)["content"]
        stop = whole[-60:-40]
        cut = self.completion(n_predict=400, context_shift=True, temperature=1, seed=5, stop=[stop])
        self.assertEqual((cut["content"], cut["stop_type"], cut["truncated"]), (whole[:whole.index(stop)], "word", True))

    def test_several_at_once_write_what_each_writes_alone(self):
        bodies = [{"prompt": LONG + str(i), **WRITE, "n_predict": 350, "context_shift": True} for i in range(4)]
        alone = [self.ok("/completion", b)["content"] for b in bodies]
        together = [None] * 4

        def ask(i):
            together[i] = self.ok("/completion", bodies[i])["content"]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(together, alone)

    def test_whoever_leaves_ends_it(self):
        s = self.server.connect()
        body = b'{"prompt": "a", "ignore_eos": true, "context_shift": true, "stream": true}'
        s.sendall(self.server.head("POST", "/completion", body) + body)
        got = b""
        while got.count(b"data: ") < 300:  # beyond the context
            more = s.recv(65536)
            self.assertTrue(more)
            got += more
        s.close()
        wait_until(lambda: self.server.n_requests() == 0, what="the end of what nobody reads")

    def test_what_cannot_be_is_refused_by_name(self):
        for path, body in (("/completion", {"prompt": "a"}), ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})):
            for field, values in {"n_keep": (CTX - 3, CTX + 100, -2, "x"), "n_discard": (-1, 0.5), "context_shift": ("yes", 1)}.items():
                for value in values:
                    error = self.refused(path, {**body, "context_shift": True, field: value}, field)
                    if value in (CTX - 3, CTX + 100):
                        self.assertIn(str(CTX), error["message"])
        self.ok("/completion", {"prompt": "a", "n_predict": 1, "n_keep": CTX + 100})  # where nothing is forgotten it means nothing
        error = self.ok("/v1/completions", {"prompt": LONG * 20, "max_tokens": 1, "echo": True, "logprobs": 1, "context_shift": True}, 400)["error"]
        self.assertEqual(error["code"], "context_length_exceeded")  # each token of the prompt is told: it must be read


class Started(unittest.TestCase):
    def test_endless(self):
        server = Server("--endless", "--ctx", str(CTX))
        try:
            said = {"messages": [{"role": "user", "content": "Hi"}], **WRITE, "max_tokens": 400}
            self.assertEqual(server.post("/v1/chat/completions", said)[2]["usage"]["completion_tokens"], 400)
            short = server.post("/v1/chat/completions", {**said, "context_shift": False})[2]["usage"]
            self.assertEqual(short["total_tokens"], CTX)
            self.assertEqual(server.post("/completion", {"prompt": LONG * 20, "n_predict": 1})[2]["truncated"], True)
        finally:
            server.stop()

    def test_the_twins_flags(self):
        model = "SmolLM2-135M-Instruct.Q4_1"
        for flags, n_written in (((), None), (("--no-context-shift",), None), (("--context-shift", "--keep", "20"), 400)):
            server = Server(command=("llama-server", "-m", model, "--port", "0", "-c", str(CTX), *flags))
            try:
                r = server.post("/completion", {"prompt": LONG, **WRITE, "n_predict": 400})[2]
                self.assertEqual((r["tokens_predicted"], r["truncated"]), (n_written or CTX - r["tokens_evaluated"], n_written is not None))
                self.assertEqual(r["generation_settings"]["n_keep"], 20 if n_written else 0)
            finally:
                server.stop()
            self.assertNotIn("means nothing", "".join(server.log))


class House(Visit):
    options = ("--ctx", "512")

    def test_a_turn_goes_on_where_the_person_wants_it(self):
        thread = self.page.thread()["id"]
        self.page.ok("PATCH", f"/threads/{thread}", {"system": "You tell stories of a fire on a mountain."})
        asked = {"max_tokens": 700}
        ends = self.page.finished(self.page.say(thread, talk.ENDLESS, sampling=asked))["answer"]
        self.assertEqual((ends["finish_reason"], ends["context"]["used_tokens"]), ("length", 512))
        self.assertNotIn("forgotten_tokens", ends["context"])
        self.page.ok("PATCH", "/settings", {"engine.endless": True})
        turn = self.page.say(thread, talk.ENDLESS, sampling=asked)
        on = self.page.finished(turn)["answer"]
        self.assertEqual((on["finish_reason"], on["n_generated"]), ("length", 700))
        self.assertGreater(on["context"]["forgotten_tokens"], 0)
        self.assertLess(on["context"]["used_tokens"], 512)
        self.assertEqual(on["context"]["used_tokens"] + on["context"]["forgotten_tokens"], on["n_prompt"] + 700)
        told = self.page.ok("GET", "/settings/schema")["settings"]
        self.assertEqual(next(s["default"] for s in told if s["key"] == "engine.endless"), False)


class ReadAgain(Visit):
    options = ("--ctx", "2048")

    def test_the_page_hears_how_far_it_is(self):
        self.page.ok("PATCH", "/settings", {"engine.endless": True})
        stream = self.page.events()
        turn = self.page.say(self.page.thread()["id"], LONG * 48 + talk.ENDLESS, sampling={"max_tokens": 1200})
        self.page.finished(turn)
        self.page.mark(stream)
        told = [contract.check_schema("Run", e["data"]) for e in stream.of("answer.progress")]
        again = [run for run in told if "again" in run]
        self.assertTrue(again)
        for run in again:
            self.assertEqual(run["state"], "reading")
            self.assertGreater(run["write"]["done"], 0)
            self.assertGreater(run["forgotten_tokens"], 0)
            self.assertLess(0, run["again"]["done"])
            self.assertLess(run["again"]["done"], run["again"]["total"])
            self.assertLess(run["again"]["total"], 2048)
        self.assertEqual([run for run in told if run["state"] != "reading" and "again" in run], [])
        shares = [e["data"]["progress"] for e in stream.of("hearth.state") if e["data"]["state"] == "reading"]
        self.assertTrue(shares)


if __name__ == "__main__":
    main()
