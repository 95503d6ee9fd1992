// The methods of Python's str. Positions are characters outside and bytes inside.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_strings.h"
#include "text/jinja_unicode.h"
#include "text/jinja_value.h"

namespace watra::text::jinja {

// ---- shared with the filters (jinja_strings.h) ----

Str strip(const Str& s, const Value* chars, bool left, bool right) {
  const std::string_view text = s.view();
  std::u32string set;
  if (chars != nullptr) {
    for (CharReader r(chars->s); r.next();) set += r.c();
  }
  const auto stripped = [&](char32_t c) {
    return chars == nullptr ? is_space(c) : set.find(c) != std::u32string::npos;
  };
  size_t from = 0, to = text.size();
  while (left && from < to) {
    size_t next = from;
    if (!stripped(decode_utf8(text, next))) break;
    from = next;
  }
  while (right && to > from) {
    size_t start = to - 1;
    while (start > from && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    size_t next = start;
    char32_t c = decode_utf8(text, next);
    if (next != to) {  // bytes that are no UTF-8 count one by one
      start = to - 1;
      c = 0xDC00 + static_cast<unsigned char>(text[start]);
    }
    if (!stripped(c)) break;
    to = start;
  }
  return s.slice(from, to);
}

Str map_case(Runtime& rt, const Str& s, CaseMapping mapping) {
  Buffer& out = rt.make_buffer();
  const std::string_view text = s.view();
  bool inside_word = false;  // after a cased character
  for (CharReader r(s); r.next();) {
    const char32_t c = r.c();
    CaseMapping how = mapping;
    if (mapping == CaseMapping::kTitle) how = inside_word ? CaseMapping::kLower : CaseMapping::kTitleChar;
    if (mapping == CaseMapping::kCapitalize) how = r.start() == 0 ? CaseMapping::kTitleChar : CaseMapping::kLower;
    if (mapping == CaseMapping::kSwap) {
      how = is_upper(c) ? CaseMapping::kLower : is_lower(c) ? CaseMapping::kUpper : CaseMapping::kKeep;
    }
    inside_word = is_cased(c);
    if (c < 0x80) {
      char byte = static_cast<char>(c);
      if (how == CaseMapping::kLower || how == CaseMapping::kFold) {
        if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte | 0x20);
      } else if (how != CaseMapping::kKeep) {
        if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte & ~0x20);
      }
      out.append({&byte, 1}, r.content());
      continue;
    }
    if (how == CaseMapping::kKeep || (c >= 0xDC80 && c < 0xDD00)) {
      out.append(r.bytes(), r.content());
      continue;
    }
    if (how == CaseMapping::kLower && c == 0x3A3) {
      out.append(is_final_sigma(text, r.start(), r.end()) ? "ς" : "σ", r.content());
      continue;
    }
    const std::u32string_view mapped = how == CaseMapping::kUpper   ? to_upper(c)
                                       : how == CaseMapping::kLower ? to_lower(c)
                                       : how == CaseMapping::kFold  ? to_folded(c)
                                                                    : to_title(c);
    for (char32_t m : mapped) out.append_char(m, r.content());
  }
  return out.str();
}

bool is_final_sigma(std::string_view text, size_t start, size_t end) {
  bool before = false;
  for (size_t pos = start; pos > 0;) {
    do {
      --pos;
    } while (pos > 0 && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
    size_t next = pos;
    const char32_t c = decode_utf8(text, next);
    if (is_case_ignorable(c)) continue;
    before = is_cased(c);
    break;
  }
  if (!before) return false;
  for (size_t pos = end; pos < text.size();) {
    const char32_t c = decode_utf8(text, pos);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

Str replace_text(Runtime& rt, const Str& s, const Str& old, const Str& with, Int count) {
  const std::string_view text = s.view(), needle = old.view();
  Buffer& out = rt.make_buffer();
  size_t kept = 0;
  if (needle.empty()) {  // between all characters, and at both ends
    size_t pos = 0;
    for (Int done = 0; count < 0 || done < count; ++done) {
      rt.meter.tick();
      out.append(with);
      if (pos >= text.size()) break;
      const size_t from = pos;
      decode_utf8(text, pos);
      out.append(s.slice(from, pos));
      kept = pos;
    }
    out.append(s.slice(kept, text.size()));
    return out.str();
  }
  for (Int done = 0; count < 0 || done < count; ++done) {
    const size_t at = text.find(needle, kept);
    if (at == std::string_view::npos) break;
    rt.meter.tick();
    out.append(s.slice(kept, at));
    out.append(with);
    kept = at + needle.size();
  }
  if (kept == 0) return s;
  out.append(s.slice(kept, text.size()));
  return out.str();
}

std::vector<Str> split_lines(Runtime& rt, const Str& s, bool keep_ends) {
  std::vector<Str> lines;
  const std::string_view text = s.view();
  size_t start = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = pos;
    const char32_t c = decode_utf8(text, pos);
    if (!is_line_break(c)) continue;
    if (c == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    rt.meter.tick();
    lines.push_back(s.slice(start, keep_ends ? pos : at));
    start = pos;
  }
  if (start < text.size()) lines.push_back(s.slice(start, text.size()));
  return lines;
}

std::vector<Str> split_space(Runtime& rt, const Str& s, Int max, bool from_right) {
  std::vector<Str> parts;
  Str rest = s;
  while (true) {
    rest = strip(rest, nullptr, !from_right, from_right);
    if (rest.empty()) break;
    const std::string_view text = rest.view();
    if (max >= 0 && static_cast<Int>(parts.size()) >= max) {
      // What is left is one part, stripped on the side where splitting went on.
      parts.push_back(rest);
      break;
    }
    rt.meter.tick();
    if (!from_right) {
      size_t pos = 0, end = 0;
      for (; pos < text.size(); end = pos) {
        if (is_space(decode_utf8(text, pos))) break;
      }
      parts.push_back(rest.slice(0, end));
      rest = rest.slice(end, text.size());
    } else {
      size_t start = text.size();
      while (start > 0) {
        size_t at = start - 1;
        while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
        size_t next = at;
        if (is_space(decode_utf8(text, next))) break;
        start = at;
      }
      parts.push_back(rest.slice(start, text.size()));
      rest = rest.slice(0, start);
    }
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Str> split_text(Runtime& rt, const Str& s, std::string_view separator, Int max, bool from_right) {
  if (separator.empty()) refuse_type("empty separator");
  std::vector<Str> parts;
  const std::string_view text = s.view();
  if (!from_right) {
    size_t from = 0;
    while (max < 0 || static_cast<Int>(parts.size()) < max) {
      const size_t at = text.find(separator, from);
      if (at == std::string_view::npos) break;
      rt.meter.tick();
      parts.push_back(s.slice(from, at));
      from = at + separator.size();
    }
    parts.push_back(s.slice(from, text.size()));
    return parts;
  }
  size_t to = text.size();
  while (max < 0 || static_cast<Int>(parts.size()) < max) {
    const size_t at = to < separator.size() ? std::string_view::npos : text.rfind(separator, to - separator.size());
    if (at == std::string_view::npos) break;
    rt.meter.tick();
    parts.push_back(s.slice(at + separator.size(), to));
    to = at;
  }
  parts.push_back(s.slice(0, to));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

Str join_text(Runtime& rt, const Str& separator, const Value& items, bool convert) {
  Buffer& out = rt.make_buffer();
  IteratorObj* it = iterate(rt, items);
  bool first = true;
  for (Value v; it->next(rt, v); first = false) {
    if (!first) out.append(separator);
    if (!convert && !v.is_str()) refuse_type(fmt::format("a string was expected in join, {} found", type_name(v)));
    append_str(rt, out, v);
  }
  return out.str();
}

Str pad(Runtime& rt, const Str& s, Int width, Pad how, const Str* fill) {
  const Int n = static_cast<Int>(s.length());
  if (width <= n) return s;
  if (width > UINT32_MAX) refuse_limit("a text is padded too widely");
  const auto total = static_cast<uint64_t>(width - n);
  uint64_t left = how == Pad::kLeft ? total : 0;
  if (how == Pad::kCenter) left = total / 2 + (total & static_cast<uint64_t>(width) & 1);
  const std::string_view with = fill != nullptr ? fill->view() : " ";
  const bool content = fill != nullptr && fill->has_content();
  Buffer& out = rt.make_buffer();
  out.fill(with, left, content);
  out.append(s);
  out.fill(with, total - left, content);
  return out.str();
}

namespace {

const Str& str_of(const Value& v, const char* what) {
  require_defined(v);
  if (!v.is_str()) refuse_type(fmt::format("{} must be str, not {}", what, type_name(v)));
  return v.s;
}

Value list_of(Runtime& rt, const std::vector<Str>& parts, bool markup) {
  std::vector<Value> items;
  rt.meter.take(parts.size() * sizeof(Str));
  items.reserve(parts.size());
  for (const Str& p : parts) items.push_back(Value::of(p, markup));
  return rt.list(std::move(items));
}

// The characters [start, end) that find, count, startswith ... look at; false: an empty window past the end.
bool window(const Value& self, const Value& start, const Value& end, Str& out, uint64_t& first_char) {
  const Int n = static_cast<Int>(self.s.length());
  const auto place = [&](const Value& v, Int otherwise) {
    if (v.missing() || v.is(Kind::kNone)) return otherwise;
    Int i = require_index(v, "a position");
    if (i < 0) i = std::max<Int>(i + n, 0);
    return i;
  };
  const Int from = place(start, 0), to = std::min(place(end, n), n);
  if (from > n || from > to) return false;
  const size_t begin = self.s.byte_of(static_cast<uint64_t>(from));
  const Str tail = self.s.slice(begin, self.s.size_bytes());
  out = tail.slice(0, tail.byte_of(static_cast<uint64_t>(to - from)));
  first_char = static_cast<uint64_t>(from);
  return true;
}

Value find_in(Runtime& rt, const Value& self, Args& args, const char* name, bool from_right, bool must) {
  const Bound a(name, args, {"sub", "start", "end"}, 1, Bound::kPositionalOnly);
  const Str& needle = str_of(a[0], "the text to find");
  Str in{};
  uint64_t first = 0;
  rt.meter.tick(self.s.size_bytes() / 1024);
  if (window(self, a[1], a[2], in, first)) {
    const size_t at = from_right ? in.view().rfind(needle.view()) : in.view().find(needle.view());
    if (at != std::string_view::npos) return Value::of_int(static_cast<Int>(first + in.slice(0, at).length()));
  }
  if (must) refuse_type("substring not found");
  return Value::of_int(-1);
}

template <bool kRight, bool kMust>
Value method_find(Runtime& rt, const Value& self, Args& args) {
  return find_in(rt, self, args, kMust ? "index" : "find", kRight, kMust);
}

Value method_count(Runtime& rt, const Value& self, Args& args) {
  const Bound a("count", args, {"sub", "start", "end"}, 1, Bound::kPositionalOnly);
  const Str& needle = str_of(a[0], "the text to count");
  Str in{};
  uint64_t first = 0;
  if (!window(self, a[1], a[2], in, first)) return Value::of_int(0);
  rt.meter.tick(in.size_bytes() / 256);
  if (needle.empty()) return Value::of_int(static_cast<Int>(in.length()) + 1);
  Int n = 0;
  for (size_t at = 0; (at = in.view().find(needle.view(), at)) != std::string_view::npos; at += needle.size_bytes())
    ++n;
  return Value::of_int(n);
}

template <bool kEnd>
Value method_affix(Runtime&, const Value& self, Args& args) {
  const Bound a(kEnd ? "endswith" : "startswith", args, {"prefix", "start", "end"}, 1, Bound::kPositionalOnly);
  require_defined(a[0]);
  Str in{};
  uint64_t first = 0;
  const bool inside = window(self, a[1], a[2], in, first);
  const auto matches = [&](const Value& v) {
    const std::string_view affix = str_of(v, "the prefix or suffix").view();
    return inside && (kEnd ? in.view().ends_with(affix) : in.view().starts_with(affix));
  };
  if (a[0].is(Kind::kTuple)) return Value::of(std::any_of(a[0].list->items.begin(), a[0].list->items.end(), matches));
  return Value::of(matches(a[0]));
}

template <bool kLeft, bool kRight>
Value method_strip(Runtime&, const Value& self, Args& args) {
  const Bound a("strip", args, {"chars"}, 0, self.markup ? Bound::kAny : Bound::kPositionalOnly);
  const bool given = a.has(0) && !a[0].is(Kind::kNone);
  if (given) str_of(a[0], "strip's argument");
  return Value::of(strip(self.s, given ? &a[0] : nullptr, kLeft, kRight), self.markup);
}

template <bool kRight>
Value method_split(Runtime& rt, const Value& self, Args& args) {
  const Bound a("split", args, {"sep", "maxsplit"}, 0);
  const Int max = a.has(1) ? require_index(a[1], "maxsplit") : -1;
  if (!a.has(0) || a[0].is(Kind::kNone)) return list_of(rt, split_space(rt, self.s, max, kRight), self.markup);
  return list_of(rt, split_text(rt, self.s, str_of(a[0], "the separator").view(), max, kRight), self.markup);
}

template <bool kRight>
Value method_partition(Runtime& rt, const Value& self, Args& args) {
  const Bound a("partition", args, {"sep"}, 1, Bound::kPositionalOnly);
  const Str& separator = str_of(a[0], "the separator");
  if (separator.empty()) refuse_type("empty separator");
  const std::string_view text = self.s.view();
  const size_t at = kRight ? text.rfind(separator.view()) : text.find(separator.view());
  const Str empty = self.s.slice(0, 0);
  std::vector<Str> parts;
  if (at == std::string_view::npos) {
    parts = kRight ? std::vector<Str>{empty, empty, self.s} : std::vector<Str>{self.s, empty, empty};
  } else {
    const size_t after = at + separator.size_bytes();
    parts = {self.s.slice(0, at), self.s.slice(at, after), self.s.slice(after, text.size())};
  }
  Value v = list_of(rt, parts, self.markup);
  v.kind = Kind::kTuple;
  return v;
}

Value method_splitlines(Runtime& rt, const Value& self, Args& args) {
  const Bound a("splitlines", args, {"keepends"}, 0);
  return list_of(rt, split_lines(rt, self.s, a.has(0) && truthy(a[0])), self.markup);
}

Value method_join(Runtime& rt, const Value& self, Args& args) {
  const Bound a("join", args, {"iterable"}, 1, Bound::kPositionalOnly);
  if (!self.markup) return Value::of(join_text(rt, self.s, a[0], false));
  std::vector<Value> items;
  for (const Value& v : to_vector(rt, a[0])) items.push_back(escape_html(rt, v));
  return Value::of(join_text(rt, self.s, rt.list(std::move(items)), false), true);
}

Value method_replace(Runtime& rt, const Value& self, Args& args) {
  const Bound a("replace", args, {"old", "new", "count"}, 2, Bound::kPositionalOnly);
  const Str& old = str_of(a[0], "replace's first argument");
  const Str with = self.markup ? escape_html(rt, a[1]).s : str_of(a[1], "replace's second argument");
  return Value::of(replace_text(rt, self.s, old, with, a.has(2) ? require_index(a[2], "count") : -1), self.markup);
}

template <CaseMapping kMapping>
Value method_case(Runtime& rt, const Value& self, Args& args) {
  const Bound a("case", args, {}, 0);
  return Value::of(map_case(rt, self.s, kMapping), self.markup);
}

template <bool (*kTest)(char32_t)>
Value method_all(Runtime& rt, const Value& self, Args& args) {
  const Bound a("is...", args, {}, 0);
  rt.meter.tick(self.s.size_bytes() / 256);
  for (CharReader r(self.s); r.next();) {
    if (!kTest(r.c())) return Value::of(false);
  }
  return Value::of(!self.s.empty());
}

bool is_ascii_char(char32_t c) { return c < 0x80; }

template <bool kEmptyIs, bool (*kTest)(char32_t)>
Value method_all_or(Runtime& rt, const Value& self, Args& args) {
  return self.s.empty() ? Value::of(kEmptyIs) : method_all<kTest>(rt, self, args);
}

template <bool (*kIs)(char32_t), bool (*kOther)(char32_t)>
Value method_cased(Runtime&, const Value& self, Args& args) {
  const Bound a("is...", args, {}, 0);
  bool found = false;
  for (CharReader r(self.s); r.next();) {
    if (kOther(r.c()) || is_title(r.c())) return Value::of(false);
    found = found || kIs(r.c());
  }
  return Value::of(found);
}

Value method_istitle(Runtime&, const Value& self, Args& args) {
  const Bound a("istitle", args, {}, 0);
  bool found = false, inside = false;
  for (CharReader r(self.s); r.next();) {
    if (is_upper(r.c()) || is_title(r.c())) {
      if (inside) return Value::of(false);
      inside = found = true;
    } else if (is_lower(r.c())) {
      if (!inside) return Value::of(false);
      found = true;
    } else {
      inside = false;
    }
  }
  return Value::of(found);
}

Value method_isidentifier(Runtime&, const Value& self, Args& args) {
  const Bound a("isidentifier", args, {}, 0);
  for (CharReader r(self.s); r.next();) {
    if (!(r.start() == 0 ? r.c() == '_' || is_alpha(r.c()) : is_word(r.c()))) return Value::of(false);
  }
  return Value::of(!self.s.empty());
}

template <Pad kHow>
Value method_pad(Runtime& rt, const Value& self, Args& args) {
  const Bound a("ljust", args, {"width", "fillchar"}, 1, Bound::kPositionalOnly);
  if (a.has(1) && str_of(a[1], "the fill character").length() != 1) {
    refuse_type("The fill character must be exactly one character long");
  }
  return Value::of(pad(rt, self.s, require_index(a[0], "the width"), kHow, a.has(1) ? &a[1].s : nullptr), self.markup);
}

Value method_zfill(Runtime& rt, const Value& self, Args& args) {
  const Bound a("zfill", args, {"width"}, 1, Bound::kPositionalOnly);
  const Int width = require_index(a[0], "the width");
  const std::string_view text = self.s.view();
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const Int n = static_cast<Int>(self.s.length());
  if (width <= n) return self;
  if (width > UINT32_MAX) refuse_limit("a text is padded too widely");
  Buffer& out = rt.make_buffer();
  out.append(self.s.slice(0, sign));
  out.fill("0", static_cast<uint64_t>(width - n), false);
  out.append(self.s.slice(sign, text.size()));
  return rt.text(out, self.markup);
}

Value method_expandtabs(Runtime& rt, const Value& self, Args& args) {
  const Bound a("expandtabs", args, {"tabsize"}, 0);
  const Int size = a.has(0) ? require_index(a[0], "tabsize") : 8;
  if (size > UINT32_MAX) refuse_limit("a tab is too wide");
  Buffer& out = rt.make_buffer();
  Int column = 0;
  for (CharReader r(self.s); r.next();) {
    if (r.c() == '\t') {
      const Int spaces = size > 0 ? size - column % size : 0;
      out.fill(" ", static_cast<uint64_t>(spaces), r.content());
      column += spaces;
    } else {
      out.append(r.bytes(), r.content());
      column = r.c() == '\n' || r.c() == '\r' ? 0 : column + 1;
    }
  }
  return rt.text(out, self.markup);
}

template <bool kSuffix>
Value method_remove(Runtime&, const Value& self, Args& args) {
  const Bound a("removeprefix", args, {"affix"}, 1, Bound::kPositionalOnly);
  const std::string_view affix = str_of(a[0], "the affix").view(), text = self.s.view();
  if (kSuffix) {
    if (affix.empty() || !text.ends_with(affix)) return self;
    return Value::of(self.s.slice(0, text.size() - affix.size()), self.markup);
  }
  return text.starts_with(affix) ? Value::of(self.s.slice(affix.size(), text.size()), self.markup) : self;
}

Value method_format(Runtime& rt, const Value& self, Args& args) { return brace_format(rt, self, args, nullptr); }

Value method_format_map(Runtime& rt, const Value& self, Args& args) {
  const Bound a("format_map", args, {"mapping"}, 1, Bound::kPositionalOnly);
  Args none;
  return brace_format(rt, self, none, &a[0]);
}

Value method_unsupported(Runtime&, const Value&, Args&) {
  refuse_type("this method of str works with bytes or tables, which templates do not have");
}

constexpr NativeDef kStrMethods[] = {
    {"capitalize", method_case<CaseMapping::kCapitalize>},
    {"casefold", method_case<CaseMapping::kFold>},
    {"center", method_pad<Pad::kCenter>},
    {"count", method_count},
    {"encode", method_unsupported},
    {"endswith", method_affix<true>},
    {"expandtabs", method_expandtabs},
    {"find", method_find<false, false>},
    {"format", method_format},
    {"format_map", method_format_map},
    {"index", method_find<false, true>},
    {"isalnum", method_all<is_alnum>},
    {"isalpha", method_all<is_alpha>},
    {"isascii", method_all_or<true, is_ascii_char>},
    {"isdecimal", method_all<is_decimal>},
    {"isdigit", method_all<is_digit>},
    {"isidentifier", method_isidentifier},
    {"islower", method_cased<is_lower, is_upper>},
    {"isnumeric", method_all<is_numeric>},
    {"isprintable", method_all_or<true, is_printable>},
    {"isspace", method_all<is_space>},
    {"istitle", method_istitle},
    {"isupper", method_cased<is_upper, is_lower>},
    {"join", method_join},
    {"ljust", method_pad<Pad::kRight>},
    {"lower", method_case<CaseMapping::kLower>},
    {"lstrip", method_strip<true, false>},
    {"maketrans", method_unsupported},
    {"partition", method_partition<false>},
    {"removeprefix", method_remove<false>},
    {"removesuffix", method_remove<true>},
    {"replace", method_replace},
    {"rfind", method_find<true, false>},
    {"rindex", method_find<true, true>},
    {"rjust", method_pad<Pad::kLeft>},
    {"rpartition", method_partition<true>},
    {"rsplit", method_split<true>},
    {"rstrip", method_strip<false, true>},
    {"split", method_split<false>},
    {"splitlines", method_splitlines},
    {"startswith", method_affix<false>},
    {"strip", method_strip<true, true>},
    {"swapcase", method_case<CaseMapping::kSwap>},
    {"title", method_case<CaseMapping::kTitle>},
    {"translate", method_unsupported},
    {"upper", method_case<CaseMapping::kUpper>},
    {"zfill", method_zfill},
};

}  // namespace

const NativeDef* find_str_method(std::string_view name) {
  const auto* it = std::lower_bound(std::begin(kStrMethods), std::end(kStrMethods), name,
                                    [](const NativeDef& d, std::string_view n) { return d.name < n; });
  return it != std::end(kStrMethods) && it->name == name ? it : nullptr;
}

}  // namespace watra::text::jinja
