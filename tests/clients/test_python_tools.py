"""Python's clients where models call tools and keep to schemas: what each makes of choices, of several calls, of pieces in a stream, of
an answer that is cut, and of errors.
usage: test_python_tools.py WATRA HOME [--quick] [--model NAME]"""
import json
import unittest
from typing import Literal

import anthropic
import ollama
import openai
import pydantic

from client_case import MODEL, QUICK, Client, main, start_server

WEATHER = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"type": "string", "enum": ["C", "F"]}},
           "required": ["city", "unit"], "additionalProperties": False}
ADD = {"type": "object", "properties": {"a": {"type": "integer", "minimum": -999, "maximum": 999}, "b": {"type": "integer", "minimum": -999, "maximum": 999}},
       "required": ["a", "b"], "additionalProperties": False}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER}},
         {"type": "function", "function": {"name": "add", "description": "Adds two numbers", "parameters": ADD}}]
CLAUDE_TOOLS = [{"name": t["function"]["name"], "description": t["function"]["description"], "input_schema": t["function"]["parameters"]} for t in TOOLS]
RESPONSES_TOOLS = [{"type": "function", "strict": None, **t["function"]} for t in TOOLS]
ASK = [{"role": "user", "content": "What is the weather in Paris in C? Call the function."}]
NAMED = {"type": "function", "function": {"name": "add"}}
KNOWS_TOOLS = MODEL != "smollm2"  # its template has them, and it calls when it should


class Colour(pydantic.BaseModel):
    name: Literal["red", "green", "blue"]
    warm: bool


COLOUR = {"type": "object", "properties": {"name": {"enum": ["red", "green", "blue"]}, "warm": {"type": "boolean"}}, "required": ["name", "warm"],
          "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": COLOUR}}


def setUpModule():
    start_server("--ctx", "2048", "--parallel", "8")


def tearDownModule():
    Client.server.stop()


class Tools(Client):
    def check(self, name, arguments, names=("get_weather", "add")):
        self.assertIn(name, names)
        values = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
        self.assertEqual(set(values), {"city", "unit"} if name == "get_weather" else {"a", "b"})
        if name == "add":
            self.assertTrue(all(isinstance(v, int) for v in values.values()), values)

    def check_colour(self, text):
        Colour.model_validate_json(text)


class OpenAi(Tools):
    def setUp(self):
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key=self.server.token, max_retries=0)

    def chat(self, **fields):
        return self.client.chat.completions.create(**{"model": MODEL, "messages": ASK, "max_tokens": 200, "temperature": 0, "tools": TOOLS, **fields})

    def test_choices(self):
        for choice, names in (("required", ("get_weather", "add")), (NAMED, ("add",))):
            c = self.chat(tool_choice=choice).choices[0]
            self.assertEqual((c.finish_reason, c.message.content, len(c.message.tool_calls)), ("tool_calls", None, 1))
            self.check(c.message.tool_calls[0].function.name, c.message.tool_calls[0].function.arguments, names)
        none = self.chat(tool_choice="none", max_tokens=16).choices[0]
        self.assertIsNone(none.message.tool_calls)
        self.assertTrue(none.message.content)
        if KNOWS_TOOLS:
            auto = self.chat(tool_choice="auto").choices[0]
            self.assertEqual(auto.finish_reason, "tool_calls")
            self.check(auto.message.tool_calls[0].function.name, auto.message.tool_calls[0].function.arguments, ("get_weather",))

    def test_some_of_the_tools(self):
        for mode in ("auto", "required"):
            c = self.chat(tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [NAMED]}}).choices[0]
            for call in c.message.tool_calls or []:
                self.check(call.function.name, call.function.arguments, ("add",))
            if mode == "required":
                self.assertEqual((c.finish_reason, len(c.message.tool_calls)), ("tool_calls", 1))
        said = self.client.responses.create(model=MODEL, input=ASK, tools=RESPONSES_TOOLS, max_output_tokens=200, temperature=0,
                                            tool_choice={"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "add"}]})
        [call] = [i for i in said.output if i.type == "function_call"]
        self.check(call.name, call.arguments, ("add",))
        with self.assertRaises(openai.BadRequestError) as e:
            self.chat(tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "none_such"}}]}})
        self.assertEqual(e.exception.param, "tool_choice.allowed_tools.tools[0].function.name")

    def test_only_offered_tools_are_called(self):
        ask = {"messages": [{"role": "user", "content": "Say hello."}], "tool_choice": "auto", "max_tokens": 64}
        whole = self.chat(**ask).choices[0]
        for call in whole.message.tool_calls or []:
            self.assertIn(call.function.name, ("get_weather", "add"))
        content, names = "", []
        for chunk in self.chat(stream=True, **ask):
            content += chunk.choices[0].delta.content or ""
            names += [call.function.name for call in chunk.choices[0].delta.tool_calls or [] if call.function.name]
        self.assertEqual((content, names), (whole.message.content or "", [call.function.name for call in whole.message.tool_calls or []]))
        self.assertTrue(content or names)

    def test_several_calls_have_ids_of_their_own(self):
        c = self.chat(tool_choice="required", parallel_tool_calls=True, temperature=1, seed=11, max_tokens=400).choices[0]
        self.assertGreaterEqual(len(c.message.tool_calls), 1)
        self.assertEqual(len({call.id for call in c.message.tool_calls}), len(c.message.tool_calls))
        alone = self.chat(tool_choice="required", parallel_tool_calls=False, temperature=1, seed=11, max_tokens=400).choices[0]
        self.assertEqual(len(alone.message.tool_calls), 1)

    def test_pieces_of_a_stream_make_the_call(self):
        whole = self.chat(tool_choice="required").choices[0].message.tool_calls[0].function
        name, arguments, reasons, ids = "", "", [], set()
        for chunk in self.chat(tool_choice="required", stream=True):
            reasons.append(chunk.choices[0].finish_reason)
            for call in chunk.choices[0].delta.tool_calls or []:
                self.assertEqual(call.index, 0)
                ids |= {call.id} - {None}
                name += call.function.name or ""
                arguments += call.function.arguments or ""
        self.assertEqual((name, arguments), (whole.name, whole.arguments))
        self.assertEqual((len(ids), reasons[-1], set(reasons[:-1])), (1, "tool_calls", {None}))
        with self.client.chat.completions.stream(model=MODEL, messages=ASK, tools=TOOLS, tool_choice=NAMED, max_tokens=200, temperature=0) as stream:
            done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
        self.check(done[0].name, done[0].arguments, ("add",))

    def test_results_go_back(self):
        call = self.chat(tool_choice="required").choices[0].message
        messages = [*ASK, call.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "21 C, sunny"}]
        self.assertTrue(self.chat(messages=messages, tool_choice="none", max_tokens=12).choices[0].message.content)

    def test_schemas(self):
        for seed in range(3):
            c = self.chat(tools=openai.NOT_GIVEN, response_format=FORMAT, temperature=1.5, seed=seed).choices[0]
            self.check_colour(c.message.content)
        parsed = self.client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Colour, max_tokens=100, temperature=0).choices[0].message
        self.assertIsInstance(parsed.parsed, Colour)
        free = [self.chat(tools=openai.NOT_GIVEN, response_format={"type": "json_object"}, max_tokens=200, temperature=0.8, seed=seed,
                          messages=[{"role": "user", "content": "An empty JSON object: {}"}]).choices[0] for seed in range(5)]
        ended = [json.loads(c.message.content) for c in free if c.finish_reason == "stop"]  # a small model may write a long one
        self.assertTrue(ended)
        self.assertEqual({type(o) for o in ended}, {dict})
        with self.assertRaises(openai.LengthFinishReasonError):
            self.client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Colour, max_tokens=3)

    def test_errors(self):
        for fields, param in (({"tool_choice": {"type": "function", "function": {"name": "none_such"}}}, "tool_choice"), ({"tool_choice": "sometimes"}, "tool_choice"),
                              ({"tools": [], "tool_choice": "required"}, "tool_choice"), ({"tools": [{"type": "function"}]}, "tools[0].function"),
                              ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
                              ({"tools": openai.NOT_GIVEN, "response_format": {"type": "json_schema"}}, "response_format.json_schema")):
            with self.assertRaises(openai.BadRequestError) as e:
                self.chat(**fields)
            self.assertEqual(e.exception.param, param)

    def test_leaving_while_a_call_is_written(self):
        with self.left(1500):
            stream = self.chat(tool_choice="required", max_tokens=1500, stream=True, logit_bias={}, parallel_tool_calls=True)
            next(iter(stream))
            stream.close()

    def test_responses(self):
        ask = {"model": MODEL, "input": ASK, "tools": RESPONSES_TOOLS, "max_output_tokens": 200, "temperature": 0}
        whole = self.client.responses.create(tool_choice="required", **ask)
        call = next(i for i in whole.output if i.type == "function_call")
        self.check(call.name, call.arguments)
        self.assertEqual((whole.status, whole.tool_choice, len(whole.tools)), ("completed", "required", 2))
        events = list(self.client.responses.create(tool_choice={"type": "function", "name": "add"}, stream=True, **ask))
        text = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
        done = next(e for e in events if e.type == "response.function_call_arguments.done")
        self.assertEqual(done.arguments, text)
        self.check("add", text)
        parsed = self.client.responses.parse(model=MODEL, input="A colour.", text_format=Colour, max_output_tokens=100, temperature=0)
        self.assertIsInstance(parsed.output_parsed, Colour)
        after = [*ASK, {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
                 {"type": "function_call_output", "call_id": call.call_id, "output": "21 C"}]
        said = self.client.responses.create(**{**ask, "input": after, "tool_choice": "none", "max_output_tokens": 16})
        self.assertIn(said.status, ("completed", "incomplete"))


class Anthropic(Tools):
    def setUp(self):
        self.client = anthropic.Anthropic(base_url=self.server.url, api_key=self.server.token, max_retries=0)

    def ask(self, **fields):
        return self.client.messages.create(**{"model": MODEL, "max_tokens": 200, "messages": ASK, "tools": CLAUDE_TOOLS, "extra_body": {"temperature": 0}, **fields})

    def test_choices(self):
        for choice, names in (({"type": "any"}, ("get_weather", "add")), ({"type": "tool", "name": "add"}, ("add",))):
            m = self.ask(tool_choice=choice)
            self.assertEqual(m.stop_reason, "tool_use")
            [block] = [b for b in m.content if b.type == "tool_use"]
            self.check(block.name, block.input, names)
        self.assertEqual([b.type for b in self.ask(tool_choice={"type": "none"}, max_tokens=12).content], ["text"])
        if KNOWS_TOOLS:
            self.assertEqual(self.ask(tool_choice={"type": "auto", "disable_parallel_tool_use": True}).stop_reason, "tool_use")

    def test_pieces_of_a_stream_make_the_call(self):
        whole = self.ask(tool_choice={"type": "any"}).content[-1]
        with self.client.messages.stream(model=MODEL, max_tokens=200, messages=ASK, tools=CLAUDE_TOOLS, tool_choice={"type": "any"}, extra_body={"temperature": 0}) as stream:
            pieces = "".join(e.partial_json for e in stream if e.type == "input_json")
            final = stream.get_final_message()
        self.assertEqual((final.stop_reason, final.content[-1].name, final.content[-1].input), ("tool_use", whole.name, whole.input))
        self.assertEqual(json.loads(pieces), whole.input)
        self.assertGreater(final.usage.input_tokens + (final.usage.cache_read_input_tokens or 0), 50)

    def test_results_go_back(self):
        m = self.ask(tool_choice={"type": "any"})
        use = m.content[-1]
        messages = [*ASK, {"role": "assistant", "content": [b.model_dump() for b in m.content]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "21 C"}]}]}]
        self.assertTrue(self.ask(messages=messages, tool_choice={"type": "none"}, max_tokens=12).content[0].text)

    def test_schemas(self):
        form = {"type": "json_schema", "schema": COLOUR}
        for seed in range(3):
            m = self.ask(tools=anthropic.NOT_GIVEN, output_config={"format": form}, extra_body={"temperature": 1.5, "seed": seed})
            self.assertEqual((m.stop_reason, [b.type for b in m.content]), ("end_turn", ["text"]))
            self.check_colour(m.content[0].text)
        ask = {"model": MODEL, "max_tokens": 100, "messages": ASK}
        self.assertIsInstance(self.client.messages.parse(output_format=Colour, **ask).parsed_output, Colour)
        with self.client.messages.stream(output_format=Colour, **ask) as stream:
            self.assertIsInstance(stream.get_final_message().parsed_output, Colour)
        with self.assertRaises(anthropic.BadRequestError) as e:
            self.ask(tools=anthropic.NOT_GIVEN, output_config={"format": {"type": "json_schema"}})
        self.assertIn("output_config.format", e.exception.message)

    def test_errors(self):
        for fields in ({"tool_choice": {"type": "tool", "name": "none_such"}}, {"tools": [{"name": "a"}]}, {"tools": [{"name": "a b", "input_schema": {"type": "object"}}]},
                       {"tools": [], "tool_choice": {"type": "any"}}):
            with self.assertRaises(anthropic.BadRequestError):
                self.ask(**fields)


class Ollama(Tools):
    def setUp(self):
        self.client = ollama.Client(host=self.server.url, headers={"Authorization": f"Bearer {self.server.token}"})

    def test_schemas(self):
        for stream in (False, True):
            reply = self.client.chat(model=MODEL, messages=ASK, format=COLOUR, options={"temperature": 1, "seed": 4, "num_predict": 100}, stream=stream)
            self.check_colour("".join(p.message.content for p in reply) if stream else reply.message.content)
        self.check_colour(self.client.generate(model=MODEL, prompt="A colour.", format=COLOUR, options={"num_predict": 100}).response)

    @unittest.skipUnless(KNOWS_TOOLS, "it calls only when it is made to, and this API cannot say so")
    def test_calls(self):
        reply = self.client.chat(model=MODEL, messages=ASK, tools=TOOLS, options={"temperature": 0, "num_predict": 200})
        call = reply.message.tool_calls[0].function
        self.check(call.name, call.arguments, ("get_weather",))
        parts = list(self.client.chat(model=MODEL, messages=ASK, tools=TOOLS, options={"temperature": 0, "num_predict": 200}, stream=True))
        streamed = [c for p in parts for c in p.message.tool_calls or []]
        self.assertEqual([(c.function.name, c.function.arguments) for c in streamed], [(call.name, call.arguments)])
        messages = [*ASK, reply.message, {"role": "tool", "tool_name": call.name, "content": "21 C"}]
        self.assertTrue(self.client.chat(model=MODEL, messages=messages, options={"num_predict": 8}).message.content)

    def test_log_and_fill(self):
        shown = self.client.show(MODEL)
        self.assertEqual("insert" in shown.capabilities, KNOWS_TOOLS)
        if KNOWS_TOOLS:
            self.assertTrue(self.client.generate(model=MODEL, prompt="def f(x):\n    return ", suffix="\n", options={"num_predict": 8, "temperature": 0}).response)
        else:
            with self.assertRaises(ollama.ResponseError):
                self.client.generate(model=MODEL, prompt="a", suffix="b")


@unittest.skipIf(QUICK, "slow to import")
class LiteLlm(Tools):
    @classmethod
    def setUpClass(cls):
        import litellm
        litellm.telemetry, litellm.suppress_debug_info = False, True
        cls.litellm = litellm

    def ask(self, prefix="openai/", path="/v1", **fields):
        base = {"model": prefix + MODEL, "api_base": self.server.url + path, "api_key": self.server.token, "messages": ASK, "max_tokens": 200,
                "temperature": 0, "num_retries": 0, "tools": TOOLS}
        return self.litellm.completion(**{**base, **fields})

    def test_choices_by_every_api(self):
        for way in (("openai/", "/v1"), ("anthropic/", "")):
            c = self.ask(*way, tool_choice="required").choices[0]
            self.assertEqual(c.finish_reason, "tool_calls", way)
            self.check(c.message.tool_calls[0].function.name, c.message.tool_calls[0].function.arguments)
            pieces = self.litellm.stream_chunk_builder(list(self.ask(*way, tool_choice=NAMED, stream=True))).choices[0].message.tool_calls[0].function
            self.check(pieces.name, pieces.arguments, ("add",))
        self.assertIsNone(self.ask(tool_choice="none", max_tokens=12).choices[0].message.tool_calls)

    def test_schemas_and_log_probabilities(self):
        self.check_colour(self.ask(tools=None, response_format=FORMAT).choices[0].message.content)
        scored = self.ask(tools=None, max_tokens=8, logprobs=True, top_logprobs=2).choices[0].logprobs.content
        self.assertTrue(all(len(e.top_logprobs) == 2 for e in scored))

    def test_errors(self):
        with self.assertRaises(self.litellm.exceptions.BadRequestError):
            self.ask(tool_choice={"type": "function", "function": {"name": "none_such"}})


@unittest.skipIf(QUICK, "slow to import")
class LangChain(Tools):
    @classmethod
    def setUpClass(cls):
        from langchain_openai import ChatOpenAI
        cls.chat = ChatOpenAI(model=MODEL, base_url=cls.server.url + "/v1", api_key=cls.server.token, max_retries=0, temperature=0, max_tokens=200)

    def test_choices(self):
        for choice, names in (("any", ("get_weather", "add")), ("add", ("add",))):
            bound = self.chat.bind_tools(TOOLS, tool_choice=choice)
            said = bound.invoke("What is the weather in Paris in C?")
            self.check(said.tool_calls[0]["name"], said.tool_calls[0]["args"], names)
            pieces = None
            for part in bound.stream("What is the weather in Paris in C?"):
                pieces = part if pieces is None else pieces + part
            self.assertEqual([(c["name"], c["args"]) for c in pieces.tool_calls], [(c["name"], c["args"]) for c in said.tool_calls])
        if KNOWS_TOOLS:
            self.check("get_weather", self.chat.bind_tools(TOOLS).invoke(ASK[0]["content"]).tool_calls[0]["args"])

    def test_results_go_back(self):
        from langchain_core.messages import HumanMessage, ToolMessage
        said = self.chat.bind_tools(TOOLS, tool_choice="any").invoke("What is the weather in Paris in C?")
        history = [HumanMessage("What is the weather in Paris in C?"), said, ToolMessage("21 C", tool_call_id=said.tool_calls[0]["id"])]
        self.assertTrue(self.chat.bind(max_tokens=12).invoke(history).content)

    def test_schemas(self):
        for method in ("json_schema", "function_calling"):
            self.assertIsInstance(self.chat.with_structured_output(Colour, method=method).invoke("A colour."), Colour, method)


if __name__ == "__main__":
    main()
