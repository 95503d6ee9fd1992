"""Errors name the very place inside a field, what it needs and what was found there, in the shape of each API."""
from support import Asking, main

USER = [{"role": "user", "content": "a"}]
WRONG = {"type": "object", "properties": {"a": {"type": "strng"}}}
RIGHT = {"type": "object", "properties": {}}
AT = " at /properties/a/type, found \"strng\""


def content(*parts):
    return [{"role": "user", "content": list(parts)}]


def called(**function):
    return [{"role": "assistant", "content": None, "tool_calls": [{"id": "x", "type": "function", "function": function}]}]


def tools(schema, name="f"):
    return [{"type": "function", "function": {"name": "a", "parameters": RIGHT}}, {"type": "function", "function": {"name": name, "parameters": schema}}]


def form(schema):
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


TEXT = {"type": "text", "text": "a"}
# field, value, where, what its message says
CHAT = [("logit_bias", {"5": 200}, "logit_bias.5", "from -100 to 100, or false, found 200"),
        ("logit_bias", {"5": 1, "6": "x"}, "logit_bias.6", "found \"x\""),
        ("logit_bias", {"5": {"a": 1}}, "logit_bias.5", "found an object"),
        ("logit_bias", {"x": 1}, "logit_bias", "a token id from 0 to 49151, found \"x\""),
        ("logit_bias", {"99999999": 1}, "logit_bias", "found \"99999999\""),
        ("logit_bias", [[5, 1], [5]], "logit_bias[1]", "a pair of token id and number, found a list"),
        ("logit_bias", [[5, 1], [6, 500]], "logit_bias[1][1]", "found 500"),
        ("logit_bias", [[5, 1], [-6, 1]], "logit_bias[1][0]", "found -6"),
        ("stop", ["a", 1], "stop[1]", "a text, found 1"),
        ("stop", ["a", {"x": 1}], "stop[1]", "found an object"),
        ("tools", [{"type": "retrieval"}], "tools[0].type", "retrieval"),
        ("tools", [5], "tools[0]", "found 5"),
        ("tools", tools({"type": "string"}), "tools[1].function.parameters", "needs a schema of type object at /type, found \"string\""),
        ("tools", tools(WRONG), "tools[1].function.parameters", AT),
        ("tools", tools(RIGHT, "a b"), "tools[1].function.name", "found a text"),
        ("tools", tools(RIGHT, ""), "tools[1].function.name", "found \"\""),
        ("stop", ["a"] * 65, "stop", "at most 64 texts, found a list of 65"),
        ("messages", USER + [{"role": "king", "content": "x"}], "messages[1].role", "found \"king\""),
        ("messages", [{"role": "user", "content": 5}], "messages[0].content", "a text or a list of parts, found 5"),
        ("messages", [{"role": "user"}], "messages[0].content", "is missing"),
        ("messages", content(TEXT, 5), "messages[0].content[1]", "found 5"),
        ("messages", content(TEXT, {"type": "txt"}), "messages[0].content[1].type", "found \"txt\""),
        ("messages", content(TEXT, {"type": "text", "text": 5}), "messages[0].content[1].text", "found 5"),
        ("messages", content(TEXT, {"type": "image_url", "image_url": {"url": "x"}}), "messages[0].content[1]", "image_url"),
        ("messages", called(name="f", arguments=5), "messages[0].tool_calls[0].function.arguments", "found 5"),
        ("messages", called(arguments="{}"), "messages[0].tool_calls[0].function.name", "is missing"),
        ("response_format", form(WRONG), "response_format.json_schema.schema", AT),
        ("response_format", form(5), "response_format.json_schema.schema", "a JSON schema, found 5"),
        ("response_format", {"type": "xml"}, "response_format.type", "found \"xml\""),
        ("response_format", "json", "response_format", "found \"json\""),
        ("guided_choice", ["a", 5], "guided_choice[1]", "found 5"),
        ("guided_choice", ["a", ""], "guided_choice[1]", "found \"\""),
        ("modalities", ["text", "audio"], "modalities[1]", "found \"audio\"")]
RESPONSES = [("text", {"format": {"type": "json_schema", "name": "x", "schema": WRONG}}, "text.format.schema", AT),
             ("text", {"format": {"type": "xml"}}, "text.format.type", "found \"xml\""),
             ("input", content({"type": "input_text", "text": "a"}, {"type": "input_text"}), "input[0].content[1].text", "is missing"),
             ("input", [{"type": "foo"}], "input[0].type", "found \"foo\""),
             ("input", [{"role": "king", "content": "x"}], "input[0].role", "found \"king\""),
             ("tools", [{"type": "function", "name": "f", "parameters": WRONG}], "tools[0].parameters", AT),
             ("metadata", {"a": "b", "c": 5}, "metadata.c", "found 5"),
             ("include", ["message.output_text.logprobs", "x"], "include[1]", "found \"x\"")]
CLAUDE = [("stop_sequences", ["a", 1], "stop_sequences[1]", "found 1"),
          ("messages", content(TEXT, {"type": "text"}), "messages[0].content[1].text", "is missing"),
          ("messages", content(TEXT, {"type": "foo"}), "messages[0].content[1].type", "found \"foo\""),
          ("messages", content(TEXT, {"type": "image", "source": {}}), "messages[0].content[1]", "image"),
          ("system", [TEXT, {"type": "text", "text": 5}], "system[1].text", "found 5"),
          ("tools", [{"name": "a", "input_schema": RIGHT}, {"name": "f", "input_schema": WRONG}], "tools[1].input_schema", AT),
          ("output_config", {"format": {"type": "json_schema", "schema": WRONG}}, "output_config.format.schema", AT)]
OLLAMA = [("format", WRONG, "format", AT), ("options", {"stop": ["a", 1]}, "options.stop[1]", "found 1"),
          ("options", {"logit_bias": {"5": "x"}}, "options.logit_bias.5", "found \"x\""),
          ("tools", tools(WRONG), "tools[1].function.parameters", AT),
          ("messages", content(TEXT, 5), "messages[0].content[1]", "found 5")]
PROMPTS = [("/v1/completions", {"prompt": ["a", 5]}, "prompt[1]", "found 5"),
           ("/v1/completions", {"prompt": [1, -5]}, "prompt[1]", "a token id from 0 to 49151, found -5"),
           ("/v1/completions", {"prompt": [[1], [1, 99999999]]}, "prompt[1][1]", "found 99999999"),
           ("/v1/completions", {"prompt": [1, "a", {}]}, "prompt[2]", "found an empty object"),
           ("/v1/completions", {"prompt": [{"content": [TEXT, {"type": "image"}]}]}, "prompt[0].content[1].type", "found \"image\""),
           ("/v1/embeddings", {"input": ["a", 5]}, "input[1]", "found 5"),
           ("/v1/embeddings", {"input": ["a", ""]}, "input[1]", "must not be empty"),
           ("/v1/embeddings", {"input": [[1, 2], []]}, "input[1]", "must not be empty"),
           ("/completion", {"prompt": ["a", {"x": 1}]}, "prompt[1].prompt_string", "is missing"),
           ("/completion", {"prompt": ["a", [1, -1]]}, "prompt[1][1]", "found -1"),
           ("/completion", {"prompt": "a", "response_fields": ["content", 5]}, "response_fields[1]", "found 5"),
           ("/tokenize", {"content": ["a", {}]}, "content[1]", "found an empty object"),
           ("/detokenize", {"tokens": [1, "x"]}, "tokens[1]", "found \"x\""),
           ("/api/generate", {"prompt": "a", "context": [1, "x"]}, "context[1]", "found \"x\"")]


class Places(Asking):
    def told(self, path, body):
        error = self.ok(path, body, 400)["error"]
        return error if isinstance(error, str) else error["message"], error["param"] if isinstance(error, dict) and "param" in error else None

    def test_every_place_is_named(self):
        n = 0
        for path, base, cases in (("/v1/chat/completions", {"messages": USER}, CHAT), ("/v1/responses", {"input": "a"}, RESPONSES),
                                  ("/v1/messages", {"messages": USER, "max_tokens": 1}, CLAUDE), ("/api/chat", {"messages": USER, "stream": False}, OLLAMA)):
            for field, value, place, words in cases:
                with self.subTest(path=path, field=field, value=value):
                    message, param = self.told(path, {**base, field: value})
                    self.assertIn(words, message)
                    if path in ("/v1/messages", "/api/chat"):
                        self.assertTrue(message.startswith(place), message)
                    else:
                        self.assertEqual(param, place, message)
                        self.assertTrue(message.startswith(place), message)
                    n += 1
        self.assertGreater(n, 50)

    def test_prompts(self):
        for path, body, place, words in PROMPTS:
            with self.subTest(path=path, body=body):
                message, param = self.told(path, body)
                self.assertTrue(message.startswith(place), message)
                self.assertIn(words, message)
                self.assertIn(param, (None, place))

    def test_some_of_the_tools_keep_their_places(self):  # of those that are offered one is wrong, and it is not the first of all
        chosen = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}}
        self.assertEqual(self.told("/v1/chat/completions", {"messages": USER, "tools": tools(WRONG), "tool_choice": chosen})[1], "tools[1].function.parameters")
        chosen["allowed_tools"]["tools"].append({"type": "function", "function": {"name": "g"}})
        message, param = self.told("/v1/chat/completions", {"messages": USER, "tools": tools(RIGHT), "tool_choice": chosen})
        self.assertEqual(param, "tool_choice.allowed_tools.tools[1].function.name")
        self.assertIn("found \"g\"", message)

    def test_a_choice_that_names_nothing(self):
        for path, base, place in (("/v1/chat/completions", {"messages": USER, "tools": tools(RIGHT)}, "tool_choice.function"),
                                  ("/v1/responses", {"input": "a", "tools": [{"type": "function", "name": "f", "parameters": RIGHT}]}, "tool_choice.name")):
            self.assertEqual(self.told(path, {**base, "tool_choice": {"type": "function"}})[1], place)

    def test_no_persons_words_are_in_an_error(self):
        words = "these are the words of a person"
        for path, body in (("/v1/chat/completions", {"messages": words}), ("/v1/chat/completions", {"messages": [words]}),
                           ("/v1/chat/completions", {"messages": USER, "tools": [words]}), ("/v1/messages", {"messages": [words], "max_tokens": 1})):
            self.assertNotIn("person", self.told(path, body)[0])


if __name__ == "__main__":
    main()
