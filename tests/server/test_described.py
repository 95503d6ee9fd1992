"""docs/openapi_clients.json says what the routes of other people's APIs take: every field by its type, range and name. What they give is
held against it by every suite here (support.py)."""
import pathlib
import re
import unittest

import contract
from support import Asking, main

SOURCES = ("openai_*.cpp", "anthropic.cpp", "ollama_*.cpp", "llamacpp_*.cpp", "task.cpp", "tools.cpp", "sampling_fields.cpp", "chat_messages.cpp", "answer_shape.cpp")
# Anthropic's and Ollama's errors have no place for the field but their words.
IN_WORDS = ("/v1/messages", "/v1/messages/count_tokens", "/api/")


def properties(schema):
    """{name: schema} of a request, whatever it is put together from."""
    found = {}
    if "$ref" in schema:
        found.update(properties(contract.CLIENTS.content["components"]["schemas"][schema["$ref"].rpartition("/")[2]]))
    for part in schema.get("allOf", []):
        found.update(properties(part))
    found.update(schema.get("properties", {}))
    return found


def routes():
    for path, item in contract.CLIENTS.content["paths"].items():
        for method, operation in item.items():
            if method == "post" and "x-example" in operation:
                yield path, operation["x-example"], properties(operation["requestBody"]["content"]["application/json"]["schema"])


def outside(schema):
    """Values that a field does not take: of another type, beyond its ends, none of its words."""
    types = schema.get("type")
    types = [types] if isinstance(types, str) else types or []
    if types:
        for kind, value in (("string", "x"), ("boolean", True), ("object", {"x": 1}), ("integer", 1.5)):
            if kind not in types and not (kind == "integer" and "number" in types):
                yield value
    if "integer" in types or "number" in types:
        if "minimum" in schema:
            yield schema["minimum"] - 1
        if "exclusiveMinimum" in schema:
            yield schema["exclusiveMinimum"]
        if "maximum" in schema and schema["maximum"] < 1 << 62:
            yield schema["maximum"] + 1
    if "enum" in schema and not types:
        yield "none_of_these"


class Requests(Asking):
    options = ("--ctx", "512", "--parallel", "2")

    def names_it(self, path, reply, name):
        error = reply["error"]
        text = error if isinstance(error, str) else error["message"]
        self.assertIn(name, text, path)
        if not path.startswith(IN_WORDS):
            self.assertEqual(error["param"].rpartition(".")[2].partition("[")[0], name, (path, error))

    def test_what_is_not_described_is_refused_by_name(self):
        n = 0
        for path, example, fields in routes():
            lies_in = [(lambda value, name=name: {**example, name: value}, name, schema) for name, schema in fields.items()]
            if "options" in fields:
                lies_in += [(lambda value, name=name: {**example, "options": {**example.get("options", {}), name: value}}, name, schema)
                            for name, schema in properties(contract.CLIENTS.content["components"]["schemas"]["OllamaOptions"]).items()]
            for body, name, schema in lies_in:
                for value in outside(schema):
                    with self.subTest(path=path, field=name, value=value):
                        self.names_it(path, self.ok(path, body(value), 400), name)
                        n += 1
        self.assertGreater(n, 300)

    def test_null_is_as_if_it_were_absent(self):
        for path, example, fields in routes():
            absent = {name: None for name in fields if name not in example}
            self.ok(path, {**example, **absent})

    def test_what_the_server_reads_is_described(self):
        known = set(re.findall(r'"(\w+)":', (pathlib.Path(contract.__file__).parents[2] / "docs/openapi_clients.json").read_text()))
        folder = pathlib.Path(contract.__file__).parents[2] / "src/server"
        read = set()
        for pattern in SOURCES:
            for file in folder.glob(pattern):
                read |= set(re.findall(r'\.(?:integer|number|boolean|text|texts|array|object|required_text|find|has)\("(\w+)"', file.read_text()))
                read |= set(re.findall(r'\bset\(f, "(\w+)"', file.read_text()))
        self.assertGreater(len(read), 80)
        self.assertEqual(read - known, set())


class Replies(unittest.TestCase):
    def test_a_field_that_is_not_described_is_noticed(self):
        reply = {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None}
        head = {"content-type": "application/json", "request-id": "req_1", "x-request-id": "req_1"}
        contract.check_clients("GET", "/v1/models", 200, head, reply)
        for wrong in ({**reply, "more": 1}, {"object": "list"}, {**reply, "has_more": "no"}):
            with self.assertRaises(contract.jsonschema.ValidationError):
                contract.check_clients("GET", "/v1/models", 200, head, wrong)
        with self.assertRaises(AssertionError):
            contract.check_clients("GET", "/v1/models", 200, {"content-type": "application/json"}, reply)


if __name__ == "__main__":
    main()
