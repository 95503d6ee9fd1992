// str() and repr() of values.
//
// The text of a list or dict that holds content is content as a whole: its brackets and quotes were not written by the
// template.
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "text/jinja_unicode.h"
#include "text/jinja_value.h"

namespace watra::text::jinja {

std::string int_text(Int v) {
  if (v >= INT64_MIN && v <= INT64_MAX) return std::to_string(static_cast<int64_t>(v));
  const bool negative = v < 0;
  unsigned __int128 rest = negative ? -static_cast<unsigned __int128>(v) : static_cast<unsigned __int128>(v);
  std::string digits;
  for (; rest != 0; rest /= 10) digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
  return negative ? "-" + digits : digits;
}

// Shortest digits that read back as the same number, laid out as Python does: 1e-05, 0.0001, 1234.5, 1e+16.
std::string float_text(double v) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char raw[64];
  const auto end = std::to_chars(raw, raw + sizeof raw, v, std::chars_format::scientific).ptr;
  const std::string_view text(raw, static_cast<size_t>(end - raw));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + 1 + (text[e + 1] == '+'), text.data() + text.size(), exponent);
  const bool negative = text[0] == '-';
  std::string digits;
  for (char c : text.substr(0, e)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  std::string out = negative ? "-" : "";
  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (n > 1) out.append(".").append(digits, 1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out.append("0.").append(static_cast<size_t>(-exponent - 1), '0').append(digits);
  if (n <= exponent + 1) return out.append(digits).append(static_cast<size_t>(exponent + 1 - n), '0').append(".0");
  return out.append(digits, 0, static_cast<size_t>(exponent + 1))
      .append(".")
      .append(digits, static_cast<size_t>(exponent + 1));
}

namespace {

void repr_str(Buffer& out, const Str& s) {
  const std::string_view text = s.view();
  const bool single = text.find('\'') == std::string_view::npos || text.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  out.append({&quote, 1}, false);
  for (CharReader r(s); r.next();) {
    const char32_t c = r.c();
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out.append("\\", r.content());
      out.append(r.bytes(), r.content());
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out.append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", r.content());
    } else if (is_printable(c)) {
      out.append(r.bytes(), r.content());
    } else {
      const auto code = static_cast<uint32_t>(c);
      out.append(code < 0x100     ? fmt::format("\\x{:02x}", code)
                 : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                                  : fmt::format("\\U{:08x}", code),
                 r.content());
    }
  }
  out.append({&quote, 1}, false);
}

void repr_items(Runtime& rt, Buffer& out, const std::vector<Value>& items);

void repr_dict(Runtime& rt, Buffer& out, const DictObj& dict);

void repr_any(Runtime& rt, Buffer& out, const Value& v) {
  rt.meter.tick();
  const auto plain = [&](std::string_view text) { out.append(text, false); };
  switch (v.kind) {
    case Kind::kMissing:
      return plain("missing");
    case Kind::kUndefined:
      return plain("Undefined");
    case Kind::kNone:
      return plain("None");
    case Kind::kBool:
      return plain(v.b ? "True" : "False");
    case Kind::kInt:
      return plain(int_text(v.as_int()));
    case Kind::kFloat:
      return plain(float_text(v.f));
    case Kind::kStr:
      if (v.markup) plain("Markup(");
      repr_str(out, v.s);
      if (v.markup) plain(")");
      return;
    case Kind::kList:
      plain("[");
      repr_items(rt, out, v.list->items);
      return plain("]");
    case Kind::kTuple:
      plain("(");
      repr_items(rt, out, v.list->items);
      return plain(v.list->items.size() == 1 ? ",)" : ")");
    case Kind::kDict:
      return repr_dict(rt, out, *v.dict);
    case Kind::kView:
      plain(type_name(v));
      plain("([");
      repr_items(rt, out, to_vector(rt, v));
      return plain("])");
    case Kind::kRange:
      plain(fmt::format("range({}, {}", int_text(v.range->start), int_text(v.range->stop)));
      return plain(v.range->step == 1 ? ")" : fmt::format(", {})", int_text(v.range->step)));
    case Kind::kNamespace:
      plain("<Namespace ");
      repr_dict(rt, out, *v.ns->attributes);
      return plain(">");
    case Kind::kFunction:
      return plain(fmt::format("<function {}>", v.function->name));
    case Kind::kMethod:
      return plain(fmt::format("<built-in method {} of {} object>", v.method->def->name, type_name(v.method->self)));
    default:
      return plain(fmt::format("<{} object>", type_name(v)));
  }
}

void repr_items(Runtime& rt, Buffer& out, const std::vector<Value>& items) {
  rt.meter.check_stack();
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ", false);
    repr_any(rt, out, items[i]);
  }
}

void repr_dict(Runtime& rt, Buffer& out, const DictObj& dict) {
  rt.meter.check_stack();
  out.append("{", false);
  for (size_t i = 0; i < dict.items.size(); ++i) {
    if (i > 0) out.append(", ", false);
    repr_any(rt, out, dict.items[i].first);
    out.append(": ", false);
    repr_any(rt, out, dict.items[i].second);
  }
  out.append("}", false);
}

}  // namespace

void append_repr(Runtime& rt, Buffer& out, const Value& v) {
  switch (v.kind) {
    case Kind::kStr:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kNamespace: {
      Buffer whole(&rt.meter);
      repr_any(rt, whole, v);
      if (whole.str().has_content()) whole.mark_all(true);
      out.append(whole.str());
      break;
    }
    default:
      repr_any(rt, out, v);
  }
}

void append_str(Runtime& rt, Buffer& out, const Value& v) {
  if (v.is_str()) {
    out.append(v.s);
  } else if (!v.is_undefined()) {
    append_repr(rt, out, v);
  }
}

Value to_str(Runtime& rt, const Value& v) {
  if (v.is_str()) return Value::of(v.s);
  Buffer& b = rt.make_buffer();
  append_str(rt, b, v);
  return rt.text(b);
}

Value soft_str(Runtime& rt, const Value& v) { return v.is_str() ? v : to_str(rt, v); }

std::string repr_text(Runtime& rt, const Value& v) {
  constexpr size_t kShown = 80;
  Buffer b(&rt.meter);
  append_repr(rt, b, v);
  return b.size() <= kShown ? b.bytes() : fmt::format("{}...", std::string_view(b.bytes()).substr(0, kShown));
}

}  // namespace watra::text::jinja
