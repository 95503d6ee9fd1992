"""The formats of calls that are found in real templates, beside what their models are known to write.
usage: check_peer.py TOOL_FORMATS FOLDER (with unpacked packages that have templates in them)"""
import json
import pathlib
import subprocess
import sys

# file: (trigger, open, call, separator, close); None = our own format takes over, for calls there are not JSON or not alike.
HERMES = ("<tool_call>", "", "<tool_call>\n{\"name\": \"NAME\", \"arguments\": ARGS}\n</tool_call>", "\n", "")
LLAMA = ("{\"name\": \"", "", "{\"name\": \"NAME\", \"parameters\": ARGS}", "", "")
KNOWN = {
    "Qwen-Qwen2.5-7B-Instruct.jinja": HERMES,
    "Qwen-Qwen3-0.6B.jinja": HERMES,
    "Qwen-QwQ-32B.jinja": HERMES,
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja": HERMES,
    "Bielik-11B-v3.0-Instruct.jinja": HERMES,
    "ibm-granite-granite-4.0.jinja": HERMES,
    "meta-llama-Llama-3.1-8B-Instruct.jinja": LLAMA,
    "meta-llama-Llama-3.2-3B-Instruct.jinja": LLAMA,
    "meta-llama-Llama-3.3-70B-Instruct.jinja": LLAMA,
    "mistralai-Mistral-Nemo-Instruct-2407.jinja":
        ("[TOOL_CALLS]", "[TOOL_CALLS][", "{\"name\": \"NAME\", \"arguments\": ARGS, \"id\": \"ID\"}", ", ", "]"),
    "Mistral-Small-3.2-24B-Instruct-2506.jinja": ("[TOOL_CALLS]", "", "[TOOL_CALLS]NAME[CALL_ID]ID[ARGS]ARGS", "", ""),
    "unsloth-mistral-Devstral-Small-2507.jinja": ("[TOOL_CALLS]", "", "[TOOL_CALLS]NAME[ARGS]ARGS", "", ""),
    "meetkai-functionary-medium-v3.1.jinja": ("<function=", "", "<function=NAME>ARGS</function>", "", ""),
    "Apertus-8B-Instruct.jinja": ("<|tools_prefix|>", "<|tools_prefix|>[", "{\"NAME\": ARGS}", ", ", "]<|tools_suffix|>"),
    "unsloth-Apriel-1.5.jinja": ("<tool_calls>", "<tool_calls>[", "{\"name\": \"NAME\", \"arguments\": ARGS}", ", ", "]</tool_calls>"),
    "google-gemma-2-2b-it.jinja": None,
    "microsoft-Phi-3.5-mini-instruct.jinja": None,
    "Qwen3-Coder.jinja": None,
    "GLM-4.6.jinja": None,
    "openai-gpt-oss-120b.jinja": None,
}


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    files = sorted(folder.rglob("models/templates/*.jinja"))
    if not files:
        print(f"no templates below {folder}")
        return 1
    out = subprocess.run([program, *map(str, files)], capture_output=True, text=True, check=True).stdout
    found = {f["file"]: f for f in map(json.loads, out.splitlines())}
    wrong = []
    for name, expected in KNOWN.items():
        f = found.get(name)
        if f is None:
            wrong.append(f"{name} is not there")
            continue
        got = (f["trigger"], f["open"], f["call"], f["separator"], f["close"]) if f.get("native") else None
        if got != expected:
            wrong.append(f"{name}: {got}, expected {expected}")
    for name, f in found.items():
        if f.get("native") and not f["trigger"]:
            wrong.append(f"{name}: nothing begins its calls")
    print(f"{len(files)} templates, {sum(bool(f.get('native')) for f in found.values())} with a format of their own, {len(KNOWN)} compared")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
