"""Writes src/text/jinja_unicode_tables.inc: what Python's str methods know about characters and utf8proc does not tell.

Run: .venv/bin/python tests/template_peer/make_unicode_tables.py > src/text/jinja_unicode_tables.inc
"""

import sys
import unicodedata

LIMIT = 0x110000


def characters():
    return (chr(c) for c in range(LIMIT) if not 0xD800 <= c < 0xE000)


def ranges(predicate):
    out = []
    for c in characters():
        if predicate(c):
            if out and out[-1][1] == ord(c) - 1:
                out[-1][1] = ord(c)
            else:
                out.append([ord(c), ord(c)])
    return out


def emit_ranges(name, comment, predicate):
    print(f"// {comment}")
    print(f"inline constexpr CodeRange {name}[] = {{")
    row = "   "
    for first, last in ranges(predicate):
        item = f" {{0x{first:X}, 0x{last:X}}},"
        if len(row) + len(item) > 118:
            print(row)
            row = "   "
        row += item
    print(row)
    print("};")


def emit_map(name, comment, method):
    print(f"// {comment}")
    print(f"inline constexpr CodeMapping {name}[] = {{")
    row = "   "
    for c in characters():
        mapped = getattr(c, method)()
        if len(mapped) > 1:
            item = f' {{0x{ord(c):X}, U"' + "".join(f"\\x{ord(m):X}\" U\"" for m in mapped)[: -len('" U"')] + '"},'
            if len(row) + len(item) > 118:
                print(row)
                row = "   "
            row += item
    print(row)
    print("};")


category = unicodedata.category
print(f"// Made by tests/template_peer/make_unicode_tables.py (Unicode {unicodedata.unidata_version}). Do not edit.")
emit_ranges("kOtherLower", "Lowercase beyond category Ll", lambda c: c.islower() and category(c) != "Ll")
emit_ranges("kOtherUpper", "Uppercase beyond category Lu", lambda c: c.isupper() and category(c) != "Lu")
emit_ranges("kOtherDigit", "isdigit() beyond category Nd", lambda c: c.isdigit() and category(c) != "Nd")
emit_ranges("kOtherNumeric", "isnumeric() beyond categories Nd, Nl, No",
            lambda c: c.isnumeric() and category(c) not in ("Nd", "Nl", "No"))
emit_ranges("kDecimalZero", "Digits zero: the nine characters after each are one to nine",
            lambda c: category(c) == "Nd" and unicodedata.decimal(c) == 0)
emit_map("kUpperSpecial", "upper() to more than one character", "upper")
emit_map("kTitleSpecial", "title() to more than one character", "title")
sys.stdout.flush()
