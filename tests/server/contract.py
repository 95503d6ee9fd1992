"""docs/openapi.json and docs/openapi_clients.json as judges: every answer of /watra/v1, and of the routes that other programs already
speak, is held against them."""
import json
import pathlib
import re

import jsonschema


class Document:
    def __init__(self, name):
        self.content = json.loads((pathlib.Path(__file__).parents[2] / "docs" / name).read_text())
        # Fixed segments before parameters: /folders/suggestions is no folder's id.
        self.paths = [(_pattern(path), item) for path, item in sorted(self.content["paths"].items(), key=lambda p: p[0].count("{"))]
        self.validators = {}

    def find(self, method, path):
        for pattern, item in self.paths:
            if pattern.fullmatch(path) and method.lower() in item:
                return item[method.lower()]
        return None

    def told(self, operation, status):
        """What an operation says of a status; None when it says nothing."""
        responses = operation["responses"]
        told = responses.get(str(status), responses["default"] if status >= 400 else None)
        if told and "$ref" in told:
            told = self.content["components"]["responses"][told["$ref"].rpartition("/")[2]]
        return told

    def validate(self, schema, value):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator({**schema, "components": self.content["components"]})
        if (error := jsonschema.exceptions.best_match(self.validators[key].iter_errors(value))) is not None:
            raise error


def _pattern(path):
    return re.compile("".join(f"[^/]+" if part.startswith("{") else re.escape(part)
                              for part in re.split(r"(\{[^}]*\})", path)))


HOUSE, CLIENTS = Document("openapi.json"), Document("openapi_clients.json")
DOCUMENT = HOUSE.content
BASE = "/watra/v1"


def operation(method, path):
    path = path.removeprefix(BASE).partition("?")[0]
    if (found := HOUSE.find(method, path)) is None:
        raise AssertionError(f"docs/openapi.json has no {method} {path}")
    return found


def check(method, path, status, body):
    """Raises when the answer is not what the contract says. JSON bodies and empty ones only."""
    asked = operation(method, path)
    told = HOUSE.told(asked, status)
    if told is None:
        raise AssertionError(f"{method} {path}: {status} is not among {list(asked['responses'])}")
    content = told.get("content", {}).get("application/json")
    if content is None:
        if body not in ("", None):
            raise AssertionError(f"{method} {path} {status}: a body that nobody promised: {body!r}")
        return body
    HOUSE.validate(content["schema"], body)
    return body


def check_schema(name, value):
    HOUSE.validate({"$ref": f"#/components/schemas/{name}"}, value)
    return value


def _lines(kind, text):
    """The JSON of a stream, one by one."""
    for line in text.splitlines():
        if kind == "application/x-ndjson" and line:
            yield json.loads(line)
        elif line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line[6:])


def check_clients(method, path, status, headers, body):
    """The same for the routes of other people's APIs, streams event by event. What is not described there is let through: paths that do
    not exist, methods that are not taken."""
    asked = CLIENTS.find(method, path.partition("?")[0])
    if asked is None:
        return
    told = CLIENTS.told(asked, status)
    if told is None:
        raise AssertionError(f"{method} {path}: {status} is not among {list(asked['responses'])}")
    for name, promised in told.get("headers", {}).items():
        if name not in headers:
            raise AssertionError(f"{method} {path} {status}: no header {name}, which is promised")
    kind = headers.get("content-type", "").partition(";")[0]
    content = told["content"].get(kind)
    if content is None:
        raise AssertionError(f"{method} {path} {status}: {kind} is not among {list(told['content'])}")
    if kind in ("text/event-stream", "application/x-ndjson"):
        failed = CLIENTS.told(asked, 500)["content"]["application/json"]["schema"]
        for event in _lines(kind, body):
            CLIENTS.validate(failed if "error" in event and event["error"] is not None else content["schema"], event)
    else:
        CLIENTS.validate(content["schema"], body)
