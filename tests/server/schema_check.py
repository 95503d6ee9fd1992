"""Whether a value satisfies a JSON schema: the keywords these tests use, checked apart from the program that is tested."""
import re


def satisfies(value, schema, root=None):
    root = schema if root is None else root
    if schema is True or schema == {}:
        return True
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].lstrip("#/").split("/"):
            target = target[part]
        return satisfies(value, target, root)
    if "const" in schema and value != schema["const"]:
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    for name in ("anyOf", "oneOf"):
        if name in schema and not any(satisfies(value, s, root) for s in schema[name]):
            return False
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, t) for t in types):
            return False
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0) or len(value) > schema.get("maxLength", 1 << 60):
            return False
        return "pattern" not in schema or re.search(schema["pattern"], value) is not None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", 1 << 60):
            return False
        return all(satisfies(v, schema.get("items", True), root) for v in value)
    if isinstance(value, dict):
        if any(name not in value for name in schema.get("required", [])):
            return False
        known = schema.get("properties", {})
        if "properties" in schema and schema.get("additionalProperties", False) is False and any(k not in known for k in value):
            return False
        return all(satisfies(v, known[k], root) for k, v in value.items() if k in known)
    return True


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}[name])
