"""Answers that are held to a shape: schemas, grammars, expressions, choices, in every API that can ask for one."""
import json
import re
import threading
import unittest

import openai

from schema_check import satisfies
from support import Server, main, sse_data, wait_until

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["tall", "żwawy", "old"]}, "minItems": 1, "maxItems": 3},
        "boss": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["id"]}]},
    },
    "required": ["name", "age", "tags", "boss"],
    "additionalProperties": False,
}
SEEDS = range(16)


class Shapes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "2048", "--parallel", "8")
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key=cls.server.token, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def chat(self, text="Tell me of a person.", **options):
        options = {"max_tokens": 400, "temperature": 0, "model": "smollm2", **options}
        return self.client.chat.completions.create(messages=[{"role": "user", "content": text}], **options)

    def refused(self, path="/v1/chat/completions", **fields):
        body = {"messages": [{"role": "user", "content": "x"}], "prompt": "x", "max_tokens": 4, **fields}
        status, _, reply = self.server.post(path, body)
        self.assertEqual(status, 400, reply)
        return reply["error"]

    def test_schema_over_many_seeds(self):
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        whole = 0
        r = self.chat(response_format=form, temperature=1.5, seed=7, n=len(SEEDS))
        for choice in r.choices:
            if choice.finish_reason == "length":
                continue
            whole += 1
            self.assertTrue(satisfies(json.loads(choice.message.content), PERSON), choice.message.content)
        self.assertGreaterEqual(whole, len(SEEDS) * 3 // 4)

    def test_long_limits_are_held_and_cost_nothing(self):
        schema = {"type": "object", "additionalProperties": False, "properties": {f"p{i}": {"type": "string", "minLength": 1, "maxLength": n} for i, n in enumerate((8, 20, 500, 5000))}}
        schema["required"] = list(schema["properties"])
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
        ended = [c for c in self.chat(response_format=form, temperature=1, seed=3, n=8).choices if c.finish_reason == "stop"]
        self.assertTrue(ended)
        for c in ended:
            self.assertTrue(satisfies(json.loads(c.message.content), schema), c.message.content)

    def test_any_object(self):
        for seed in range(3):
            c = self.chat("Answer in JSON: what is the capital of France?", response_format={"type": "json_object"}, seed=seed, temperature=0.8).choices[0]
            if c.finish_reason == "stop":
                self.assertIsInstance(json.loads(c.message.content), dict)
            self.assertTrue(c.message.content.startswith("{"))

    def test_streamed_is_the_same(self):
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
        whole = self.chat(response_format=form, seed=3, temperature=1).choices[0]
        text, finish = "", None
        for chunk in self.chat(response_format=form, seed=3, temperature=1, stream=True):
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        self.assertEqual((text, finish), (whole.message.content, whole.finish_reason))

    def test_cut_says_length(self):
        c = self.chat(response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}, max_tokens=5).choices[0]
        self.assertEqual(c.finish_reason, "length")
        with self.assertRaises(ValueError):
            json.loads(c.message.content)

    def test_no_grammar_end_before_it_is_complete(self):
        r = self.server.post("/completion", {"prompt": "x", "grammar": "root ::= \"abc\" [0-9]{3} \"!\"", "n_predict": 50, "ignore_eos": True})[2]
        self.assertRegex(r["content"], r"^abc[0-9]{3}!$")
        self.assertEqual(r["stop_type"], "eos")

    def test_numbers_and_formats_end(self):
        schemas = [{"type": "integer"}, {"type": "number"}, {"type": "object", "properties": {"id": {"type": "integer"}, "scores": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}},
                                                            "required": ["id", "scores"], "additionalProperties": False}]
        schemas += [{"type": "string", "format": f} for f in ("time", "date-time", "duration", "email", "hostname")]
        for schema in schemas:
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            for choice in self.chat("Make one up.", response_format=form, temperature=1.2, seed=3, n=6).choices:
                self.assertEqual(choice.finish_reason, "stop", choice.message.content)
                json.loads(choice.message.content)

    def test_llamacpp_fields(self):
        for path, get in (("/completion", lambda r: r["content"]), ("/v1/completions", lambda r: r["choices"][0]["text"]),
                          ("/v1/chat/completions", lambda r: r["choices"][0]["message"]["content"])):
            body = {"prompt": "The answer:", "messages": [{"role": "user", "content": "yes or no?"}], "max_tokens": 200, "n_predict": 200}
            text = get(self.server.post(path, {**body, "grammar": "root ::= (\"yes\" | \"no\") \"\\n\"?"})[2])
            self.assertIn(text.strip(), ("yes", "no"), path)
            schema = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9}, "minItems": 2, "maxItems": 3}
            self.assertTrue(satisfies(json.loads(get(self.server.post(path, {**body, "json_schema": schema})[2])), schema), path)
            self.assertIn(get(self.server.post(path, {**body, "guided_choice": ["zielony", "żółty"]})[2]), ("zielony", "żółty"))
            self.assertRegex(get(self.server.post(path, {**body, "guided_regex": "[A-C]{2}-\\d{2}"})[2]), r"^[A-C]{2}-\d{2}$")
            self.assertIs(type(json.loads(get(self.server.post(path, {**body, "structured_outputs": {"json": {"type": "boolean"}}})[2]))), bool)
        r = self.server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 200,
                                                      "response_format": {"type": "json_object", "schema": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}}})[2]
        self.assertEqual(json.loads(r["choices"][0]["message"]["content"]), {"a": 1})

    def test_polish_characters_are_whole(self):
        r = self.server.post("/completion", {"prompt": "x", "grammar": "root ::= [ąćęłńóśźż]{20}", "temperature": 1.5, "n_predict": 100})[2]
        self.assertRegex(r["content"], "^[ąćęłńóśźż]{20}$")

    def test_the_mask_is_not_in_the_logprobs(self):
        body = {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 1, "logprobs": True, "top_logprobs": 5, "temperature": 0}
        free = self.server.post("/v1/chat/completions", body)[2]["choices"][0]["logprobs"]["content"][0]
        held = self.server.post("/v1/chat/completions", {**body, "grammar": "root ::= \"zzz\""})[2]["choices"][0]["logprobs"]["content"][0]
        self.assertEqual(free["top_logprobs"], held["top_logprobs"], "they come from the raw logits")
        self.assertTrue("zzz".startswith(held["token"]))

    def test_ollama_and_responses(self):
        r = self.server.post("/api/chat", {"messages": [{"role": "user", "content": "x"}], "stream": False, "format": PERSON, "options": {"num_predict": 400, "temperature": 0}})[2]
        self.assertTrue(satisfies(json.loads(r["message"]["content"]), PERSON), r)
        r = self.server.post("/api/generate", {"prompt": "Say it in JSON.", "stream": False, "format": "json", "options": {"num_predict": 300, "temperature": 0}})[2]
        self.assertTrue(r["response"].startswith("{"))
        r = self.client.responses.create(model="smollm2", input="A person.", max_output_tokens=400, temperature=0,
                                         text={"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}})
        self.assertTrue(satisfies(json.loads(r.output_text), PERSON), r.output_text)

    def test_errors_name_the_keyword_and_the_field(self):
        e = self.refused(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"not": {}}}}}})
        self.assertEqual(e["param"], "response_format.json_schema.schema")
        self.assertIn('"not" at /properties/a', e["message"])
        e = self.refused(json_schema={"type": "array", "uniqueItems": True})
        self.assertIn("uniqueItems", e["message"])
        e = self.refused(json_schema={"type": "number", "multipleOf": 0.1})
        self.assertIn("multipleOf", e["message"])
        for schema, place in (({"type": "strin"}, "/type"), ({"properties": {"a": {"type": ["string", "nul"]}}}, "/properties/a/type"), ({"type": 5}, "/type"),
                              ({"type": "string", "minLength": -1}, "/minLength"), ({"type": "array", "maxItems": "5"}, "/maxItems"),
                              ({"type": "integer", "minimum": "0"}, "/minimum"), ({"type": "number", "multipleOf": 0}, "/multipleOf")):
            self.assertIn(f" at {place}", self.refused(json_schema=schema)["message"], schema)
        e = self.refused(grammar="root ::= [a-")
        self.assertEqual(e["param"], "grammar")
        self.assertIn("line 1", e["message"])
        self.assertEqual(self.refused("/completion", grammar="x ::= y")["param"], "grammar")
        self.assertEqual(self.refused(guided_regex="(a")["param"], "guided_regex")
        self.assertIn("both", self.refused(grammar="root ::= \"a\"", json_schema={})["message"])
        for bad in ("json", {"type": "json_schema"}, {"type": "xml"}, {"type": "json_schema", "json_schema": {"name": "a"}}):
            self.assertTrue(self.refused(response_format=bad)["param"].startswith("response_format"), bad)
        status, _, reply = self.server.post("/api/chat", {"messages": [{"role": "user", "content": "x"}], "format": "yaml"})
        self.assertEqual(status, 400)

    def test_every_error_names_the_same_field(self):
        form = lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        for schema in ({"not": {}}, {"type": "number", "multipleOf": 0.5}, {"enum": ["ab"], "maxLength": 1}, {"required": ["x"], "properties": {}, "additionalProperties": False}):
            self.assertEqual(self.refused(response_format=form(schema))["param"], "response_format.json_schema.schema", schema)
        self.assertEqual(self.refused("/completion", guided_choice=["7"], logit_bias=[["7", False]])["param"], "guided_choice")
        self.assertEqual(self.refused("/completion", json_schema={"const": 7}, logit_bias=[["7", False]])["param"], "json_schema")

    def test_patterns_are_written_as_json(self):
        for pattern in (r'^"a"$', r"^[A-Z]:\\\w{1,4}$", r"^a\\b$", r"^[\\]$", r"^\n$", r"^[\x00-\x1f]$", r"^\x22$", r"^\u000a$"):
            r = self.chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": pattern}}}, max_tokens=60)
            self.assertRegex(json.loads(r.choices[0].message.content), pattern)

    def test_multiples_end(self):
        for step in (3, 4, 6, 7):
            for seed in range(3):
                r = self.chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer", "multipleOf": step}}}, max_tokens=40,
                              temperature=2, seed=seed, logit_bias={}, extra_body={"min_p": 0, "top_k": 0})
                self.assertEqual(json.loads(r.choices[0].message.content) % step, 0)

    def test_a_grammar_too_large_is_an_error_and_others_go_on(self):
        grammar = "root ::= a{90000}\na ::= b{90000}\nb ::= [a-z]{5000} | c{7000}\nc ::= [0-9]{5000} d{900}\nd ::= \"x\" | \"yz\""
        replies = []
        asking = threading.Thread(target=lambda: replies.append(self.server.post("/completion", {"prompt": "x", "grammar": grammar, "n_predict": 2})))
        asking.start()
        self.assertEqual(self.server.get("/health")[0], 200)
        self.assertEqual(self.server.post("/completion", {"prompt": "x", "n_predict": 2})[0], 200)
        asking.join()
        self.assertIn(replies[0][0], (200, 400), replies[0])

    def test_cancelled_while_held(self):
        n, begun = 1900, self.server.metric("tokens_predicted_total")
        body = json.dumps({"messages": [{"role": "user", "content": "x"}], "grammar": "root ::= [a-z]{2000,}", "max_tokens": n, "stream": True}).encode()
        with self.server.connect() as s:
            s.sendall(self.server.head("POST", "/v1/chat/completions", body) + body)
            s.recv(2000)
        wait_until(lambda: self.server.n_requests() == 0, what="the end of the work")
        self.assertLess(self.server.metric("tokens_predicted_total") - begun, n)


if __name__ == "__main__":
    main()
