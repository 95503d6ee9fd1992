"""docs/openapi.json as a judge: every answer of /watra/v1 is held against it."""
import json
import pathlib
import re

import jsonschema

DOCUMENT = json.loads((pathlib.Path(__file__).parents[2] / "docs/openapi.json").read_text())
BASE = "/watra/v1"


def _pattern(path):
    return re.compile("".join(f"[^/]+" if part.startswith("{") else re.escape(part)
                              for part in re.split(r"(\{[^}]*\})", path)))


# Fixed segments before parameters: /folders/suggestions is no folder's id.
PATHS = [(_pattern(path), item) for path, item in sorted(DOCUMENT["paths"].items(), key=lambda p: p[0].count("{"))]


def _validate(schema, value):
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def operation(method, path):
    path = path.removeprefix(BASE).partition("?")[0]
    for pattern, item in PATHS:
        if pattern.fullmatch(path) and method.lower() in item:
            return item[method.lower()]
    raise AssertionError(f"docs/openapi.json has no {method} {path}")


def check(method, path, status, body):
    """Raises when the answer is not what the contract says. JSON bodies and empty ones only."""
    responses = operation(method, path)["responses"]
    told = responses.get(str(status), responses["default"] if status >= 400 else None)
    if told is None:
        raise AssertionError(f"{method} {path}: {status} is not among {list(responses)}")
    if "$ref" in told:
        told = DOCUMENT["components"]["responses"][told["$ref"].rpartition("/")[2]]
    content = told.get("content", {}).get("application/json")
    if content is None:
        if body not in ("", None):
            raise AssertionError(f"{method} {path} {status}: a body that nobody promised: {body!r}")
        return body
    _validate(content["schema"], body)
    return body


def check_schema(name, value):
    _validate({"$ref": f"#/components/schemas/{name}"}, value)
    return value
