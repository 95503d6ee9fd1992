"""Both sides of the comparison: jinja2 as transformers sets it up, and template_batch."""

import json
import os
import subprocess
import sys

os.environ.setdefault("TZ", "UTC")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from datetime import datetime, timezone  # noqa: E402

from transformers.utils import chat_template_utils  # noqa: E402

NOW = 1753956000  # what both sides take for now: 2025-07-31 10:00 UTC


class FixedTime(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(NOW, timezone.utc).replace(tzinfo=None)


chat_template_utils.datetime = FixedTime


def reference(template, variables):
    """{"text": ...} or {"error": exception class, "message": ...}"""
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        return {"text": compiled.render(**variables)}
    except RecursionError as e:
        return {"error": "RecursionError", "message": str(e)}
    except Exception as e:  # whatever a template can raise is a refusal
        return {"error": type(e).__name__, "message": str(e)}


def batch(program, jobs):
    """Our answers to [{"template", "variables"}, ...], in order."""
    lines = "".join(json.dumps(dict(job, now=NOW), ensure_ascii=True) + "\n" for job in jobs)
    result = subprocess.run([program], input=lines.encode(), capture_output=True, timeout=1200)
    answers = [json.loads(line) for line in result.stdout.decode().split("\n") if line]
    if result.returncode != 0 or len(answers) != len(jobs):
        sys.exit(f"{program}: exit {result.returncode} after {len(answers)} of {len(jobs)} jobs\n"
                 + result.stderr.decode(errors="replace")[-2000:])
    return answers


CODES = {
    "TemplateError": "template.refused",
    "UndefinedError": "template.undefined",
    "TemplateSyntaxError": "template.syntax",
    "TemplateAssertionError": "template.syntax",
}


def same(ours, theirs):
    """The same text, or a refusal of the same kind; the template's own refusals word for word."""
    if "text" in theirs:
        return ours.get("text") == theirs["text"]
    if "error" not in ours:
        return False
    code = CODES.get(theirs["error"])
    if code is None:  # TypeError, ValueError, KeyError ...: Python's own words are nobody's contract
        return ours["error"] in ("template.type", "template.limit", "template.syntax", "template.undefined")
    return ours["error"] == code and (code != "template.refused" or ours["message"] == theirs["message"])


def difference(ours, theirs):
    """A few lines that show where two answers part."""
    if "text" in ours and "text" in theirs:
        a, b = ours["text"], theirs["text"]
        at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        return f"  at {at}\n  ours   {a[max(0, at - 60):at + 80]!r}\n  theirs {b[max(0, at - 60):at + 80]!r}"
    show = {key: str(value)[:300] for key, value in ours.items() if key in ("text", "error", "message")}
    return f"  ours   {show}\n  theirs { {k: str(v)[:300] for k, v in theirs.items()} }"
