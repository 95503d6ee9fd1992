"""Tools in every API: forced calls are valid JSON whatever the seed, streamed pieces make the same call, results go back."""
import json
import unittest

import anthropic
import openai

from schema_check import satisfies
from support import TEST_HOME, Server, main, sse_data

WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
           "required": ["city", "unit"]}
ADD = {"type": "object", "properties": {"a": {"type": "integer", "minimum": -999, "maximum": 999}, "b": {"type": "integer", "minimum": -999, "maximum": 999}}, "required": ["a", "b"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER}},
         {"type": "function", "function": {"name": "add", "description": "Adds two numbers", "parameters": ADD}}]
SCHEMAS = {"get_weather": WEATHER, "add": ADD}
NAMED = {"type": "function", "function": {"name": "add"}}
ASK = [{"role": "user", "content": "What is the weather in Kraków?"}]
SEEDS = 16


class Tools:
    """The same for each model: one whose template knows tools, one whose does not."""

    files, model = "SmolLM2", "smollm2"

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--ctx", "2048", "--parallel", "8", model=cls.model, files=cls.files)
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key=cls.server.token, max_retries=0)
        cls.claude = anthropic.Anthropic(base_url=cls.server.url, api_key=cls.server.token, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def chat(self, messages=None, **options):
        options = {"max_tokens": 300, "temperature": 0, "model": self.model, "tools": TOOLS, **options}
        return self.client.chat.completions.create(messages=messages or ASK, **options)

    def check_call(self, call):
        self.assertEqual(call.type, "function")
        self.assertTrue(call.id)
        self.assertTrue(satisfies(json.loads(call.function.arguments), SCHEMAS[call.function.name]), call.function.arguments)

    def test_forced_over_many_seeds(self):
        for choice, names in (("required", set(SCHEMAS)), (NAMED, {"add"})):
            whole = 0
            for c in self.chat(tool_choice=choice, temperature=1.5, seed=5, n=SEEDS).choices:
                if c.finish_reason == "length":
                    continue
                whole += 1
                self.assertEqual(c.finish_reason, "tool_calls")
                self.assertIsNone(c.message.content)
                self.assertEqual(len(c.message.tool_calls), 1)
                self.check_call(c.message.tool_calls[0])
                self.assertIn(c.message.tool_calls[0].function.name, names)
            self.assertGreaterEqual(whole, SEEDS * 3 // 4)

    def test_several_calls(self):
        for c in self.chat(tool_choice="required", parallel_tool_calls=True, temperature=1, seed=2, n=4, max_tokens=600).choices:
            self.assertGreaterEqual(len(c.message.tool_calls), 1)
            if c.finish_reason == "tool_calls":
                for call in c.message.tool_calls:
                    self.check_call(call)
                self.assertEqual(len({call.id for call in c.message.tool_calls}), len(c.message.tool_calls))

    def test_streamed_is_the_same_and_comes_once(self):
        for choice in ("required", NAMED, "auto"):
            whole = self.chat(tool_choice=choice, temperature=0.9, seed=11).choices[0]
            text, calls, finish, ids = "", {}, None, {}
            for chunk in self.chat(tool_choice=choice, temperature=0.9, seed=11, stream=True):
                c = chunk.choices[0]
                finish = c.finish_reason or finish
                text += c.delta.content or ""
                for part in c.delta.tool_calls or []:
                    call = calls.setdefault(part.index, {"name": "", "arguments": ""})
                    if part.id:
                        self.assertNotIn(part.index, ids)
                        ids[part.index] = part.id
                    call["name"] += part.function.name or ""
                    call["arguments"] += part.function.arguments or ""
            self.assertEqual(finish, whole.finish_reason)
            self.assertEqual(text or None, whole.message.content or None)
            self.assertEqual([calls[i] for i in sorted(calls)],
                             [{"name": x.function.name, "arguments": x.function.arguments} for x in whole.message.tool_calls or []])
            self.assertEqual(len(set(ids.values())), len(calls))

    def test_cut_in_the_middle_says_length(self):
        c = self.chat(tool_choice="required", max_tokens=14).choices[0]
        self.assertEqual(c.finish_reason, "length")

    def test_a_forced_call_that_is_cut_is_no_text(self):
        for n in range(1, 8):
            r = self.chat(tool_choice="required", max_tokens=n)
            self.assertFalse(r.choices[0].message.content, n)

    def test_some_of_the_tools(self):
        allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": TOOLS[1]["function"]["name"]}}]}}
        r = self.chat(tool_choice=allowed, max_tokens=200)
        self.assertEqual(r.choices[0].message.tool_calls[0].function.name, TOOLS[1]["function"]["name"])

    def test_none_and_no_tools(self):
        self.assertFalse(self.chat(tool_choice="none").choices[0].message.tool_calls)
        plain = self.server.post("/v1/chat/completions", {"messages": ASK, "max_tokens": 8, "temperature": 0})[2]["usage"]["prompt_tokens"]
        none = self.chat(tool_choice="none", max_tokens=8).usage.prompt_tokens
        self.assertEqual(plain, none, "tools that may not be used are not in the prompt")
        self.assertGreater(self.chat(max_tokens=1).usage.prompt_tokens, plain)

    def test_results_go_back(self):
        call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 2, \"b\": 40}"}}
        messages = [{"role": "user", "content": "2 and 40?"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "call_1", "content": "the sum is 42"}]
        prompt = self.server.post("/apply-template", {"messages": messages, "tools": TOOLS})[2]["prompt"]
        for words in ("the sum is 42", "get_weather", '"a": 2' if '"a": 2' in prompt else '"a":2'):
            self.assertIn(words, prompt)
        c = self.chat(messages, max_tokens=40).choices[0]
        self.assertIn(c.finish_reason, ("stop", "length", "tool_calls"))

    def test_with_a_schema_for_the_answer(self):
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}}}
        c = self.chat(response_format=form, temperature=1, seed=4).choices[0]
        if c.message.tool_calls:
            self.check_call(c.message.tool_calls[0])
        else:
            self.assertIs(type(json.loads(c.message.content)["ok"]), bool)
        with self.assertRaises(openai.BadRequestError):
            self.chat(extra_body={"grammar": "root ::= \"a\""})

    def test_errors(self):
        for fields, param in (({"tools": "x"}, "tools"), ({"tools": [{"type": "function"}]}, "tools[0].function"),
                              ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
                              ({"tools": TOOLS, "tool_choice": "maybe"}, "tool_choice"),
                              ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "nobody"}}}, "tool_choice"),
                              ({"tool_choice": "required"}, "tool_choice"),
                              ({"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {"not": {}}}}}}]},
                               "tools[0].function.parameters")):
            status, _, reply = self.server.post("/v1/chat/completions", {"messages": ASK, "max_tokens": 4, **fields})
            self.assertEqual((status, reply.get("error", {}).get("param")), (400, param), reply)
        loose = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True, "items": {"enum": [1]}, "maxItems": 2}}, "required": ["a"]}}}]
        call = self.chat(tools=loose, tool_choice="required").choices[0].message.tool_calls[0]
        self.assertTrue(set(json.loads(call.function.arguments)["a"]) <= {1})

    def test_arguments_are_objects(self):
        messages = [{"role": "user", "content": "x"}]
        for schema in ({"type": "string"}, {"enum": ["a"]}, {"const": 1}, {"type": ["array", "null"]}):
            tool = {"name": "f", "parameters": schema}
            for path, body, field in (("/v1/chat/completions", {"messages": messages, "tools": [{"type": "function", "function": tool}]}, "tools[0].function.parameters"),
                                      ("/v1/responses", {"input": "x", "tools": [{"type": "function", **tool}]}, "tools[0].parameters")):
                status, _, reply = self.server.post(path, body)
                self.assertEqual((status, reply["error"]["param"]), (400, field), reply)
            status, _, reply = self.server.post("/v1/messages", {"messages": messages, "max_tokens": 4, "tools": [{"name": "f", "input_schema": schema}]})
            self.assertIn("tools[0].input_schema", reply["error"]["message"])
        # What is left of a choice are its objects.
        schema = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/o"}], "$defs": {"o": {"type": "object", "properties": {"a": {"const": "\\\""}}, "required": ["a"]}}}
        status, _, reply = self.server.post("/v1/chat/completions", {"messages": messages, "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}], "tool_choice": "required", "max_tokens": 60})
        self.assertEqual(json.loads(reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]), {"a": "\\\""}, reply)

    def test_anthropic(self):
        tools = [{"name": f["function"]["name"], "description": "x", "input_schema": f["function"]["parameters"]} for f in TOOLS]
        ask = {"model": self.model, "max_tokens": 300, "tools": tools, "messages": ASK}
        for choice, names in (({"type": "any"}, set(SCHEMAS)), ({"type": "tool", "name": "add"}, {"add"})):
            r = self.claude.messages.create(**ask, tool_choice=choice, extra_body={"seed": 3, "temperature": 0.7})
            self.assertEqual(r.stop_reason, "tool_use")
            use = [b for b in r.content if b.type == "tool_use"]
            self.assertTrue(all(b.id.startswith("toolu_") for b in use))
            self.assertEqual(len(use), 1)
            self.assertIn(use[0].name, names)
            self.assertTrue(satisfies(use[0].input, SCHEMAS[use[0].name]), use[0].input)
            with self.claude.messages.stream(**ask, tool_choice=choice, extra_body={"seed": 3, "temperature": 0.7}) as s:
                final = s.get_final_message()
            self.assertEqual(final.stop_reason, "tool_use")
            self.assertEqual([(b.name, b.input) for b in final.content if b.type == "tool_use"], [(use[0].name, use[0].input)])
        again = ASK + [{"role": "assistant", "content": [{"type": "tool_use", "id": use[0].id, "name": "add", "input": {"a": 1, "b": 2}}]},
                       {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use[0].id, "content": [{"type": "text", "text": "three"}]}]}]
        r = self.claude.messages.create(model=self.model, max_tokens=20, tools=tools, messages=again)
        self.assertIn(r.stop_reason, ("end_turn", "max_tokens", "tool_use"))
        with_tools = self.claude.messages.count_tokens(model=self.model, messages=ASK, tools=tools).input_tokens
        self.assertGreater(with_tools, self.claude.messages.count_tokens(model=self.model, messages=ASK).input_tokens)
        with self.assertRaises(anthropic.BadRequestError):
            self.claude.messages.create(model=self.model, max_tokens=20, messages=ASK, tools=[{"type": "web_search_20250305", "name": "web_search"}])

    def test_ollama(self):
        body = {"messages": [{"role": "user", "content": "What is 2 + 3? Use add."}], "tools": TOOLS, "options": {"temperature": 0, "num_predict": 200}}
        whole = self.server.post("/api/chat", {**body, "stream": False})[2]
        lines = [json.loads(x) for x in self.server.post("/api/chat", body)[2].splitlines()]
        self.assertTrue(lines[-1]["done"])
        calls = [c["function"] for x in lines for c in x["message"].get("tool_calls", [])]
        self.assertEqual([c["function"] for c in whole["message"].get("tool_calls", [])], calls)
        for c in calls:
            self.assertTrue(satisfies(c["arguments"], SCHEMAS[c["name"]]), c)
        history = [{"role": "user", "content": "2+3?"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2, "b": 3}}}]},
                   {"role": "tool", "tool_name": "add", "content": "5"}]
        self.assertEqual(self.server.post("/api/chat", {**body, "messages": history, "stream": False, "options": {"num_predict": 4}})[0], 200)

    def test_responses(self):
        tools = [{"type": "function", **f["function"]} for f in TOOLS]
        ask = {"model": self.model, "input": "Weather in Gdynia?", "tools": tools, "tool_choice": "required", "max_output_tokens": 300, "temperature": 0}
        r = self.client.responses.create(**ask)
        call = next(i for i in r.output if i.type == "function_call")
        self.assertTrue(satisfies(json.loads(call.arguments), SCHEMAS[call.name]), call)
        events = list(self.client.responses.create(**ask, stream=True))
        deltas = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
        self.assertEqual(deltas, call.arguments)
        done = events[-1]
        self.assertEqual(done.type, "response.completed")
        self.assertEqual([i.arguments for i in done.response.output if i.type == "function_call"], [call.arguments])
        self.assertEqual([e.sequence_number for e in events], list(range(len(events))))
        history = [{"role": "user", "content": "2+3?"}, {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{\"a\": 2, \"b\": 3}"},
                   {"type": "function_call_output", "call_id": "c1", "output": "5"}]
        r = self.client.responses.create(model=self.model, input=history, tools=tools, max_output_tokens=10)
        self.assertIn(r.status, ("completed", "incomplete"))


class OwnFormat(Tools, unittest.TestCase):
    pass


@unittest.skipUnless(any((TEST_HOME / "models").glob("qwen2.5-coder-0.5b*")), "qwen2.5-coder-0.5b is not on the shelf")
class ModelsFormat(Tools, unittest.TestCase):
    files, model = "qwen2.5-coder-0.5b", "qwen2.5-coder-0.5b"

    def test_calls_when_it_wants_to(self):
        c = self.chat([{"role": "user", "content": "What is the weather in Paris in C? Call the function."}]).choices[0]
        self.assertEqual(c.finish_reason, "tool_calls")
        self.check_call(c.message.tool_calls[0])
        self.assertEqual(c.message.tool_calls[0].function.name, "get_weather")
        self.assertIsNone(c.message.content, "the call is not told twice")


if __name__ == "__main__":
    main()
