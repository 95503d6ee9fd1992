"""Conversations that chat templates meet, and some that they should not."""

HARD = "quotes \" ' back\\slash \n new line \t tab \x01 control \u2028 separator \u007f <|im_end|> </s> {{ 7*7 }} {% raw %}"
POLISH = "Zażółć gęślą jaźń \u0105\u0301 — ŻÓŁW İstanbul ß"
EMOJI = "👩‍👩‍👧‍👦 🇵🇱 e\u0301 漢字 مرحبا हिन्दी"

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather at a place.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City, e.g. Łódź"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "default": 3, "minimum": 1, "maximum": 14},
            },
            "required": ["city"],
        },
        "return": {"type": "string", "description": "text"},
    },
}
SHAPES = {
    "type": "function",
    "function": {
        "name": "all_shapes",
        "description": "Every shape\nof a schema.",
        "strict": True,
        "parameters": {
            "type": "object",
            "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}}},
            "properties": {
                "list": {"type": "array", "items": {"type": "string"}, "minItems": 0},
                "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                "object": {
                    "type": "object",
                    "description": "nested",
                    "properties": {
                        "flag": {"type": "boolean", "default": False},
                        "deep": {"type": "object", "properties": {"leaf": {"type": "null"}}, "required": ["leaf"]},
                    },
                    "additionalProperties": {"type": "integer"},
                },
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "one": {"oneOf": [{"type": "integer", "description": "a"}, {"type": "boolean"}]},
                "union": {"type": ["string", "null"], "nullable": True},
                "ref": {"$ref": "#/$defs/point"},
                "const": {"const": 1.5e300},
                "enum": {"enum": [1, 2.5, None, True, "x"]},
                "any": {},
                "pattern": {"type": "string", "pattern": "^[\\w\"']+$", "examples": ["a", "b"], "format": "date"},
            },
            "required": ["list", "object"],
            "additionalProperties": False,
        },
    },
}
EMPTY_TOOL = {"type": "function", "function": {"name": "ping", "description": "", "parameters": {"type": "object", "properties": {}}}}
NO_PARAMETERS = {"type": "function", "function": {"name": "now", "description": "The time."}}
BARE_TOOL = {"name": "bare", "description": "no wrapper", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}
BUILTIN = {"type": "web_search"}

ARGUMENTS = {"city": "Łódź", "n": 3, "f": 0.1, "big": 9007199254740993, "huge": 18446744073709551615, "tiny": 1e-7,
             "whole": 2.0, "yes": True, "no": None, "list": [1, [2.5, "x"], {}], "obj": {"a": {"b": "\"q\" \\ \n"}}, "": ""}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def call(arguments, name="get_weather", id="call_abc12", **more):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def result(text, name="get_weather", id="call_abc12"):
    return {"role": "tool", "name": name, "tool_call_id": id, "content": text}


Q = user("What is 2+2?")
CONVERSATIONS = {
    "one": [Q],
    "system": [system("You are terse."), Q],
    "turns": [system("S"), user("a"), assistant("b"), user("c"), assistant("d"), user("e")],
    "turns_no_system": [user("a"), assistant("b"), user("c")],
    "ends_assistant": [user("a"), assistant("b")],
    "developer": [{"role": "developer", "content": "Be kind."}, Q],
    "hard": [system(HARD), user(HARD), assistant(HARD), user(POLISH + EMOJI)],
    "polish": [user(POLISH), assistant(EMOJI), user("  spaces \n\n around  ")],
    "empty": [],
    "empty_strings": [system(""), user(""), assistant(""), user("")],
    "null_content": [user("x"), assistant(None), user(None)],
    "no_content": [{"role": "user"}, {"role": "assistant"}],
    "no_role": [{"content": "who?"}],
    "assistant_first": [assistant("hello"), user("hi")],
    "two_users": [user("a"), user("b")],
    "two_assistants": [user("a"), assistant("b"), assistant("c"), user("d")],
    "late_system": [user("a"), system("late"), user("b")],
    "two_systems": [system("a"), system("b"), user("c")],
    "only_system": [system("alone")],
    "unknown_role": [{"role": "wizard", "content": "magic"}, user("x")],
    "ipython": [user("x"), {"role": "ipython", "content": "42"}, user("y")],
    "number_content": [user(5), assistant(1.5), user(True)],
    "dict_content": [user({"a": 1, "b": [True, None]})],
    "parts": [user([{"type": "text", "text": "look"}, {"type": "image"}, {"type": "text", "text": HARD}])],
    "parts_url": [user([{"type": "image_url", "image_url": {"url": "http://x/y.png"}}, {"type": "text", "text": "what?"}])],
    "parts_all": [system([{"type": "text", "text": "sys"}]),
                  user([{"type": "image", "image": "a.png"}, {"type": "video", "video": "b.mp4"}, {"type": "audio", "audio": "c"},
                        {"type": "text", "text": "t"}]),
                  assistant([{"type": "text", "text": "answer"}]), user([{"type": "text", "text": ""}])],
    "parts_strings": [user(["a", "b"])],
    "parts_unknown": [user([{"type": "odd", "odd": 1}])],
    "parts_empty": [user([]), assistant([])],
    "reasoning": [user("a"), assistant("b", reasoning_content="because\nof x"), user("c"),
                  assistant("d", reasoning_content="more", thinking="more"), user("e")],
    "reasoning_last": [user("a"), assistant("answer", reasoning_content=" thought \n", thinking="t", reasoning="r")],
    "reasoning_empty": [user("a"), assistant("b", reasoning_content="", thinking=""), user("c")],
    "think_inline": [user("a"), assistant("<think>\nhm\n</think>\n\nb"), user("c"), assistant("<think>x</think>y</think>z"), user("d")],
    "think_list": [user("a"), assistant([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]), user("c")],
    "call_dict": [user("w?"), assistant("", tool_calls=[call({"city": "Łódź"})]), result("12 C"), assistant("It is 12 C."), user("ok")],
    "call_string": [user("w?"), assistant(None, tool_calls=[call("{\"city\": \"Łódź\", \"x\": [1, 2]}")]), result("12 C")],
    "call_hard": [user("w?"), assistant("thinking...", tool_calls=[call(ARGUMENTS)]), result(HARD)],
    "call_empty": [user("w?"), assistant("", tool_calls=[call({})]), result("")],
    "call_two": [user("w?"), assistant("", tool_calls=[call({"city": "A"}, id="aaaaaaaaa"), call({"city": "B"}, id="bbbbbbbbb", name="all_shapes")]),
                 result("1", id="aaaaaaaaa"), result("2", id="bbbbbbbbb", name="all_shapes"), assistant("done"), user("more")],
    "call_short_id": [user("w?"), assistant("", tool_calls=[call({"a": 1}, id="abcdef012")]), result("r", id="abcdef012"), user("x")],
    "call_kimi_id": [user("w?"), assistant("", tool_calls=[call({"a": 1}, id="functions.get_weather:0")]),
                     result("r", id="functions.get_weather:0"), user("x")],
    "call_no_id": [user("w?"), assistant("", tool_calls=[{"function": {"name": "f", "arguments": {"a": "b"}}}]),
                   {"role": "tool", "content": "r"}],
    "call_flat": [user("w?"), assistant("", tool_calls=[{"name": "f", "arguments": {"a": "b"}}]), {"role": "tool", "content": "r"}],
    "call_reasoning": [user("w?"), assistant("", reasoning_content="need tool", thinking="need tool", tool_calls=[call({"city": "A"})]),
                       result("1"), assistant("b", reasoning_content="so", thinking="so"), user("c")],
    "call_then_call": [user("w?"), assistant("", tool_calls=[call({"city": "A"})]), result("1"),
                       assistant("", tool_calls=[call({"city": "B"})]), result("2")],
    "calls_empty": [user("w?"), assistant("x", tool_calls=[]), user("y")],
    "calls_null": [user("w?"), assistant("x", tool_calls=None), user("y")],
    "result_first": [result("orphan"), user("x")],
    "result_dict": [user("w?"), assistant("", tool_calls=[call({"a": 1})]), result({"temp": 12.5, "ok": True, "n": None})],
    "result_list": [user("w?"), assistant("", tool_calls=[call({"a": 1})]), result([{"type": "text", "text": "part"}, {"type": "image"}])],
    "result_null": [user("w?"), assistant("", tool_calls=[call({"a": 1})]), result(None)],
    "result_json": [user("w?"), assistant("", tool_calls=[call({"a": 1})]), result("{\"output\": \"x\"}")],
    "tool_responses": [user("w?"), assistant("", tool_calls=[call({"a": 1})]),
                       {"role": "tool", "tool_responses": [{"name": "get_weather", "response": {"t": 1}}], "content": ""}],
    "extra_keys": [dict(user("x"), name="Ada", prefix=True, weight=0, eot=True, recipient="all", channel="final"), assistant("y", prefix=True)],
    "role_marker": [{"role": "<|im_start|>system", "content": "x"}],
    "long": [m for i in range(12) for m in (user(f"question {i} " * 5), assistant(f"answer {i}"))] + [user("last")],
    "date": [system("Cutting Knowledge Date: today"), user("/think please /no_think"), assistant("ok"), user("/no_think")],
    "keys": [{"role": "user", "content": "x", "items": 1, "keys": "k", "get": "g"}],
}

TOOLS = {
    "none": None,
    "empty": [],
    "weather": [WEATHER],
    "shapes": [WEATHER, SHAPES],
    "odd": [EMPTY_TOOL, NO_PARAMETERS],
    "bare": [BARE_TOOL],
    "builtin": [BUILTIN, WEATHER],
}

EXTRAS = {
    "generate": {"add_generation_prompt": True},
    "plain": {"add_generation_prompt": False},
    "thinking": {"add_generation_prompt": True, "enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    "no_thinking": {"add_generation_prompt": True, "enable_thinking": False, "thinking": False, "reasoning_effort": "low",
                    "thinking_budget": 512},
    "documents": {"add_generation_prompt": True, "documents": [{"title": "T " + HARD, "text": POLISH}, {"title": "2", "contents": "c", "doc_id": 7}]},
    "options": {"add_generation_prompt": True, "date_string": "26 Jul 2024", "tools_in_user_message": False, "builtin_tools": ["code_interpreter", "brave_search"],
                "custom_tools": None, "xml_tools": ["x"], "python_tools": ["y"], "model_identity": "M", "keep_past_thinking": True,
                "clear_thinking": False, "safety_mode": "none", "citation_mode": "accurate", "add_vision_id": True,
                "todays_date": "1 May", "controls": {"length": "short"}, "available_tools": [{"name": "q"}], "response_format": {"type": "json_object"}},
}


def variables(messages, tools, extra):
    out = {"messages": messages, "tools": tools, "documents": None, "bos_token": "<s>", "eos_token": "</s>",
           "pad_token": "<pad>", "unk_token": "<unk>"}
    out.update(extra)
    return out


def cases():
    """(name, variables): every conversation, then tools and extras spread over those where they say something."""
    for name, messages in CONVERSATIONS.items():
        yield name, variables(messages, None, EXTRAS["generate"])
    with_tools = ["one", "system", "turns", "call_dict", "call_string", "call_hard", "call_two", "call_reasoning", "call_then_call",
                  "result_dict", "hard", "empty"]
    kinds = list(TOOLS)[1:]
    for i, name in enumerate(with_tools):
        for kind in (kinds[i % len(kinds)], kinds[(i + 2) % len(kinds)]):
            yield f"{name}+{kind}", variables(CONVERSATIONS[name], TOOLS[kind], EXTRAS["generate"])
    for extra in list(EXTRAS)[1:]:
        for name in ("turns", "reasoning", "reasoning_last", "call_reasoning", "date"):
            yield f"{name}/{extra}", variables(CONVERSATIONS[name], TOOLS["weather"], EXTRAS[extra])
    yield "one/shapes", variables(CONVERSATIONS["one"], TOOLS["shapes"], EXTRAS["options"])
    yield "no_tools_key", {"messages": CONVERSATIONS["turns"], "add_generation_prompt": True}
    yield "nothing", {}
