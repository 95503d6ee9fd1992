// Filters over text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/jinja_unicode.h"
#include "text/jinja_wrap.h"

namespace watra::text::jinja {
namespace {

template <CaseMapping kMapping>
Value filter_case(Runtime& rt, const Value& self, Args& args) {
  const Bound a("case", args, {}, 0);
  const Value s = soft_str(rt, self);
  return Value::of(map_case(rt, s.s, kMapping), s.markup);
}

// Words begin after white space, hyphens and opening brackets; unlike str.title, nowhere else.
Value filter_title(Runtime& rt, const Value& self, Args& args) {
  const Bound a("title", args, {}, 0);
  const Value s = soft_str(rt, self);
  Buffer& out = rt.make_buffer();
  const auto separates = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  size_t word = 0;
  const std::string_view text = s.s.view();
  const auto flush = [&](size_t end) {
    if (word == end) return;
    size_t head = word;
    decode_utf8(text, head);
    out.append(map_case(rt, s.s.slice(word, head), CaseMapping::kUpper));
    out.append(map_case(rt, s.s.slice(head, end), CaseMapping::kLower));
  };
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = pos;
    if (!separates(decode_utf8(text, pos))) continue;
    flush(at);
    out.append(s.s.slice(at, pos));
    word = pos;
  }
  flush(text.size());
  return rt.text(out, false);
}

Value filter_string(Runtime& rt, const Value& self, Args& args) {
  const Bound a("string", args, {}, 0);
  return soft_str(rt, self);
}

Value filter_trim(Runtime& rt, const Value& self, Args& args) {
  const Bound a("trim", args, {"chars"}, 0);
  const Value s = soft_str(rt, self);
  const bool given = a.has(0) && !a[0].is(Kind::kNone);
  if (given && !a[0].is_str()) refuse_type("strip arg must be None or str");
  return Value::of(strip(s.s, given ? &a[0] : nullptr, true, true), s.markup);
}

Value filter_replace(Runtime& rt, const Value& self, Args& args) {
  const Bound a("replace", args, {"old", "new", "count"}, 2);
  const Int count = a.has(2) && !a[2].is(Kind::kNone) ? require_index(a[2], "count") : -1;
  return Value::of(replace_text(rt, to_str(rt, self).s, to_str(rt, a[0]).s, to_str(rt, a[1]).s, count));
}

Value filter_join(Runtime& rt, const Value& self, Args& args) {
  const Bound a("join", args, {"d", "attribute"}, 0);
  Value items = self;
  if (a.has(1) && !a[1].is(Kind::kNone)) {
    Args map;
    map.kw.emplace_back("attribute", a[1]);
    // A generator of map() asks its input whether it is empty; join does not.
    items = rt.call_filter("map", rt.list(to_vector(rt, self)), map);
  }
  return Value::of(join_text(rt, a.has(0) ? to_str(rt, a[0]).s : rt.text("").s, items, true));
}

Value filter_center(Runtime& rt, const Value& self, Args& args) {
  const Bound a("center", args, {"width"}, 0);
  const Value s = soft_str(rt, self);
  return Value::of(pad(rt, s.s, a.has(0) ? require_index(a[0], "width") : 80, Pad::kCenter, nullptr), s.markup);
}

Value filter_format(Runtime& rt, const Value& self, Args& args) {
  if (!args.pos.empty() && !args.kw.empty()) {
    refuse_type("can't handle positional and keyword arguments at the same time");
  }
  if (args.kw.empty()) return percent_format(rt, soft_str(rt, self), rt.tuple(args.pos));
  auto* named = rt.make<DictObj>();
  for (const auto& [key, value] : args.kw) named->set(rt, rt.text(key), value);
  return percent_format(rt, soft_str(rt, self), Value::of(named));
}

Value filter_indent(Runtime& rt, const Value& self, Args& args) {
  const Bound a("indent", args, {"width", "first", "blank"}, 0);
  require_defined(self);
  if (!self.is_str()) refuse_type(fmt::format("can only indent text, not {}", type_name(self)));
  Str indention{};
  if (a.has(0) && a[0].is_str()) {
    indention = self.markup ? escape_html(rt, a[0]).s : a[0].s;
  } else {
    const Int width = a.has(0) ? require_index(a[0], "width") : 4;
    if (width > UINT32_MAX) refuse_limit("a text is indented too far");
    Buffer& spaces = rt.make_buffer();
    spaces.fill(" ", width > 0 ? static_cast<uint64_t>(width) : 0, false);
    indention = spaces.str();
  }
  const bool blank = a.has(2) && truthy(a[2]), first = a.has(1) && truthy(a[1]);
  Buffer& with_newline = rt.make_buffer();
  with_newline.append(self.s);
  with_newline.append("\n", false);
  Buffer& out = rt.make_buffer();
  if (first) out.append(indention);
  bool is_first = true;
  for (const Str& line : split_lines(rt, with_newline.str(), false)) {
    if (!is_first) {
      out.append("\n", self.s.has_content());
      if (blank || !line.empty()) out.append(indention);
    }
    is_first = false;
    out.append(line);
  }
  return rt.text(out, self.markup);
}

Value filter_truncate(Runtime& rt, const Value& self, Args& args) {
  const Bound a("truncate", args, {"length", "killwords", "end", "leeway"}, 0);
  const Int length = a.has(0) ? require_index(a[0], "length") : 255;
  const Value end = a.has(2) ? a[2] : rt.text("...");
  if (!end.is_str()) refuse_type("the end of truncate must be text");
  const Int leeway = a.has(3) && !a[3].is(Kind::kNone) ? require_index(a[3], "leeway") : 5;
  const Int n_end = static_cast<Int>(end.s.length());
  if (length < n_end) refuse_type(fmt::format("expected length >= {}", int_text(n_end)));
  if (leeway < 0) refuse_type("expected leeway >= 0");
  const auto n = length_of(rt, self);
  if (!n) refuse_type(fmt::format("object of type '{}' has no len()", type_name(self)));
  if (static_cast<Int>(*n) - length <= leeway) return self;
  if (!self.is_str()) refuse_type("only text can be truncated");
  Value head = get_slice(rt, self, {}, Value::of_int(length - n_end), {});
  if (!(a.has(1) && truthy(a[1]))) {
    const std::vector<Str> parts = split_text(rt, head.s, " ", 1, true);
    head = Value::of(parts[0], self.markup);
  }
  return binary(rt, BinaryOp::kAdd, head, end);
}

Value filter_wordcount(Runtime& rt, const Value& self, Args& args) {
  const Bound a("wordcount", args, {}, 0);
  Int n = 0;
  bool inside = false;
  for (CharReader r(to_str(rt, self).s); r.next();) {
    const bool word = is_word(r.c());
    n += word && !inside;
    inside = word;
  }
  return Value::of_int(n);
}

Value filter_wordwrap(Runtime& rt, const Value& self, Args& args) {
  const Bound a("wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"}, 0);
  require_defined(self);
  if (!self.is_str()) refuse_type(fmt::format("can only wrap text, not {}", type_name(self)));
  WrapStyle style;
  if (a.has(0)) style.width = require_index(a[0], "width");
  if (a.has(1)) style.break_long_words = truthy(a[1]);
  if (a.has(3)) style.break_on_hyphens = truthy(a[3]);
  const bool given = a.has(2) && !a[2].is(Kind::kNone);
  if (given && !a[2].is_str()) refuse_type("wrapstring must be text");
  const Str separator = given ? a[2].s : rt.text("\n").s;
  Buffer& out = rt.make_buffer();
  bool first_paragraph = true;
  for (const Str& paragraph : split_lines(rt, self.s, false)) {
    if (!first_paragraph) out.append(separator);
    first_paragraph = false;
    bool first = true;
    for (const Str& line : wrap_words(rt, paragraph, style)) {
      if (!first) out.append(separator);
      first = false;
      out.append(line);
    }
  }
  return rt.text(out);
}

Value filter_escape(Runtime& rt, const Value& self, Args& args) {
  const Bound a("escape", args, {}, 0);
  return escape_html(rt, self);
}

Value filter_forceescape(Runtime& rt, const Value& self, Args& args) {
  const Bound a("forceescape", args, {}, 0);
  return escape_html(rt, to_str(rt, self));
}

Value filter_safe(Runtime& rt, const Value& self, Args& args) {
  const Bound a("safe", args, {}, 0);
  return Value::of(to_str(rt, self).s, true);
}

// &amp; and the other entities people write by hand; names outside this list stay as they are.
void append_unescaped(Buffer& out, const Str& s) {
  static constexpr std::pair<std::string_view, char32_t> kNamed[] = {
      {"amp;", '&'},   {"lt;", '<'},    {"gt;", '>'},   {"quot;", '"'}, {"apos;", '\''},
      {"nbsp;", 0xA0}, {"copy;", 0xA9}, {"reg;", 0xAE}, {"amp", '&'},   {"lt", '<'},
      {"gt", '>'},     {"quot", '"'},   {"nbsp", 0xA0}, {"copy", 0xA9}, {"reg", 0xAE},
  };
  const std::string_view text = s.view();
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = std::min(text.find('&', pos), text.size());
    out.append(s.slice(pos, at));
    if (at == text.size()) return;
    const std::string_view rest = text.substr(at + 1);
    pos = at + 1;
    char32_t c = 0;
    if (rest.starts_with("#")) {
      const bool hex = rest.size() > 1 && (rest[1] | 0x20) == 'x';
      size_t i = hex ? 2 : 1;
      const size_t first = i;
      uint64_t code = 0;
      const auto digit = [&](char d) {
        if (d >= '0' && d <= '9') return d - '0';
        const char l = static_cast<char>(d | 0x20);
        return hex && l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
      };
      for (; i < rest.size() && digit(rest[i]) >= 0; ++i) {
        code = std::min<uint64_t>(code * (hex ? 16 : 10) + static_cast<uint64_t>(digit(rest[i])), 0x110000);
      }
      if (i > first) {
        c = code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0xFFFD : static_cast<char32_t>(code);
        pos = at + 1 + i + (i < rest.size() && rest[i] == ';');
      }
    } else {
      for (const auto& [name, code] : kNamed) {
        if (!rest.starts_with(name)) continue;
        c = code;
        pos = at + 1 + name.size();
        break;
      }
    }
    if (c != 0) {
      out.append_char(c, s.content_at(at));
    } else {
      out.append(s.slice(at, at + 1));
    }
  }
}

Value filter_striptags(Runtime& rt, const Value& self, Args& args) {
  const Bound a("striptags", args, {}, 0);
  const Str s = to_str(rt, self).s;
  const std::string_view text = s.view();
  Buffer& without = rt.make_buffer();
  size_t pos = 0;
  while (true) {
    const size_t start = text.find('<', pos);
    if (start == std::string_view::npos) break;
    const bool comment = text.substr(start).starts_with("<!--");
    const size_t end = comment ? text.find("-->", start + 4) : text.find('>', start);
    if (end == std::string_view::npos) break;
    without.append(s.slice(pos, start));
    pos = end + (comment ? 3 : 1);
  }
  without.append(s.slice(pos, text.size()));
  Buffer& collapsed = rt.make_buffer();
  bool first = true;
  for (const Str& word : split_space(rt, without.str(), -1, false)) {
    if (!first) collapsed.append(" ", word.content_at(0));
    first = false;
    collapsed.append(word);
  }
  Buffer& out = rt.make_buffer();
  append_unescaped(out, collapsed.str());
  return rt.text(out);
}

void append_url_quoted(Runtime& rt, Buffer& out, const Value& v, bool query) {
  const Str s = to_str(rt, v).s;
  const std::string_view text = s.view();
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '.' ||
                       c == '-' || c == '~' || (c == '/' && !query);
    if (plain) {
      out.append({&c, 1}, s.content_at(i));
    } else if (c == ' ' && query) {
      out.append("+", s.content_at(i));
    } else {
      out.append(fmt::format("%{:02X}", static_cast<unsigned char>(c)), s.content_at(i));
    }
  }
}

Value filter_urlencode(Runtime& rt, const Value& self, Args& args) {
  const Bound a("urlencode", args, {}, 0);
  Buffer& out = rt.make_buffer();
  if (self.is_str() || !is_iterable(self)) {
    append_url_quoted(rt, out, self, false);
    return rt.text(out);
  }
  IteratorObj* it = iterate(rt, self.is(Kind::kDict) ? Value::view(self.dict, ViewOf::kItems) : self);
  bool first = true;
  for (Value v; it->next(rt, v); first = false) {
    const std::vector<Value> pair = to_vector(rt, v);
    if (pair.size() != 2) refuse_type("urlencode needs pairs");
    if (!first) out.append("&", false);
    append_url_quoted(rt, out, pair[0], true);
    out.append("=", false);
    append_url_quoted(rt, out, pair[1], true);
  }
  return rt.text(out);
}

Value filter_xmlattr(Runtime& rt, const Value& self, Args& args) {
  const Bound a("xmlattr", args, {"autospace"}, 0);
  require_defined(self);
  if (!self.is(Kind::kDict)) refuse_type(fmt::format("'{}' object has no items", type_name(self)));
  Buffer& out = rt.make_buffer();
  const bool autospace = !a.has(0) || truthy(a[0]);
  for (const auto& [key, value] : self.dict->items) {
    if (value.is(Kind::kNone) || value.is_undefined()) continue;
    if (!key.is_str()) refuse_type("attribute names must be text");
    if (key.s.view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      refuse_type(fmt::format("Invalid character in attribute name: {}", repr_text(rt, key)));
    }
    if (out.size() > 0 || autospace) out.append(" ", false);
    out.append(escape_html(rt, key).s);
    out.append("=\"", false);
    out.append(escape_html(rt, value).s);
    out.append("\"", false);
  }
  return rt.text(out);
}

Value filter_tojson(Runtime& rt, const Value& self, Args& args) {
  const Bound a("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  JsonStyle style;
  style.ensure_ascii = a.has(0) && truthy(a[0]);
  style.sort_keys = a.has(3) && truthy(a[3]);
  if (a.has(1) && !a[1].is(Kind::kNone)) {
    if (a[1].is_str()) {
      style.indent = a[1].s;
    } else {
      const Int width = require_index(a[1], "indent");
      if (width > UINT32_MAX) refuse_limit("JSON is indented too far");
      Buffer& spaces = rt.make_buffer();
      spaces.fill(" ", width > 0 ? static_cast<uint64_t>(width) : 0, false);
      style.indent = spaces.str();
    }
  }
  if (a.has(2) && !a[2].is(Kind::kNone)) {
    const std::vector<Value> pair = to_vector(rt, a[2]);
    if (pair.size() != 2 || !pair[0].is_str() || !pair[1].is_str()) refuse_type("separators must be two texts");
    style.item_separator = pair[0].s;
    style.key_separator = pair[1].s;
  }
  Buffer& out = rt.make_buffer();
  append_json(rt, out, self, style);
  return rt.text(out);
}

Value filter_pprint(Runtime& rt, const Value& self, Args& args) {
  const Bound a("pprint", args, {}, 0);
  Buffer& out = rt.make_buffer();
  append_pretty(rt, out, self);
  return rt.text(out);
}

Value filter_urlize(Runtime&, const Value&, Args&) { refuse_type("urlize is not supported: a prompt has no links"); }

constexpr FilterDef kDefs[] = {
    {"capitalize", filter_case<CaseMapping::kCapitalize>},
    {"center", filter_center},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"forceescape", filter_forceescape},
    {"format", filter_format},
    {"indent", filter_indent},
    {"join", filter_join},
    {"lower", filter_case<CaseMapping::kLower>},
    {"pprint", filter_pprint},
    {"replace", filter_replace},
    {"safe", filter_safe},
    {"string", filter_string},
    {"striptags", filter_striptags},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"truncate", filter_truncate},
    {"upper", filter_case<CaseMapping::kUpper>},
    {"urlencode", filter_urlencode},
    {"urlize", filter_urlize},
    {"wordcount", filter_wordcount},
    {"wordwrap", filter_wordwrap},
    {"xmlattr", filter_xmlattr},
};

}  // namespace

FilterTable text_filters() { return {kDefs, std::size(kDefs)}; }

}  // namespace watra::text::jinja
