"""Details that clients and checkers of the four APIs hold a server to: fields that are obeyed or refused by name, lists that agree
with each other, metadata without loading."""
import json
import math
import re
import time
import unittest

from support import Asking, TEST_HOME, Server, main, sse_data

USER = [{"role": "user", "content": "Name a colour."}]
PARIS = "The capital of France is"
CODER = "qwen2.5-coder-0.5b"


class Named(Asking):
    def refused(self, path, body, param, status=400):
        error = super().refused(path, body, param, status)
        self.assertIn(param, error["message"])
        return error


class Fields(Named):
    routes = (("/v1/chat/completions", {"messages": USER, "max_tokens": 4}), ("/v1/completions", {"prompt": PARIS, "max_tokens": 4}),
              ("/completion", {"prompt": PARIS, "n_predict": 4}), ("/v1/responses", {"input": PARIS, "max_output_tokens": 4}),
              ("/v1/messages", {"messages": USER, "max_tokens": 4}))

    def test_the_cache_is_left_alone_where_a_request_says_so(self):
        for path, body in self.routes:
            self.ok(path, body)
            cached = []
            for reuse in (True, False):
                reply = self.ok(path, {**body, "cache_prompt": reuse})
                usage = reply.get("usage", {})
                cached.append(reply["tokens_cached"] if path == "/completion"
                              else usage["cache_read_input_tokens"] if path == "/v1/messages"
                              else (usage.get("prompt_tokens_details") or usage["input_tokens_details"])["cached_tokens"])
            self.assertGreater(cached[0], 0, path)
            self.assertEqual(cached[1], 0, path)
        options = {"num_predict": 2, "cache_prompt": False}
        self.ok("/api/chat", {"messages": USER, "stream": False, "options": options})

    def test_what_is_not_obeyed_is_refused_by_name(self):
        for path, body in self.routes[:2]:
            self.refused(path, {**body, "post_sampling_probs": True}, "post_sampling_probs")
        for field, value in {"grammar_lazy": True, "use_beam_search": True, "n_indent": 4, "t_max_prompt_ms": 10,
                             "lora": [{"id": 0, "scale": 1}], "mirostat": 1}.items():
            for path, body in self.routes[:3]:
                self.refused(path, {**body, field: value}, field)
        for field, value in {"post_sampling_probs": False, "n_indent": 0, "lora": [], "mirostat": 2, "t_max_predict_ms": -1}.items():
            self.ok("/completion", {"prompt": PARIS, "n_predict": 1, field: value})
        self.refused("/completion", {"prompt": {"prompt_string": "a", "multimodal_data": ["x"]}}, "prompt.multimodal_data")
        self.refused("/v1/responses", {"input": "a", "background": True}, "background")
        for field, value in {"prompt_logprobs": 1, "echo": True}.items():  # of the other route, in vLLM's words
            self.refused("/v1/chat/completions", {"messages": USER, field: value}, field)
        self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 1, "prompt_logprobs": None, "echo": False})
        self.refused("/completion", {"prompt": PARIS, "json_schema": "x"}, "json_schema")
        deep = '{"items":' * 50_000 + "{}" + "}" * 50_000  # a text within the body, so the body itself is flat
        status, _, body = self.server.post("/completion", {"prompt": PARIS, "json_schema": deep})
        self.assertEqual((status, body["error"]["param"]), (400, "json_schema"))

    def test_a_last_message_is_gone_on_with_or_answered(self):
        talk = {"messages": [*USER, {"role": "assistant", "content": "A colour is"}], "max_tokens": 2}
        self.refused("/v1/chat/completions", {**talk, "continue_final_message": True, "add_generation_prompt": True}, "continue_final_message")
        for said in ({"continue_final_message": True}, {"continue_final_message": True, "add_generation_prompt": False}, {"add_generation_prompt": True}):
            self.ok("/v1/chat/completions", {**talk, **said})

    def test_prompts_are_counted_with_and_without_the_version_in_the_path(self):
        counts = [self.ok(path, {"messages": USER})["input_tokens"] for path in ("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens")]
        self.assertEqual(*counts)
        self.assertGreater(counts[0], 5)

    def test_ranges(self):
        for field, values in {"n_keep": (-2, "1"), "n_discard": (-1, 1.5), "id_slot": (-2, 999), "seed": (1.5, "1"),
                              "logit_bias.5": ({"5": True}, {"5": "x"}), "logit_bias[0][1]": ([[5, True]], [[5, "x"]]), "t_max_predict_ms": (-2, "1")}.items():
            for value in values:
                for path, body in self.routes[:3]:
                    self.refused(path, {**body, field.partition(".")[0].partition("[")[0]: value}, field)
        for field, values in {"seed": (-2, 1 << 63, 1e300), "logit_bias.5": ({"5": 100.5}, {"5": 1e9}), "logit_bias[0][1]": ([[5, -1000]],)}.items():
            for value in values:
                for path, body in self.routes[:2]:
                    self.refused(path, {**body, field.partition(".")[0].partition("[")[0]: value}, field)
        for path, body in self.routes[:2]:
            for seed in ((1 << 53) - 1, 1 << 53, (1 << 63) - 1):
                self.ok(path, {**body, "max_tokens": 1, "seed": seed})
        for field, value in {"n_keep": -1, "n_discard": 0, "id_slot": -1, "seed": (1 << 53) - 1, "logit_bias": {"5": -100}}.items():
            self.ok("/completion", {"prompt": PARIS, "n_predict": 1, field: value})

    def test_llamacpps_clients_have_its_ranges(self):
        for seed, used in ((1 << 32, 1 << 32), ((1 << 53) + 1, (1 << 53) + 1), ((1 << 64) - 1, (1 << 64) - 1)):
            first, again = (self.ok("/completion", {"prompt": PARIS, "n_predict": 8, "temperature": 1.5, "seed": seed}) for _ in range(2))
            self.assertEqual((first["generation_settings"]["seed"], first["content"]), (used, again["content"]))
        for seed in (-1, (1 << 32) - 1):
            drawn = {self.ok("/completion", {"prompt": PARIS, "n_predict": 1, "seed": seed})["generation_settings"]["seed"] for _ in range(2)}
            self.assertEqual(len(drawn), 2)
        for seed in (1 << 64, -2):
            self.refused("/completion", {"prompt": PARIS, "seed": seed}, "seed")
        plain = self.ok("/completion", {"prompt": PARIS, "n_predict": 1, "temperature": 0, "return_tokens": True})["tokens"][0]
        for bias in (-5000, -1e300, False):
            other = self.ok("/completion", {"prompt": PARIS, "n_predict": 1, "temperature": 0, "return_tokens": True, "logit_bias": [[plain, bias]]})
            self.assertNotEqual(other["tokens"][0], plain)
        for bias in (5000, 1e300):
            forced = self.ok("/completion", {"prompt": PARIS, "n_predict": 2, "temperature": 1, "return_tokens": True, "logit_bias": {"5": bias}})
            self.assertEqual(forced["tokens"], [5, 5])

    def test_a_seed_that_was_drawn_can_be_asked_for_again(self):
        first = self.ok("/completion", {"prompt": PARIS, "n_predict": 12, "temperature": 1.5})
        seed = first["generation_settings"]["seed"]
        self.assertEqual(seed, int(float(seed)))
        self.assertEqual(self.ok("/completion", {"prompt": PARIS, "n_predict": 12, "temperature": 1.5, "seed": seed})["content"], first["content"])

    def test_nothing_is_longer_than_the_context(self):
        n = 500
        for path, field in (("/v1/completions", "max_tokens"), ("/completion", "n_predict")):
            for limit in (100, -1):
                reply = self.ok(path, {"prompt": [5] * n, field: limit, "ignore_eos": True, "temperature": 0})
                if path == "/completion":
                    self.assertEqual((reply["tokens_evaluated"] + reply["tokens_predicted"], reply["stop_type"]), (512, "limit"))
                else:
                    self.assertEqual((reply["usage"]["total_tokens"], reply["choices"][0]["finish_reason"]), (512, "length"))
            error = self.refused(path, {"prompt": [5] * 512, field: 1}, "prompt")
            self.assertEqual((error["code"], error["n_ctx"], error["n_prompt_tokens"]), ("context_length_exceeded", 512, 512))
        self.ok("/v1/completions", {"prompt": [5] * 512, "max_tokens": 0, "echo": True, "logprobs": 1})
        self.ok("/v1/embeddings", {"input": [5] * 512})

    def test_samplers_by_letters(self):
        letters = self.ok("/completion", {"prompt": PARIS, "n_predict": 1, "samplers": "kpt"})["generation_settings"]["samplers"]
        self.assertEqual(letters, ["top_k", "top_p", "temperature"])
        self.refused("/completion", {"prompt": PARIS, "samplers": "kqz"}, "samplers")

    def test_an_answer_that_takes_too_long_ends_with_its_line(self):
        body = {"prompt": "\n".join("line" for _ in range(20)), "n_predict": 400, "ignore_eos": True, "temperature": 0,
                "grammar": 'root ::= ("line\\n")+'}
        began = time.monotonic()
        whole = self.ok("/completion", body)
        took = time.monotonic() - began
        cut = self.ok("/completion", {**body, "t_max_predict_ms": 1})
        self.assertLess(cut["tokens_predicted"], 40)
        self.assertEqual(cut["stop_type"], "limit")
        self.assertIn("\n", cut["content"])
        self.assertTrue(whole["content"].startswith(cut["content"]))
        reply = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 300, "ignore_eos": True, "t_max_predict_ms": 1, "grammar": body["grammar"]})
        self.assertEqual(reply["choices"][0]["finish_reason"], "length")
        self.assertLess(reply["usage"]["completion_tokens"], 40, f"the whole took {took:.1f} s")

    def test_progress_of_reading(self):
        for path, body in (("/completion", {"prompt": "word " * 300, "n_predict": 1}),
                           ("/v1/chat/completions", {"messages": [{"role": "user", "content": "word " * 300}], "max_tokens": 1}),
                           ("/v1/responses", {"input": "word " * 300, "max_output_tokens": 1})):
            told = [e["prompt_progress"] for e in sse_data(self.ok(path, {**body, "cache_prompt": False, "stream": True, "return_progress": True}))
                    if e != "[DONE]" and "prompt_progress" in e]
            self.assertGreaterEqual(len(told), 2, path)
            self.assertTrue(all(p["total"] == told[0]["total"] > 300 for p in told))
            self.assertEqual([p["processed"] for p in told], sorted(p["processed"] for p in told))
            self.assertEqual((told[0]["processed"], told[-1]["processed"]), (0, told[0]["total"]))
            self.assertGreaterEqual(told[-1]["time_ms"], told[0]["time_ms"])
            plain = sse_data(self.ok(path, {**body, "stream": True}))
            self.assertFalse(any("prompt_progress" in e for e in plain if e != "[DONE]"))

    def test_responses_tell_their_times(self):
        whole = self.ok("/v1/responses", {"input": "A colour?", "max_output_tokens": 4})
        self.assertEqual(whole["timings"]["predicted_n"], whole["usage"]["output_tokens"])
        for each in (False, True):
            events = sse_data(self.ok("/responses", {"input": "A colour?", "max_output_tokens": 4, "stream": True, "timings_per_token": each}))
            pieces = [e for e in events if e["type"] == "response.output_text.delta"]
            self.assertTrue(pieces)
            self.assertEqual({"timings" in e for e in pieces}, {each})
            if each:
                written = [e["timings"]["predicted_n"] for e in pieces]
                self.assertEqual(written, sorted(written))
            last = events[-1]
            self.assertEqual(last["timings"], last["response"]["timings"])
            self.assertEqual(last["timings"]["predicted_n"], last["response"]["usage"]["output_tokens"])

    def test_several_answers_of_llama_cpps(self):
        ask = {"prompt": [PARIS, "One, two,"], "n_predict": 6, "temperature": 2, "top_k": 0, "top_p": 1, "min_p": 0, "ignore_eos": True, "seed": 7, "n_cmpl": 2}
        whole = self.ok("/completion", ask)
        self.assertEqual([(w["index"], w["prompt"]) for w in whole], [(0, PARIS), (1, PARIS), (2, "One, two,"), (3, "One, two,")])
        self.assertEqual([w["generation_settings"]["seed"] for w in whole], [7, 8, 7, 8])
        self.assertNotEqual(whole[0]["content"], whole[1]["content"])
        self.assertEqual(self.ok("/completion", {**ask, "prompt": PARIS})[0]["content"], whole[0]["content"])
        streamed = [""] * 4
        for e in sse_data(self.ok("/completion", {**ask, "stream": True})):
            streamed[e["index"]] += e["content"]
        self.assertEqual(streamed, [w["content"] for w in whole])
        self.refused("/completion", {**ask, "n_cmpl": 0}, "n_cmpl")

    def test_calls_and_refusals_of_before_are_read(self):
        user, f = {"role": "user", "content": "Add 1 and 2."}, {"name": "add", "arguments": "{\"a\": 1}"}
        prompt = lambda *more: self.ok("/v1/chat/completions/input_tokens", {"messages": [user, *more, user]})["input_tokens"]
        empty = prompt({"role": "assistant", "content": None})
        self.assertGreater(prompt({"role": "assistant", "content": None, "refusal": "I had rather not do that"}), empty)
        once = self.ok("/apply-template", {"messages": [user, {"role": "assistant", "content": None, "function_call": f}, {"role": "function", "name": "add", "content": "3"}]})
        now = self.ok("/apply-template", {"messages": [user, {"role": "assistant", "content": None, "tool_calls": [{"id": "", "type": "function", "function": f}]},
                                                       {"role": "tool", "name": "add", "content": "3"}]})
        self.assertEqual(once, now)
        self.assertIn("add", now["prompt"])
        self.refused("/v1/chat/completions", {"messages": [user, {"role": "assistant", "function_call": {"arguments": "{}"}}]}, "messages[1].function_call.name")

    def test_streamed_ids_are_all_there(self):
        body = {"prompt": "\u4f60\u597d \U0001f525 \u4f60\u597d \U0001f525", "n_predict": 24, "temperature": 0, "ignore_eos": True, "return_tokens": True,
                "grammar": 'root ::= ("\U0001f9d1\U0001f525\u017a")+'}
        for extra in ({}, {"n_probs": 1}, {"stop": ["\U0001f525\u017a\U0001f9d1"]}):
            whole = self.ok("/completion", {**body, **extra})
            parts = sse_data(self.ok("/completion", {**body, **extra, "stream": True}))
            self.assertEqual([t for p in parts for t in p["tokens"]], whole["tokens"], extra)
            self.assertEqual("".join(p["content"] for p in parts), whole["content"], extra)
            self.assertNotIn("\ufffd", "".join(p["content"] for p in parts[:-2]))

    def test_the_chosen_token_is_among_the_probable(self):
        reply = self.ok("/v1/completions", {"prompt": PARIS, "max_tokens": 24, "temperature": 4, "top_k": 0, "top_p": 1, "min_p": 0, "logprobs": 2, "seed": 3})
        lists = reply["choices"][0]["logprobs"]
        self.assertTrue(any(len(top) == 3 for top in lists["top_logprobs"]), "seed 3 chose only probable tokens")
        for token, logprob, top in zip(lists["tokens"], lists["token_logprobs"], lists["top_logprobs"]):
            self.assertIn(token, top)
            self.assertAlmostEqual(top[token], logprob)
            self.assertIn(len(top), (2, 3))

    def test_all_of_the_vocabulary_may_be_told(self):
        n_vocab = self.ok("/v1/completions", {"prompt": "a", "max_tokens": 1}) and self.server.get("/v1/models")[2]["data"][0]["meta"]["n_vocab"]
        body = {"prompt": PARIS, "temperature": 0}
        entry = self.ok("/completion", {**body, "n_predict": 1, "n_probs": n_vocab})["completion_probabilities"][0]
        told = entry["top_logprobs"]
        self.assertEqual(sorted(t["id"] for t in told), list(range(n_vocab)))
        self.assertEqual(told, sorted(told, key=lambda t: -t["logprob"]))
        self.assertAlmostEqual(sum(math.exp(t["logprob"]) for t in told), 1, delta=1e-3)
        few = self.ok("/completion", {**body, "n_predict": 8, "n_probs": 101})["completion_probabilities"]
        self.assertEqual([len(e["top_logprobs"]) for e in few], [101] * 8)
        self.assertIn(f"from 0 to {n_vocab}", self.refused("/completion", {**body, "n_probs": n_vocab + 1}, "n_probs")["message"])
        # A million of a request: more than that are refused with the number that may be.
        error = self.refused("/completion", {**body, "n_predict": 64, "n_probs": n_vocab}, "n_probs")
        self.assertIn(f"from 0 to {(1 << 20) // 64} where 64 tokens may be written", error["message"])
        self.assertIn(f"of up to {(1 << 20) // n_vocab} tokens", error["message"])
        self.ok("/completion", {**body, "prompt": [PARIS] * 64, "n_predict": 1, "n_probs": 100})
        self.refused("/completion", {**body, "prompt": [PARIS] * 64, "n_predict": 1, "n_probs": n_vocab}, "n_probs")

    def test_pieces_of_characters_are_bytes(self):
        tokens = self.ok("/tokenize", {"content": "\U0001f9d1\u200d\U0001f680 a", "with_pieces": True})["tokens"]
        raw = b"".join(bytes(t["piece"]) if isinstance(t["piece"], list) else t["piece"].encode() for t in tokens)
        self.assertEqual(raw.decode(), "\U0001f9d1\u200d\U0001f680 a")

    def test_probabilities_of_the_draw(self):
        body = {"prompt": PARIS, "n_predict": 4, "n_probs": 5, "temperature": 0.7, "top_k": 3, "top_p": 1, "min_p": 0, "seed": 5, "post_sampling_probs": True}
        whole = self.ok("/completion", body)
        entries = whole["completion_probabilities"]
        self.assertEqual(len(entries), 4)
        for e in entries:
            self.assertEqual(len(e["top_probs"]), 3)
            self.assertAlmostEqual(sum(t["prob"] for t in e["top_probs"]), 1, 6)
            self.assertIn((e["id"], e["prob"]), [(t["id"], t["prob"]) for t in e["top_probs"]])
            self.assertNotIn("logprob", e)
        parts = sse_data(self.ok("/completion", {**body, "stream": True}))
        self.assertEqual([e for p in parts for e in p.get("completion_probabilities", [])], entries)
        sure = self.ok("/completion", {**body, "temperature": 0})["completion_probabilities"]
        for e in sure:  # as many as asked for; those that were passed over had no chance
            self.assertEqual((e["prob"], [t["prob"] for t in e["top_probs"]], len({t["id"] for t in e["top_probs"]})), (1, [1, 0, 0, 0, 0], 5))

    def test_streamed_text_and_its_logprobs_leave_together(self):
        text = " \U0001f525\u017a \U0001f9d1"
        grammar = f'root ::= ("{text}")+'
        for path, body in (("/v1/completions", {"prompt": PARIS, "logprobs": 1}), ("/v1/chat/completions", {"messages": USER, "logprobs": True})):
            n = 0
            for e in sse_data(self.ok(path, {**body, "grammar": grammar, "max_tokens": 30, "stream": True, "ignore_eos": True})):
                if e == "[DONE]" or not e["choices"] or not e["choices"][0]["logprobs"]:
                    continue
                n += 1
                choice = e["choices"][0]
                if "delta" in choice:
                    told = b"".join(bytes(t["bytes"]) for t in choice["logprobs"]["content"])
                    self.assertEqual(told.decode(), choice["delta"]["content"])
                else:
                    self.assertEqual(choice["logprobs"]["text_offset"] != [], True)
                    self.assertTrue(choice["text"] or choice["finish_reason"], choice)
            self.assertGreater(n, 3, path)

    def test_the_limit_in_the_middle_of_a_character(self):  # is neither in the text nor in the entries
        for n in range(1, 8):
            body = {"messages": USER, "grammar": 'root ::= "𓀀" "a𓀀"', "max_tokens": n, "logprobs": True, "ignore_eos": True}
            choice = self.ok("/v1/chat/completions", body)["choices"][0]
            entries = choice["logprobs"]["content"]
            self.assertEqual(b"".join(bytes(e["bytes"]) for e in entries).decode(), choice["message"]["content"], n)
            self.assertIn(choice["message"]["content"], ("", "𓀀", "𓀀a", "𓀀a𓀀"))
            whole = [e["choices"][0] for e in sse_data(self.ok("/v1/chat/completions", {**body, "stream": True})) if e != "[DONE]" and e["choices"]]
            self.assertEqual([e for c in whole for e in (c["logprobs"] or {}).get("content", [])], entries, n)

    def test_logprobs_of_responses_and_ollama(self):
        plain = self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 6, "temperature": 0, "logprobs": True, "top_logprobs": 2})
        wanted = plain["choices"][0]["logprobs"]["content"]
        body = {"input": USER, "max_output_tokens": 6, "temperature": 0, "top_logprobs": 2}
        reply = self.ok("/v1/responses", body)
        self.assertEqual(reply["output"][0]["content"][0]["logprobs"], wanted)
        self.assertEqual(reply["top_logprobs"], 2)
        events = sse_data(self.ok("/v1/responses", {**body, "stream": True}))
        self.assertEqual([e for x in events if x["type"] == "response.output_text.delta" for e in x["logprobs"]], wanted)
        self.assertEqual(events[-1]["response"]["output"][0]["content"][0]["logprobs"], wanted)
        only = self.ok("/v1/responses", {**body, "top_logprobs": 0, "include": ["message.output_text.logprobs"]})
        self.assertEqual(len(only["output"][0]["content"][0]["logprobs"]), len(wanted))
        none = self.ok("/v1/responses", {"input": USER, "max_output_tokens": 3})
        self.assertEqual(none["output"][0]["content"][0]["logprobs"], [])
        ollama = {"messages": USER, "options": {"num_predict": 6, "temperature": 0}, "logprobs": True, "top_logprobs": 2}
        self.assertEqual(self.ok("/api/chat", {**ollama, "stream": False})["logprobs"], wanted)
        lines = [json.loads(line) for line in self.ok("/api/chat", ollama).splitlines()]
        self.assertEqual([e for x in lines for e in x.get("logprobs", [])], wanted)
        self.assertEqual(self.server.post("/api/chat", {**ollama, "logprobs": False})[0], 400)

    def test_every_answer_has_an_id(self):
        ids = set()
        for path, body in (*self.routes, ("/v1/chat/completions", {}), ("/nowhere", {})):
            for stream in (False, True):
                headers = self.server.post(path, {**body, "stream": stream})[1]
                self.assertRegex(headers["request-id"], "^req_[0-9a-z]{24}$")
                self.assertEqual(headers["request-id"], headers["x-request-id"])
                ids.add(headers["request-id"])
        self.assertEqual(len(ids), 14)

    def test_a_target_may_name_the_server(self):
        at = f"{self.server.host}:{self.server.port}"
        self.assertEqual(self.server.get(f"http://{at}/v1/models")[0], 200)
        self.assertEqual(self.server.get(f"HTTP://{at}/health?x=1")[0], 200)
        self.assertEqual(self.server.get("http://evil.example/v1/models")[0], 421)
        self.assertEqual(self.server.get(f"http://{at}/v1/models", host="evil.example")[0], 421)
        self.assertEqual(self.server.get("ftp://localhost/health")[0], 400)

    def test_an_answer_nobody_asked_for_is_continued(self):
        reply = self.ok("/v1/chat/completions", {"messages": [{"role": "assistant", "content": "One, two, three,"}], "max_tokens": 4, "temperature": 0})
        self.assertTrue(reply["choices"][0]["message"]["content"])

    def test_a_schema_that_is_missing_is_named(self):
        chat = {"messages": USER, "max_tokens": 4}
        self.refused("/v1/chat/completions", {**chat, "response_format": {"type": "json_schema"}}, "response_format.json_schema")
        self.refused("/v1/chat/completions", {**chat, "response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
                     "response_format.json_schema.schema")
        self.refused("/v1/responses", {"input": "a", "text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema")

    def test_metrics_have_llama_cpps_names(self):
        self.ok("/completion", {"prompt": PARIS, "n_predict": 8, "ignore_eos": True})
        text = self.server.get("/metrics")[2]
        for name in ("prompt_tokens_total", "prompt_seconds_total", "tokens_predicted_total", "tokens_predicted_seconds_total", "n_decode_total",
                     "n_tokens_max", "n_busy_slots_per_decode", "prompt_tokens_seconds", "predicted_tokens_seconds", "requests_processing",
                     "requests_deferred", "kv_cache_usage_ratio", "kv_cache_tokens", "prompt_tokens_cache_total", "prompt_cache_hit_ratio", "draft_tokens_total",
                     "draft_tokens_accepted_total", "draft_acceptance_rate", "spec_decode_num_draft_tokens_total", "spec_decode_num_accepted_tokens_total"):
            self.assertRegex(text, rf"(?m)^# TYPE llamacpp:{name} (counter|gauge)\nllamacpp:{name} [0-9.e+-]+$")
        for name in ("prompt_seconds_total", "tokens_predicted_seconds_total", "n_tokens_max", "predicted_tokens_seconds"):
            self.assertGreater(self.server.metric(name), 0, name)

    def test_what_is_looked_for_and_not_done(self):
        self.assertEqual(self.server.get("/lora-adapters")[2], [])
        self.assertEqual(self.ok("/lora-adapters", []), {"success": True})
        for body in ([{"id": 0, "scale": 1}], {}, 5):
            super().refused("/lora-adapters", body, "lora")
        for path in ("/rerank", "/v1/rerank"):
            self.assertEqual(self.ok(path, {"query": "a", "documents": ["b"]}, 501)["error"]["code"], "no_reranking")


class Responses(Named):
    def test_the_object_repeats_the_request(self):
        said = {"instructions": "Be brief.", "metadata": {"topic": "colours"}, "max_output_tokens": 5, "temperature": 0.3, "top_p": 0.7,
                "truncation": "auto", "user": "someone", "tool_choice": "none", "parallel_tool_calls": False,
                "tools": [{"type": "function", "name": "f", "description": "", "parameters": {"type": "object", "properties": {}}, "strict": None}]}
        for reply in (self.ok("/v1/responses", {"input": "A colour?", **said}),
                      sse_data(self.ok("/v1/responses", {"input": "A colour?", **said, "stream": True}))[-1]["response"],
                      sse_data(self.ok("/v1/responses", {"input": "A colour?", **said, "stream": True}))[0]["response"]):
            for field, value in said.items():
                self.assertEqual(reply[field], value, field)
            self.assertEqual((reply["object"], reply["background"], reply["store"], reply["previous_response_id"]), ("response", False, False, None))
            self.assertEqual(reply["text"], {"format": {"type": "text"}})
        plain = self.ok("/v1/responses", {"input": "A colour?", "max_output_tokens": 1})
        self.assertEqual((plain["instructions"], plain["metadata"], plain["tools"], plain["truncation"]), (None, {}, [], "disabled"))
        self.assertIsInstance(plain["temperature"], (int, float))
        shape = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}}
        self.assertEqual(self.ok("/v1/responses", {"input": "a", "max_output_tokens": 16, "text": {"format": shape}})["text"]["format"], shape)

    def test_errors_are_named_as_this_api_has_them(self):
        for body, param in (({"input": [{"role": "king", "content": "a"}]}, "input[0].role"), ({"input": [{"role": "user"}]}, "input[0].content"),
                            ({"input": [{"content": "a"}]}, "input[0].role"), ({}, "input"), ({"input": []}, "input"), ({"input": 5}, "input"),
                            ({"input": "a", "metadata": {"a": 5}}, "metadata.a"), ({"input": "a", "metadata": {str(i): "" for i in range(17)}}, "metadata"),
                            ({"input": "a", "truncation": "x"}, "truncation"), ({"input": "a", "max_output_tokens": 0}, "max_output_tokens"),
                            ({"input": "a", "previous_response_id": "resp_1"}, "previous_response_id")):
            self.refused("/v1/responses", body, param)

    def test_numbers_of_events_have_no_gaps(self):
        events = sse_data(self.ok("/v1/responses", {"input": "A colour?", "max_output_tokens": 8, "stream": True}))
        self.assertEqual([e["sequence_number"] for e in events], list(range(len(events))))
        added = next(e for e in events if e["type"] == "response.output_item.added")
        self.assertEqual(added["item"]["status"], "in_progress")
        self.assertEqual(events[-1]["response"]["output"][0]["id"], added["item"]["id"])


class WithCoder(Named):
    files = ""

    @classmethod
    def setUpClass(cls):
        if not any((TEST_HOME / "models").glob(f"*{CODER}*.gguf")):
            raise unittest.SkipTest(f"{CODER} is not on the shelf")
        super().setUpClass()


class FillIn(WithCoder):
    model = CODER
    before, after = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"

    def test_a_suffix_is_filled_in_by_every_api(self):
        body = {"temperature": 0, "n_predict": 12}
        whole = self.ok("/infill", {"input_prefix": self.before, "input_suffix": self.after, **body})["content"]
        self.assertIn("a + b", whole)
        for stream in (False, True):
            reply = self.ok("/v1/completions", {"prompt": self.before, "suffix": self.after, "temperature": 0, "max_tokens": 12, "stream": stream})
            parts = [e for e in sse_data(reply) if e != "[DONE]"] if stream else [reply]
            self.assertEqual("".join(p["choices"][0]["text"] for p in parts), whole)
        ask = {"prompt": self.before, "suffix": self.after, "stream": False, "options": {"temperature": 0, "num_predict": 12}}
        self.assertEqual(self.ok("/api/generate", ask)["response"], whole)
        two = self.ok("/v1/completions", {"prompt": [self.before, "x = "], "suffix": self.after, "temperature": 0, "max_tokens": 12, "echo": True})
        self.assertEqual(two["choices"][0]["text"], self.before + whole)
        self.refused("/v1/completions", {"prompt": [5, 6], "suffix": "b"}, "prompt")
        self.refused("/v1/completions", {"prompt": "a", "suffix": 5}, "suffix")
        self.refused("/v1/completions", {"prompt": "a", "suffix": "b", "prompt_logprobs": 1}, "suffix")
        self.refused("/v1/completions", {"prompt": "a", "suffix": "word " * 900}, "prompt")


class Shelf(WithCoder):
    """Two models lie on the shelf, one is loaded: what is said of the other is said without loading it."""

    def tags(self):
        return {m["name"]: m for m in self.server.get("/api/tags")[2]["models"]}

    def test_show_does_not_load(self):
        shown = self.ok("/api/show", {"model": CODER})
        self.assertEqual(shown["details"]["family"], "qwen2")
        self.assertEqual(shown["details"]["quantization_level"], "Q4_K_M")
        self.assertRegex(shown["details"]["parameter_size"], r"^\d+(\.\d+)?[MB]$")
        self.assertEqual(shown["model_info"]["general.architecture"], "qwen2")
        self.assertGreater(shown["model_info"]["general.parameter_count"], 3e8)
        self.assertGreater(shown["model_info"]["qwen2.context_length"], 1000)
        self.assertIsNone(shown["model_info"]["tokenizer.ggml.tokens"])
        self.assertIn("im_start", shown["template"])
        self.assertLessEqual({"completion", "insert", "tools"}, set(shown["capabilities"]))
        self.assertEqual(self.server.get("/api/ps")[2]["models"][0]["name"], "smollm2:latest")
        loaded = self.ok("/api/show", {"name": "smollm2:latest", "verbose": True})
        self.assertEqual(loaded["parameters"], "num_ctx 512")
        self.assertEqual(loaded["details"]["family"], "llama")
        self.assertIn("no-such", self.ok("/api/show", {"model": "no-such"}, 404)["error"])
        self.assertIn("model", self.ok("/api/show", {}, 400)["error"])

    def test_lists_tell_digests_and_dates(self):
        tags = self.tags()
        self.assertLessEqual({"smollm2:latest", f"{CODER}:latest"}, set(tags))
        for m in tags.values():
            self.assertRegex(m["digest"], r"^[0-9a-f]{64}$")
            self.assertRegex(m["modified_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertTrue(m["details"]["family"] and m["details"]["parameter_size"] and m["details"]["quantization_level"])
            self.assertGreater(m["size"], 1e7)
        self.assertEqual(len({m["digest"] for m in tags.values()}), len(tags))
        self.assertEqual(tags, self.tags())
        running = self.server.get("/api/ps")[2]["models"][0]
        self.assertEqual(running["digest"], tags["smollm2:latest"]["digest"])
        self.assertRegex(running["expires_at"], r"^2\d\d\d-")

    def test_models_of_the_shelf_are_described(self):
        reply = self.server.get("/v1/models")[2]
        self.assertEqual((reply["data"][0]["id"], reply["has_more"], reply["first_id"]), ("smollm2", False, "smollm2"))
        other = next(m for m in reply["data"] if m["id"] == CODER)
        self.assertGreater(other["created"], 1.5e9)
        self.assertEqual((other["meta"]["loaded"], other["meta"]["architecture"], other["meta"]["quant"]), (False, "qwen2", "Q4_K_M"))
        self.assertEqual((other["type"], other["display_name"]), ("model", CODER))

    def test_a_suffix_needs_a_model_for_it(self):
        self.assertEqual(self.refused("/v1/completions", {"prompt": "a", "suffix": "b"}, "suffix")["code"], "no_infill")
        error = self.ok("/api/generate", {"prompt": "a", "suffix": "b"}, 400)["error"]
        self.assertIn("suffix", error)
        self.assertIn("does not support insert", error)
        self.ok("/v1/completions", {"prompt": "a", "suffix": "", "max_tokens": 1})


class Ollama(Named):
    def test_options_are_named(self):
        for options, name in (({"temperature": -1}, "temperature"), ({"temperature": "x"}, "temperature"), ({"top_p": 2}, "top_p"),
                              ({"num_predict": -3}, "num_predict"), ({"num_ctx": 0}, "num_ctx"), ({"num_ctx": -1}, "num_ctx"),
                              ({"num_ctx": "x"}, "num_ctx"), ({"num_ctx": 1 << 40}, "num_ctx"), ({"num_keep": -2}, "num_keep"),
                              ({"num_thread": -1}, "num_thread"), ({"seed": 1 << 64}, "seed"), ({"stop": 5}, "stop"), ({"mirostat": 1}, "mirostat"),
                              ({"repeat_penalty": 0}, "repeat_penalty")):
            for path, body in (("/api/chat", {"messages": USER}), ("/api/generate", {"prompt": "a"})):
                self.assertIn(f"options.{name}", self.ok(path, {**body, "options": options}, 400)["error"])
        self.assertIn("options", self.ok("/api/chat", {"messages": USER, "options": 5}, 400)["error"])
        whole = self.ok("/api/generate", {"prompt": "One, two,", "raw": True, "stream": False, "options": {"num_predict": -2, "num_ctx": 512, "ignore_eos": True}})
        self.assertEqual((whole["done_reason"], whole["prompt_eval_count"] + whole["eval_count"]), ("length", 512))  # -2: as long as there is room
        usual = {"num_ctx": 8192, "num_keep": 4, "num_batch": 512, "num_gpu": -1, "num_thread": 2, "use_mmap": True, "num_predict": 1, "penalize_newline": True}
        self.ok("/api/chat", {"messages": USER, "stream": False, "options": usual, "keep_alive": "5m"})

    def test_embed(self):
        whole = self.ok("/api/embed", {"input": ["a dog", "a cat"]})
        self.assertGreater(whole["total_duration"], whole["load_duration"])
        self.assertGreaterEqual(whole["load_duration"], 0)
        self.assertEqual(whole["prompt_eval_count"], 4)
        short = self.ok("/api/embed", {"input": "a dog", "dimensions": 16})["embeddings"][0]
        self.assertEqual(len(short), 16)
        self.assertAlmostEqual(math.hypot(*short), 1, 5)
        norm = math.hypot(*whole["embeddings"][0][:16])
        for a, b in zip(short, whole["embeddings"][0]):
            self.assertAlmostEqual(a, b / norm, 5)
        self.assertIn("dimensions", self.ok("/api/embed", {"input": "a", "dimensions": 1 << 20}, 400)["error"])
        self.assertIn("dimensions", self.ok("/api/embed", {"input": "a", "dimensions": -1}, 400)["error"])
        self.assertEqual(self.ok("/v1/embeddings", {"input": "a dog", "dimensions": 16})["data"][0]["embedding"], short)  # one rule for every API
        self.assertEqual(self.ok("/api/embed", {"input": []})["embeddings"], [])
        long = "word " * 900
        self.assertEqual(self.ok("/api/embed", {"input": long})["prompt_eval_count"], 512)
        self.assertIn("512", self.ok("/api/embed", {"input": long, "truncate": False}, 400)["error"])
        self.assertEqual(len(self.ok("/api/embeddings", {"prompt": long})["embedding"]), len(whole["embeddings"][0]))
        self.assertIn("input", self.ok("/api/embed", {}, 400)["error"])

    def test_context_goes_on(self):
        ask = {"stream": False, "options": {"num_predict": 8, "temperature": 0}}
        first = self.ok("/api/generate", {"prompt": "My name is Hania.", **ask})
        self.assertEqual(len(first["context"]), first["prompt_eval_count"] + first["eval_count"])
        self.assertNotIn("context", self.ok("/api/generate", {"prompt": "My name is Hania.", "raw": True, **ask}))
        second = self.ok("/api/generate", {"prompt": "And mine?", "context": first["context"], **ask})
        self.assertGreater(second["prompt_eval_count"], len(first["context"]))
        for wrong in ([-1], ["a"], [1 << 40], "x"):
            self.assertIn("context", self.ok("/api/generate", {"prompt": "a", "context": wrong, **ask}, 400)["error"])
        self.assertIn("template", self.ok("/api/generate", {"prompt": "a", "template": "{{ .Prompt }}", **ask}, 400)["error"])


if __name__ == "__main__":
    main()
