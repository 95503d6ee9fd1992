"""What a stranger tries who knows the four APIs by heart: one server, plain requests, each promise by itself."""
import base64
import json
import math
import struct

from support import Asking, main, read_reply, sse_data, wait_until

USER = [{"role": "user", "content": "Name a colour."}]
PARIS = "The capital of France is"


class Manners(Asking):
    def chat(self, **fields):
        return self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 6, "temperature": 0, **fields})

    def complete(self, **fields):
        return self.ok("/v1/completions", {"prompt": PARIS, "max_tokens": 4, "temperature": 0, **fields})

    def completion(self, **fields):
        return self.ok("/completion", {"prompt": PARIS, "n_predict": 4, "temperature": 0, **fields})

    def test_kinds_that_are_wrong_are_refused_by_name(self):
        for field, values in {"temperature": ["0.5", True, [], {}], "top_p": ["1", []], "n": ["2", 1.5, True], "max_tokens": ["6", 2.5, []],
                              "stop": [3, {}, [None], [["a"]]], "seed": ["1", 1.5], "stream": ["true", 1], "logprobs": ["yes", 3],
                              "top_logprobs": ["2", -1], "logit_bias": ["5", [5], {"a": 1}, {"5": "x"}], "model": [5, {}],
                              "presence_penalty": ["0"], "stream_options": ["x", []], "response_format": ["json"]}.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    # Of a list the very entry is named, of an object the member.
                    place = {"[None]": "stop[0]", "[['a']]": "stop[0]", "[5]": "logit_bias[0]", "{'5': 'x'}": "logit_bias.5"}.get(str(value), field)
                    self.refused("/v1/chat/completions", {"messages": USER, "max_tokens": 1, "logprobs": True, field: value}, place)

    def test_numbers_out_of_range_are_refused_and_the_edges_taken(self):
        for field, low, high in (("temperature", 0, 5), ("top_p", 0, 1), ("min_p", 0, 1), ("presence_penalty", -2, 2),
                                 ("frequency_penalty", -2, 2), ("typical_p", 0, 1)):
            for value in (low, high):
                self.chat(**{field: value, "max_tokens": 1})
            for value in (low - 0.01, high + 0.01, 1e300):
                self.refused("/v1/chat/completions", {"messages": USER, field: value}, field)

    def test_numbers_that_are_no_numbers(self):
        for text in (b"1e999", b"NaN", b"Infinity", b"-Infinity", b"01", b"0x10", b"1."):
            body = b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "temperature": ' + text + b"}"
            self.assertEqual(self.server.request("POST", "/v1/chat/completions", body)[0], 400, text)
        body = b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 123456789012345678901234567890}'
        self.assertEqual(self.server.request("POST", "/v1/chat/completions", body)[2]["error"]["param"], "max_tokens")

    def test_bodies_that_are_no_objects(self):
        for body in (b"", b"null", b"[]", b'"x"', b"5", b"{", b'{"a":1}}', b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
                     b'{"messages": [{"role": "user", "content": "\\ud83d"}]}', b"messages=hi", b"\x1f\x8b\x08\x00"):
            status, headers, reply = self.server.request("POST", "/v1/chat/completions", body)
            self.assertEqual((status, headers["content-type"]), (400, "application/json"), body)
            self.assertEqual(reply["error"]["type"], "invalid_request_error")

    def test_texts_with_odd_characters(self):
        for text in ("a\x00b", "\u202e\u200b", "\U0001f9d1\u200d\U0001f680", "\ufeffx", "e\u0301", "\x1b[31m", "</s><|im_end|>", " ", "\n\n"):
            self.ok("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], "max_tokens": 1})

    def test_messages_that_are_none(self):
        for messages in ("hi", {}, [], None, ["hi"], [None], [[]]):
            error = self.ok("/v1/chat/completions", {"messages": messages}, 400)["error"]
            self.assertTrue(error["param"].startswith("messages"), error)
        for message in ({"role": "user"}, {"role": "user", "content": 5}, {"role": "user", "content": None}, {"role": 5, "content": "a"},
                        {"role": "king", "content": "a"}, {"content": "a"}, {"role": "user", "content": [{"type": "text"}]},
                        {"role": "user", "content": [{"type": "text", "text": 5}]}, {"role": "user", "content": [5]}):
            error = self.ok("/v1/chat/completions", {"messages": [*USER, message]}, 400)["error"]
            self.assertTrue(error["param"].startswith("messages[1]"), error)
        self.chat(messages=[*USER, {"role": "assistant", "content": None}, *USER])

    def test_unknown_models_in_each_dialect(self):
        for path, body in (("/v1/chat/completions", {"messages": USER}), ("/v1/completions", {"prompt": "a"}), ("/v1/embeddings", {"input": "a"}),
                           ("/v1/responses", {"input": "a"}), ("/completion", {"prompt": "a"}), ("/tokenize", {"content": "a"})):
            error = self.ok(path, {**body, "model": "gpt-4o"}, 404)["error"]
            self.assertEqual((error["code"], error["param"], error["type"]), ("model_not_found", "model", "not_found_error"))
            self.assertIn("gpt-4o", error["message"])
            self.ok(path, {**body, "model": "", "max_tokens": 1, "n_predict": 1, "max_output_tokens": 1})
        reply = self.ok("/v1/messages", {"model": "claude-x", "max_tokens": 1, "messages": USER}, 404)
        self.assertEqual((reply["type"], reply["error"]["type"]), ("error", "not_found_error"))
        self.assertIsInstance(self.ok("/api/chat", {"model": "llama3", "messages": USER}, 404)["error"], str)

    def test_a_prompt_longer_than_the_context_everywhere(self):
        long, ids = "word " * 900, [5] * 600
        for path, body, param in (("/v1/chat/completions", {"messages": [{"role": "user", "content": long}]}, "messages"),
                                  ("/v1/completions", {"prompt": long}, "prompt"), ("/v1/completions", {"prompt": ids}, "prompt"),
                                  ("/v1/completions", {"prompt": ["a", long]}, "prompt"), ("/v1/embeddings", {"input": long}, "input"),
                                  ("/completion", {"prompt": long}, "prompt"), ("/completion", {"prompt": ["a", ids]}, "prompt"),
                                  ("/v1/responses", {"input": long}, "input")):
            for stream in (False, True):
                error = self.refused(path, {**body, "stream": stream}, param)
                self.assertEqual(error["code"], "context_length_exceeded")
                self.assertIn("512", error["message"])
                self.assertEqual(error["n_ctx"], 512)
                self.assertGreaterEqual(error["n_prompt_tokens"], 600)
        self.assertIn("512", self.ok("/v1/messages", {"model": "smollm2", "max_tokens": 1, "messages": [{"role": "user", "content": long}]}, 400)["error"]["message"])

    def test_stop(self):
        whole = self.complete(prompt="1, 2, 3, 4,", max_tokens=24)["choices"][0]["text"]
        for stop in (whole[5:9], [whole[5:9]], ["never seen", whole[5:9], "", "neither"]):
            for stream in (False, True):
                body = {"prompt": "1, 2, 3, 4,", "max_tokens": 24, "temperature": 0, "stop": stop, "stream": stream}
                reply = self.ok("/v1/completions", body)
                if stream:
                    events = [e for e in sse_data(reply) if e != "[DONE]"]
                    text, reason = "".join(e["choices"][0]["text"] for e in events), events[-1]["choices"][0]["finish_reason"]
                else:
                    text, reason = reply["choices"][0]["text"], reply["choices"][0]["finish_reason"]
                self.assertEqual((text, reason), (whole[:whole.index(whole[5:9])], "stop"))
        self.assertEqual(self.complete(prompt="1, 2, 3, 4,", max_tokens=24, stop=[])["choices"][0]["text"], whole)
        self.assertEqual(self.complete(prompt="1, 2, 3, 4,", max_tokens=24, stop="")["choices"][0]["text"], whole)
        # What might begin a stop string and does not is told in the end.
        self.assertEqual(self.complete(prompt="1, 2, 3, 4,", max_tokens=24, stop=[whole[-3:] + "~"])["choices"][0]["text"], whole)

    def test_streams_of_every_api_are_their_whole_answers(self):
        for seed in (1, 2):
            fields = {"temperature": 1.5, "seed": seed, "max_tokens": 40, "ignore_eos": True}
            prompt = "🎉 Zażółć gęślą jaźń 日本語 🔥"
            messages = [{"role": "user", "content": prompt}]
            whole = self.ok("/v1/chat/completions", {"messages": messages, **fields})["choices"][0]["message"]["content"]
            events = sse_data(self.ok("/v1/chat/completions", {"messages": messages, "stream": True, **fields}))
            self.assertEqual("".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]), whole)
            said = self.ok("/v1/messages", {"messages": messages, **fields})["content"][0]["text"]
            self.assertEqual(said, whole)
            events = sse_data(self.ok("/v1/messages", {"messages": messages, "stream": True, **fields}))
            self.assertEqual("".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta"), whole)
            options = {**fields, "num_predict": 40}
            lines = [json.loads(x) for x in self.ok("/api/chat", {"messages": messages, "options": options}).splitlines()]
            self.assertEqual("".join(x["message"]["content"] for x in lines), whole)
            text = self.ok("/completion", {"prompt": prompt, "n_predict": 40, **fields})["content"]
            events = sse_data(self.ok("/completion", {"prompt": prompt, "n_predict": 40, "stream": True, **fields}))
            self.assertEqual("".join(e["content"] for e in events), text)

    def test_the_shape_of_a_chat_answer(self):
        r = self.chat(max_tokens=2)
        self.assertEqual(r["object"], "chat.completion")
        self.assertTrue(r["id"].startswith("chatcmpl-"))
        self.assertIsInstance(r["created"], int)
        choice = r["choices"][0]
        self.assertEqual((choice["index"], choice["finish_reason"], choice["message"]["role"]), (0, "length", "assistant"))
        self.assertEqual(r["usage"]["completion_tokens"], 2)
        self.assertIn("cached_tokens", r["usage"]["prompt_tokens_details"])
        for field in ("prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms", "predicted_per_second", "cache_n"):
            self.assertIn(field, r["timings"])

    def test_the_shape_of_a_stream(self):
        # Words that no other test asks for, and enough of them: what was answered before is drafted, several words an event.
        asked = [{"role": "user", "content": "Which shapes has a stream of water over slate?"}]
        events = sse_data(self.ok("/v1/chat/completions", {"messages": asked, "max_tokens": 16, "ignore_eos": True, "stream": True,
                                                           "stream_options": {"include_usage": True}, "timings_per_token": True}))
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(events[0]["choices"][0]["delta"]["role"], "assistant")
        self.assertTrue(all(e["object"] == "chat.completion.chunk" for e in events[:-1]))
        self.assertEqual(len({e["id"] for e in events[:-1]}), 1)
        self.assertEqual((events[-2]["choices"], events[-2]["usage"]["completion_tokens"]), ([], 16))
        self.assertTrue(all(e["usage"] is None for e in events[:-2]))
        self.assertEqual([e["choices"][0]["finish_reason"] for e in events[:-2]], [None] * (len(events) - 3) + ["length"])
        self.assertEqual(events[-3]["choices"][0]["delta"], {})
        timed = [e["timings"]["predicted_n"] for e in events if "timings" in e]
        self.assertGreater(len(timed), 2)
        self.assertEqual(timed, sorted(timed))
        plain = sse_data(self.ok("/v1/chat/completions", {"messages": USER, "max_tokens": 4, "stream": True}))
        self.assertTrue(all("usage" not in e for e in plain[:-1]))

    def test_logprobs_of_chat(self):
        entries = self.chat(max_tokens=5, logprobs=True, top_logprobs=5)["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(entries), 5)
        for e in entries:
            self.assertEqual(bytes(e["bytes"]).decode("utf-8", "replace"), e["token"])
            probabilities = [math.exp(t["logprob"]) for t in e["top_logprobs"]]
            self.assertEqual(probabilities, sorted(probabilities, reverse=True))
            self.assertLessEqual(sum(probabilities), 1.0001)
        self.assertEqual(self.chat(max_tokens=2, logprobs=True)["choices"][0]["logprobs"]["content"][0]["top_logprobs"], [])
        self.assertIsNone(self.chat(max_tokens=2, logprobs=False, top_logprobs=0)["choices"][0]["logprobs"])
        self.assertIsNone(self.chat(max_tokens=2)["choices"][0]["logprobs"])

    def test_logprobs_do_not_depend_on_sampling(self):
        def first(**fields):
            return self.chat(max_tokens=1, logprobs=True, top_logprobs=3, **fields)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        self.assertEqual(first(), first(temperature=2, top_k=1, seed=4, logit_bias={"5": 50}))

    def test_seed_and_n(self):
        def texts(**fields):
            return [c["message"]["content"] for c in self.chat(temperature=1.3, max_tokens=12, **fields)["choices"]]
        self.assertEqual(texts(seed=11, n=2), texts(seed=11, n=2))
        self.assertEqual(texts(seed=11), texts(seed=11, n=2)[:1])
        self.assertNotEqual(texts(seed=11), texts(seed=12))
        self.assertNotEqual(texts(seed=-1), texts(seed=-1))
        self.assertNotEqual(texts(), texts())
        r = self.chat(n=3, max_tokens=2)
        self.assertEqual(r["usage"]["completion_tokens"], 6)
        self.assertEqual(r["usage"]["prompt_tokens"], self.chat(max_tokens=1)["usage"]["prompt_tokens"])
        self.refused("/v1/chat/completions", {"messages": USER, "n": 0}, "n")

    def test_best_of(self):
        fields = {"temperature": 1.4, "seed": 5, "max_tokens": 8, "logprobs": 0}
        mean = lambda c: sum(c["logprobs"]["token_logprobs"]) / len(c["logprobs"]["token_logprobs"])
        every = self.complete(n=4, **fields)["choices"]
        best = self.complete(n=2, best_of=4, **fields)
        self.assertEqual([c["text"] for c in best["choices"]], [c["text"] for c in sorted(every, key=mean, reverse=True)[:2]])
        self.assertEqual([c["index"] for c in best["choices"]], [0, 1])
        self.assertEqual(best["usage"]["completion_tokens"], sum(len(c["logprobs"]["tokens"]) for c in every))
        self.assertIsNone(self.complete(best_of=2)["choices"][0]["logprobs"])
        self.refused("/v1/completions", {"prompt": "a", "n": 3, "best_of": 2}, "best_of")
        self.refused("/v1/completions", {"prompt": "a", "best_of": 2, "stream": True}, "best_of")

    def test_logit_bias(self):
        token = self.ok("/tokenize", {"content": " banana"})["tokens"][0]
        self.assertIn(" ban", self.complete(logit_bias={str(token): 100}, max_tokens=2)["choices"][0]["text"])
        paris = self.ok("/tokenize", {"content": " Paris"})["tokens"][0]
        for bias in ({str(paris): -100}, [[paris, False]], [[" Paris", -100]]):
            self.assertNotIn("Paris", self.ok("/completion", {"prompt": PARIS, "n_predict": 1, "temperature": 0, "logit_bias": bias})["content"])

    def test_echo(self):
        r = self.complete(echo=True, logprobs=2, max_tokens=2)["choices"][0]
        self.assertTrue(r["text"].startswith(PARIS))
        lists = r["logprobs"]
        self.assertEqual("".join(lists["tokens"]), r["text"])
        self.assertEqual([len(lists[k]) for k in ("token_logprobs", "top_logprobs", "text_offset")], [len(lists["tokens"])] * 3)
        self.assertIsNone(lists["token_logprobs"][0])
        ids = self.ok("/tokenize", {"content": PARIS})["tokens"]
        self.assertEqual(self.complete(prompt=ids, echo=True, max_tokens=2)["choices"][0]["text"], r["text"])
        self.assertEqual(self.complete(prompt="", echo=True, max_tokens=0)["choices"][0]["text"], "")

    def test_scored_prompts_are_streamed_too(self):
        for fields in ({"echo": True, "logprobs": 1}, {"prompt_logprobs": 2}, {"echo": True, "logprobs": 0, "prompt_logprobs": 1}, {"echo": True}):
            whole = self.complete(**fields)["choices"][0]
            events = [e["choices"][0] for e in sse_data(self.ok("/v1/completions", {"prompt": PARIS, "max_tokens": 4, "temperature": 0, "stream": True, **fields}))
                      if e != "[DONE]"]
            self.assertEqual("".join(e["text"] for e in events), whole["text"])
            if "logprobs" in fields:
                for name in ("tokens", "token_logprobs", "text_offset"):
                    self.assertEqual(sum((e["logprobs"][name] for e in events if e["logprobs"]), []), whole["logprobs"][name])
            if "prompt_logprobs" in fields:
                self.assertEqual(events[0]["prompt_logprobs"], whole["prompt_logprobs"])

    def test_prompt_logprobs_edges(self):
        found = self.complete(prompt_logprobs=0, max_tokens=0)["choices"][0]["prompt_logprobs"]
        ids = self.ok("/tokenize", {"content": PARIS})["tokens"]
        self.assertIsNone(found[0])
        self.assertEqual([list(x) for x in found[1:]], [[str(i)] for i in ids[1:]])
        for value in (-1, 101, "1", 1.5):
            self.refused("/v1/completions", {"prompt": "a", "prompt_logprobs": value}, "prompt_logprobs")

    def test_cached_tokens_are_told_and_can_be_refused(self):
        prompt = "Once upon a time there was a fire that nobody let die. " * 4
        self.completion(prompt=prompt)
        self.assertGreater(self.completion(prompt=prompt)["timings"]["cache_n"], 20)
        again = self.completion(prompt=prompt, cache_prompt=False)
        self.assertEqual((again["timings"]["cache_n"], again["tokens_cached"]), (0, 0))
        usage = self.complete(prompt=prompt)["usage"]
        self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], 20)
        self.assertEqual(again["content"], self.completion(prompt=prompt)["content"])

    def test_llama_cpps_answer(self):
        r = self.completion(n_predict=3, return_tokens=True, seed=42, stop=["never"])
        for field in ("index", "id_slot", "stop", "model", "tokens_predicted", "tokens_evaluated", "generation_settings", "prompt", "has_new_line",
                      "truncated", "stop_type", "stopping_word", "tokens_cached", "timings"):
            self.assertIn(field, r)
        self.assertEqual((r["stop_type"], r["tokens_predicted"], len(r["tokens"]), r["prompt"]), ("limit", 3, 3, PARIS))
        self.assertEqual(self.ok("/detokenize", {"tokens": r["tokens"]})["content"], r["content"])
        self.assertEqual((r["generation_settings"]["seed"], r["generation_settings"]["n_predict"], r["generation_settings"]["stop"]), (42, 3, ["never"]))
        self.assertEqual(self.completion()["tokens"], [])
        self.assertEqual(self.completion(n_predict=0)["tokens_predicted"], 0)
        few = self.completion(response_fields=["content", "timings/predicted_n", "no/such"])
        self.assertEqual(sorted(few), ["content", "timings/predicted_n"])

    def test_llama_cpps_prompts(self):
        one = self.completion()["content"]
        ids = self.ok("/tokenize", {"content": PARIS})["tokens"]
        self.assertEqual(self.completion(prompt=ids)["content"], one)
        self.assertEqual(self.completion(prompt=[*ids[:-1], " is"])["content"], one)
        many = self.completion(prompt=[PARIS, "One, two,"])
        self.assertEqual(([x["index"] for x in many], many[0]["content"]), ([0, 1], one))
        self.assertEqual([x["content"] for x in self.completion(prompt=[ids, PARIS])], [one, one])
        self.assertEqual(len(self.completion(prompt=[PARIS])), 1)
        events = sse_data(self.ok("/completion", {"prompt": [PARIS, PARIS], "n_predict": 4, "temperature": 0, "stream": True}))
        for i in range(2):
            self.assertEqual("".join(e["content"] for e in events if e["index"] == i), one)
        self.completion(prompt="")
        for prompt, place in ((None, ""), (5, ""), ([-1], "[0]"), ([10**9], "[0]"), ([1.5], "[0]"), ([[-1]], "[0][0]"), (True, "")):
            self.refused("/completion", {"prompt": prompt, "n_predict": 1}, f"prompt{place}")

    def test_llama_cpps_stream(self):
        events = sse_data(self.ok("/completion", {"prompt": PARIS, "n_predict": 4, "temperature": 0, "stream": True, "timings_per_token": True, "n_probs": 1}))
        self.assertEqual([e["stop"] for e in events], [False] * (len(events) - 1) + [True])
        self.assertEqual([e["timings"]["predicted_n"] for e in events], [1, 2, 3, 4, 4])
        self.assertTrue(all(len(e["completion_probabilities"]) == 1 for e in events[:-1]))

    def test_tokens(self):
        self.assertEqual(self.ok("/tokenize", {"content": ""})["tokens"], [])
        mixed = self.ok("/tokenize", {"content": ["Hello", 5, " world"]})["tokens"]
        self.assertIn(5, mixed)
        self.assertEqual(self.ok("/detokenize", {"tokens": []})["content"], "")
        for text in ("Zażółć 🎉 日本", " leading", "trailing ", "a\n\nb", "\t"):
            self.assertEqual(self.ok("/detokenize", {"tokens": self.ok("/tokenize", {"content": text})["tokens"]})["content"], text)
        self.refused("/tokenize", {}, "content")
        self.refused("/tokenize", {"content": 5}, "content")
        self.refused("/tokenize", {"content": "a", "add_special": "yes"}, "add_special")
        # A character in two tokens comes back whole, half of it as a sign that something is missing.
        tokens = self.ok("/tokenize", {"content": "🏔"})["tokens"]
        if len(tokens) > 1:
            self.assertIn("\ufffd", self.ok("/detokenize", {"tokens": tokens[:1]})["content"])

    def test_apply_template(self):
        prompt = self.ok("/apply-template", {"messages": USER})["prompt"]
        self.assertIn("Name a colour.", prompt)
        self.assertTrue(prompt.rstrip().endswith("assistant"))
        self.assertFalse(self.ok("/apply-template", {"messages": USER, "add_generation_prompt": False})["prompt"].rstrip().endswith("assistant"))
        self.refused("/apply-template", {}, "messages")

    def test_embeddings(self):
        plain = self.ok("/v1/embeddings", {"input": ["hello", "world"], "encoding_format": "float"})
        coded = self.ok("/v1/embeddings", {"input": ["hello", "world"], "encoding_format": "base64"})
        self.assertEqual([d["index"] for d in plain["data"]], [0, 1])
        for a, b in zip(plain["data"], coded["data"]):
            raw = base64.b64decode(b["embedding"])
            self.assertLess(max(abs(x - y) for x, y in zip(a["embedding"], struct.unpack(f"<{len(raw) // 4}f", raw))), 1e-6)
        self.assertEqual(plain["usage"]["prompt_tokens"], plain["usage"]["total_tokens"])
        ids = self.ok("/tokenize", {"content": "hello"})["tokens"]
        self.assertEqual(self.ok("/v1/embeddings", {"input": ids})["data"][0]["embedding"], plain["data"][0]["embedding"])
        self.assertEqual(len(self.ok("/v1/embeddings", {"input": [ids, ids]})["data"]), 2)
        for value in ([], None, "", 5, {}):
            self.refused("/v1/embeddings", {"input": value}, "input")
        for value in ([[]], [{}], [1.5], [None]):
            self.refused("/v1/embeddings", {"input": value}, "input[0]")
        self.refused("/v1/embeddings", {"input": ["a", ""]}, "input[1]")
        self.refused("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format")
        for n in (0, -1, 1 << 20, "x"):
            self.refused("/v1/embeddings", {"input": "a", "dimensions": n}, "dimensions")
        # llama.cpp's objects.
        found = self.ok("/v1/embeddings", {"input": ["hello", {"prompt_string": "hello"}, {"content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]}]})["data"]
        self.assertEqual({str(d["embedding"]) for d in found}, {str(plain["data"][0]["embedding"])})
        self.assertEqual(self.ok("/v1/embeddings", {"input": {"prompt_string": "hello"}})["data"], found[:1])
        for value in ({"content": "a"}, {"content": []}, {"content": [{"type": "input_audio", "input_audio": {}}]}, {"content": [5]}, {"prompt_string": 5}):
            self.assertTrue(self.ok("/v1/embeddings", {"input": value}, 400)["error"]["param"].startswith("input"), value)
        own = self.ok("/embedding", {"content": "hello"})
        self.assertEqual(own[0]["embedding"][0], plain["data"][0]["embedding"])
        # Without the version it is llama.cpp's, unless somebody says how numbers shall be written, as OpenAI's clients do.
        self.assertEqual(self.ok("/embeddings", {"input": "hello"}), own)
        self.assertEqual(self.ok("/embeddings", {"input": ["hello", "world"], "encoding_format": "float"})["data"], plain["data"])

    def test_embeddings_by_other_lengths(self):
        vector = lambda norm: self.ok("/embedding", {"content": "hello", "embd_normalize": norm})[0]["embedding"][0]
        straight, one = vector(-1), vector(2)
        self.assertEqual(self.ok("/embedding", {"content": "hello"})[0]["embedding"][0], one)
        self.assertNotAlmostEqual(math.hypot(*straight), 1, delta=0.5)  # as the model has it
        for norm, length in ((0, lambda v: max(map(abs, v)) / 32760), (1, lambda v: sum(map(abs, v))), (2, lambda v: math.hypot(*v)),
                             (3, lambda v: sum(abs(x) ** 3 for x in v) ** (1 / 3))):
            found = vector(norm)
            self.assertAlmostEqual(length(found), 1, delta=1e-4)
            scale = length(straight)  # one direction
            self.assertLess(max(abs(a - b / scale) for a, b in zip(found, straight)), 1e-4 * max(map(abs, found)))
        for norm in (-2, 1.5, "2", 1 << 40):
            self.refused("/embedding", {"content": "hello", "embd_normalize": norm}, "embd_normalize")

    def test_hundreds_of_inputs_at_once(self):
        found = self.ok("/v1/embeddings", {"input": [f"w {i}" for i in range(100)]})["data"]
        self.assertEqual([d["index"] for d in found], list(range(100)))
        many = self.complete(prompt=[f"{i}," for i in range(40)], n=2, max_tokens=1)
        self.assertEqual([c["index"] for c in many["choices"]], list(range(80)))

    def test_ollamas_options(self):
        body = {"model": "smollm2", "messages": USER, "stream": False, "keep_alive": "5m",
                "options": {"num_predict": 4, "temperature": 0, "seed": 3, "num_ctx": 256, "top_k": 40, "stop": ["~~"], "num_gpu": 1, "mirostat": 0}}
        r = self.ok("/api/chat", body)
        self.assertEqual((r["done"], r["done_reason"], r["eval_count"], r["message"]["role"]), (True, "length", 4, "assistant"))
        for field in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_duration", "created_at"):
            self.assertIn(field, r)
        said = self.ok("/api/generate", {"prompt": "Name a colour.", "stream": False, "options": body["options"], "images": []})
        self.assertEqual(said["response"], r["message"]["content"])
        for wrong in ({"options": {"temperature": -1}}, {"options": []}, {"options": {"num_predict": "4"}}, {"messages": "x"}):
            self.assertIsInstance(self.ok("/api/chat", {**body, **wrong}, 400)["error"], str)
        self.assertIsInstance(self.ok("/api/chat", {**body, "messages": [{"role": "user", "content": "a", "images": ["aaaa"]}]}, 400)["error"], str)
        self.assertIsInstance(self.ok("/api/generate", {"prompt": "a", "images": ["aaaa"]}, 400)["error"], str)
        self.assertEqual(self.ok("/api/chat", {"model": "smollm2", "messages": [], "keep_alive": 0})["done"], True)
        none = [{"role": "user", "content": "Name a colour.", "images": []}]  # as litellm writes it
        self.assertEqual(self.ok("/api/chat", {**body, "messages": none})["message"], r["message"])

    def test_anthropics_fields(self):
        body = {"model": "smollm2", "max_tokens": 5, "temperature": 0, "messages": USER}
        plain = self.ok("/v1/messages", body)
        self.assertEqual((plain["type"], plain["role"], plain["stop_reason"], plain["stop_sequence"]), ("message", "assistant", "max_tokens", None))
        blocks = [{"type": "text", "text": "Name a colour.", "cache_control": {"type": "ephemeral"}}]
        self.assertEqual(self.ok("/v1/messages", {**body, "messages": [{"role": "user", "content": blocks}]})["content"], plain["content"])
        system = [{"type": "text", "text": "You are brief.", "cache_control": {"type": "ephemeral"}}]
        self.assertEqual(self.ok("/v1/messages", {**body, "system": system})["content"], self.ok("/v1/messages", {**body, "system": "You are brief."})["content"])
        self.ok("/v1/messages", {**body, "metadata": {"user_id": "x"}, "top_k": 5, "stop_sequences": None, "tools": [], "service_tier": "auto"})
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
        for wrong in ({"messages": []}, {"max_tokens": None}, {"max_tokens": 0}, {"max_tokens": "5"}, {"temperature": 9}, {"stop_sequences": 5},
                      {"messages": [{"role": "wizard", "content": "x"}]}, {"messages": [{"role": "user", "content": [image]}]}, {"messages": [{"role": "user"}]}):
            reply = self.ok("/v1/messages", {**body, **wrong}, 400)
            self.assertEqual((reply["type"], reply["error"]["type"]), ("error", "invalid_request_error"), wrong)
            self.assertIn(next(iter(wrong)), reply["error"]["message"])
        count = self.ok("/v1/messages/count_tokens", {"model": "smollm2", "messages": USER, "system": system})
        longer = self.ok("/v1/messages/count_tokens", {"model": "smollm2", "messages": USER})
        self.assertGreater(count["input_tokens"], 0)
        self.assertNotEqual(count, longer)

    def test_anthropics_stream(self):
        text = self.ok("/v1/messages", {"model": "smollm2", "max_tokens": 4, "temperature": 0, "messages": USER, "stream": True})
        names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
        events = sse_data(text)
        self.assertEqual(names, [e["type"] for e in events])
        self.assertEqual((names[0], names[-1]), ("message_start", "message_stop"))
        self.assertEqual(events[0]["message"]["content"], [])
        self.assertIsNone(events[0]["message"]["stop_reason"])
        self.assertEqual(events[-2]["delta"]["stop_reason"], "max_tokens")
        self.assertEqual(events[-2]["usage"]["output_tokens"], 4)

    def test_state(self):
        self.assertEqual(self.server.get("/health", token=False)[2]["status"], "ok")
        self.assertEqual(self.server.get("/v1/health")[0], 200)
        props = self.server.get("/props")[2]
        for field in ("default_generation_settings", "total_slots", "model_path", "chat_template", "bos_token", "eos_token", "build_info"):
            self.assertIn(field, props)
        self.assertEqual(props["default_generation_settings"]["n_ctx"], 512)
        wait_until(lambda: not self.server.get("/slots")[2][0]["is_processing"], what="the end of what was asked before")
        slots = self.server.get("/slots")[2]
        self.assertEqual((len(slots), slots[0]["n_ctx"], slots[0]["is_processing"]), (props["total_slots"], 512, False))
        metrics = self.server.get("/metrics")
        self.assertTrue(metrics[1]["content-type"].startswith("text/plain"))
        for name in ("requests_processing", "requests_deferred", "prompt_tokens_total", "tokens_predicted_total", "kv_cache_usage_ratio"):
            self.server.metric(name)
        for line in metrics[2].splitlines():
            self.assertTrue(line.startswith("# ") or len(line.split()) == 2, line)

    def test_paths_and_methods(self):
        for method, path, status in (("GET", "/v1/models", 200), ("HEAD", "/v1/models", 200), ("GET", "/v1/models/smollm2%3Alatest", 200),
                                     ("GET", "/v1/models?limit=5", 200), ("GET", "/v1/nothing", 404), ("POST", "/v1/models", 405),
                                     ("DELETE", "/v1/chat/completions", 405), ("GET", "/api/chat", 405), ("OPTIONS", "/v1/models", 405),
                                     ("TRACE", "/health", 405), ("GET", "/v1/models/no-such", 404), ("PATCH", "/nothing", 404)):
            with self.server.connect() as s:
                s.sendall(self.server.head(method, path, headers=["Connection: close"]))
                reply = s.makefile("rb").read()
            self.assertEqual(int(reply.split()[1]), status, (method, path))
            if method == "HEAD":
                self.assertTrue(reply.endswith(b"\r\n\r\n"))
                self.assertIn(b"Content-Length: ", reply)

    def test_an_answer_outlives_what_came_before_it_on_the_connection(self):
        good = json.dumps({"prompt": PARIS, "max_tokens": 2}).encode()
        with self.server.connect() as s:
            f = s.makefile("rb")
            for body, status in ((b"{", 400), (good, 200), (json.dumps({"prompt": None}).encode(), 400), (good, 200)):
                s.sendall(self.server.head("POST", "/v1/completions", body) + body)
                self.assertEqual(read_reply(f)[0], status)


if __name__ == "__main__":
    main()
