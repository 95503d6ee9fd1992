"""Texts that tokenizers get wrong: fixed ones, and random ones mixed from many scripts, spaces, marks and code."""

import random
import unicodedata

FIXED = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", " \n", "\n ", "\t\n", " \t\n \r", "\u00a0", "\u3000 x", "\u180e", "a\u180eb", "\u0085", "a\u2028b\u2029",
    "Hello world", " Hello world", "Hello  world", "Hello   world  ", "Hello, y'all! How are you 😁 ?我想在apple工作1314151天～",
    "Zażółć gęślą jaźń. Pchnąć w tę łódź jeża lub ośm skrzyń fig.", unicodedata.normalize("NFD", "Zażółć gęślą jaźń. Pchnąć w tę łódź jeża."),
    unicodedata.normalize("NFD", "Việt Nam, Ångström, résumé, naïve"), unicodedata.normalize("NFD", "한국어 텍스트 각각"), "e\u0301\u0323 e\u0323\u0301 \u0344 \u2126 \u212b \uf900 \u0958",
    "👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🇵🇱🇺🇦 1️⃣ ☺️ 🫨🩷", "日本語のテキスト、句読点。「引用」", "汉字漢字㐀𠀀𪜀", "안녕하세요 세계", "مرحبا بالعالم، كيف الحال؟ ١٢٣", "שלום עולם", "नमस्ते दुनिया १२३ क्षत्रिय", "สวัสดีชาวโลก ๑๒๓",
    "কেমন আছেন", "Привет, мир! Ещё съешь", "Γειά σου Κόσμε ΣΣς", "ßẞſ'ſ don'ſ", "I'm you're HE'S WE'LL they'VE d'accord 'Tis 'tis o'clock ''s '' ' 's", "can't CAN'T Can’t l'eau",
    "1", "12", "123", "1234", "1234567890", "3.14159 1,000,000 0x1F 1e-10 ½ ² ³ Ⅷ ① 𝟘 ᠑", "\u0001\u0002\u007f\u0000x\u001b[0m", "\ufeffBOM", "\ufffd\ufffe", "a\u200bb\u200cc\u200dd\u2060e\u00ade",
    "def f(x):\n    return x + 1  # comment\n\n\nclass A:\n\tpass\n", "int main() {\n\tprintf(\"%d\\n\", 42);\n\treturn 0;\n}\n", "<html>\n  <p class=\"x\">&nbsp;</p>\n</html>", "a_b-c.d/e\\f:g;h|i~j`k^l$m€n£", "http://example.com/?q=1&r=%20#x",
    "{\"key\": [1, 2.5, null, true], \"ż\": \"\\u017c\"}", "=====----_____.....!!!!!?????", "A" * 300, "ab" * 200, " " * 300, "\n" * 120, "\t" * 70, " \n" * 60, "😀" * 80, "ą" * 200, "一" * 150, "a" * 97 + " " + "b" * 33, "́" * 40, "x" + "́" * 40,
    "CamelCaseWordsANDUPPERCASEwords", "ǅ ǈ ᾈ ﬁ ﬀ ŉ ǰ İ ı i̇", "end with space ", "end with newline\n", " \u2009\u2003thin spaces\u202f\u205f", "▁ ▁▁ a▁b", "Ġ Ċ ĉ â", "<|im_start|", "[INST] <<SYS>>", "</s", "<0x0A> <0x41>", "▁▁▁\u2581",
]  # fmt: skip

_RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x61, 0x7A), (0x41, 0x5A), (0x30, 0x39), (0xA0, 0xFF), (0x100, 0x17F), (0x180, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF),
    (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x20A0, 0x20CF), (0x2100, 0x218F), (0x2190, 0x23FF),
    (0x2460, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0x0, 0x1F), (0x7F, 0x9F),
]  # fmt: skip
_SPACES = [" ", " ", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u3000", "\u2003", "\u0085", "\u200b", " \n", "\n ", "    ", "\t\t", "\x0b", "\x0c", "\u1680", "\u180e", "\u2028"]
_WORDS = (
    "the quick brown fox jumps over lazy dog I'm you're don't CAN'T it's We'LL 'tis rock'n'roll hello World JSON parseInt snake_case kebab-case Żółw źdźbło ŁÓDŹ gżegżółka "
    "для что Ещё Київ λόγος straße naïve Ångström 東京 北京 안녕 ภาษาไทย हिन्दी العربية עברית tiếng Việt 😀 👨‍👩‍👧 🇵🇱 2024 3.14 1,000 0xFF 007 ١٢٣ １２３ ½ x² e=mc² "
    "--flag C++ a/b c\\d #tag @user $100 50% (paren) [list] {dict} \"quote\" <tag> == != <= >= -> :: ... !!! ??? ;; ,, ____ https://a.b/c?d=e&f=g foo.bar() if(x){y;} for i in range(10): return"
).split(" ")
_NAMES = "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'Ve 'M 'LL 'D ' '' 'ſ ’s".split(" ")


def random_text(rng):
    parts = []
    scripts = [rng.choice(_RANGES) for _ in range(rng.randint(1, 4))]
    for _ in range(rng.randint(1, 40)):
        kind = rng.random()
        if kind < 0.35:
            parts.append(rng.choice(_WORDS))
        elif kind < 0.65:
            parts.append(rng.choice(_SPACES) * (rng.choice([1, 1, 1, 2, 3, 7, 20]) if rng.random() < 0.2 else 1))
        elif kind < 0.9:
            low, high = rng.choice(scripts)
            parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8))))
        elif kind < 0.95:
            parts.append(rng.choice(_NAMES))
        elif kind < 0.98:
            parts.append(str(rng.randrange(10 ** rng.randint(1, 12))))
        else:
            parts.append(rng.choice(["a", "ab", "=", " ", "\n", "ż", "中", "😀", "'", "."]) * rng.randint(2, 90))
    text = "".join(parts)
    form = rng.random()
    if form < 0.15:
        text = unicodedata.normalize("NFD", text)
    elif form < 0.3:
        text = unicodedata.normalize("NFC", text)
    return text


def texts(n, seed, special_pieces=()):
    """The fixed texts and `n` random ones; with `special_pieces`, these are strewn into every third of them."""
    rng = random.Random(seed)
    out = list(FIXED)
    for i in range(n):
        text = random_text(rng)
        if special_pieces and i % 3 == 0:
            for _ in range(rng.randint(1, 4)):
                at = rng.randint(0, len(text))
                text = text[:at] + rng.choice(["", "", " ", "\n"]) + rng.choice(special_pieces) + rng.choice(["", "", " ", "\n"]) + text[at:]
        out.append(text)
    return out
