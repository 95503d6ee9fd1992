// "%s" % x and "{}".format(x): Python's two formatting languages.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja_unicode.h"
#include "text/jinja_value.h"

namespace watra::text::jinja {
namespace {

constexpr uint64_t kMaxPrecision = 100'000;

std::string printf_float(double v, char type, int precision, bool alternate) {
  if (static_cast<uint64_t>(precision) > kMaxPrecision) refuse_limit("the precision of a number is too large");
  const char format[] = {
      '%', alternate ? '#' : '.', alternate ? '.' : '*', alternate ? '*' : type, alternate ? type : '\0', '\0'};
  const double magnitude = std::fabs(v);
  const int n = std::snprintf(nullptr, 0, format, precision, magnitude);
  std::string out(static_cast<size_t>(n) + 1, '\0');
  std::snprintf(out.data(), out.size(), format, precision, magnitude);
  out.resize(static_cast<size_t>(n));
  return out;  // without a sign
}

std::string digits_of(unsigned __int128 v, unsigned base, bool upper) {
  const char* const symbols = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    out += symbols[static_cast<unsigned>(v % base)];
    v /= base;
  } while (v != 0);
  return {out.rbegin(), out.rend()};
}

unsigned __int128 magnitude(Int v) {
  return v < 0 ? -static_cast<unsigned __int128>(v) : static_cast<unsigned __int128>(v);
}

void append_encoded(Buffer& out, Int code) {
  if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) refuse_type("%c needs a character");
  out.append_char(static_cast<char32_t>(code), false);
}

std::string ascii_repr(const std::string& repr) {  // ascii(): what repr() kept beyond ASCII is escaped too
  std::string out;
  for (size_t pos = 0; pos < repr.size();) {
    const auto c = static_cast<uint32_t>(decode_utf8(repr, pos));
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += c < 0x100     ? fmt::format("\\x{:02x}", c)
             : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                           : fmt::format("\\U{:08x}", c);
    }
  }
  return out;
}

Value converted(Runtime& rt, const Value& v, char conversion) {
  Buffer& b = rt.make_buffer();
  if (conversion == 's') {
    append_str(rt, b, v);
  } else {
    append_repr(rt, b, v);
    if (conversion == 'a') {
      Buffer& a = rt.make_buffer();
      a.append(ascii_repr(b.bytes()), b.str().has_content());
      return rt.text(a);
    }
  }
  return rt.text(b);
}

// ---- percent ----

class PercentFormatter {
 public:
  PercentFormatter(Runtime& rt, const Value& format, const Value& args)
      : rt_(rt), format_(format), args_(args), text_(format.s.view()), out_(rt.make_buffer()) {
    is_mapping_ = args.is(Kind::kDict) || args.is(Kind::kList) || args.is(Kind::kRange) || args.is_undefined();
  }

  Value run() {
    while (pos_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', pos_), text_.size());
      out_.append(format_.s.slice(pos_, percent));
      pos_ = percent;
      if (pos_ < text_.size()) directive();
    }
    const bool all_used = args_.is(Kind::kTuple) ? used_ == args_.list->items.size() : used_ > 0 || is_mapping_;
    if (!all_used) refuse_type("not all arguments converted during string formatting");
    return rt_.text(out_, format_.markup);
  }

 private:
  char peek() const {
    if (pos_ >= text_.size()) refuse_type("incomplete format");
    return text_[pos_];
  }

  Value next_argument() {
    if (args_.is(Kind::kTuple)) {
      if (used_ >= args_.list->items.size()) refuse_type("not enough arguments for format string");
      return args_.list->items[used_++];
    }
    if (used_++ > 0) refuse_type("not enough arguments for format string");
    return args_;
  }

  // A number in the directive, or `*`.
  int64_t number() {
    if (peek() == '*') {
      ++pos_;
      const Int v = require_index(next_argument(), "the * of a format");
      if (v > INT32_MAX || v < -INT32_MAX) refuse_limit("a format is too wide");
      return static_cast<int64_t>(v);
    }
    int64_t v = 0;
    while (peek() >= '0' && peek() <= '9') {
      v = v * 10 + (text_[pos_++] - '0');
      if (v > INT32_MAX) refuse_limit("a format is too wide");
    }
    return v;
  }

  void directive() {
    rt_.meter.tick();
    ++pos_;
    if (peek() == '%') {
      out_.append(format_.s.slice(pos_, pos_ + 1));
      ++pos_;
      return;
    }
    Value value;
    if (peek() == '(') {
      if (!args_.is(Kind::kDict)) refuse_type("format requires a mapping");
      const size_t from = pos_ + 1;
      for (int depth = 0;; ++pos_) {
        if (peek() == '(') ++depth;
        if (peek() == ')' && --depth == 0) break;
      }
      const Value* found = args_.dict->find(text_.substr(from, pos_ - from));
      if (found == nullptr) refuse_type(fmt::format("no key '{}' for the format", text_.substr(from, pos_ - from)));
      value = *found;
      ++used_;
      ++pos_;
    }
    bool minus = false, plus = false, space = false, alternate = false, zero = false;
    for (;; ++pos_) {
      const char c = peek();
      if (c == '-')
        minus = true;
      else if (c == '+')
        plus = true;
      else if (c == ' ')
        space = true;
      else if (c == '#')
        alternate = true;
      else if (c == '0')
        zero = true;
      else
        break;
    }
    int64_t width = number();
    if (width < 0) {
      minus = true;
      width = -width;
    }
    int64_t precision = -1;
    if (peek() == '.') {
      ++pos_;
      precision = std::max<int64_t>(number(), 0);
    }
    if (peek() == 'h' || peek() == 'l' || peek() == 'L') ++pos_;
    const char type = peek();
    ++pos_;
    if (value.missing()) value = next_argument();

    Buffer& body = rt_.make_buffer();
    std::string sign;
    bool is_number = true;
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        is_number = false;
        Value text = converted(rt_, value, type);
        if (format_.markup) text = escape_html(rt_, type == 's' && value.is_str() ? value : text);
        Str s = text.s;
        if (precision >= 0 && static_cast<uint64_t>(precision) < s.length()) {
          s = s.slice(0, s.byte_of(static_cast<uint64_t>(precision)));
        }
        body.append(s);
        break;
      }
      case 'c':
        is_number = false;
        if (value.is_str() && value.s.length() == 1)
          body.append(value.s);
        else
          append_encoded(body, require_index(value, "the argument of %c"));
        break;
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X': {
        Int v = 0;
        if (value.is(Kind::kFloat) && (type == 'd' || type == 'i' || type == 'u'))
          v = int_from_double(value.f).as_int();
        else
          v = require_index(value, "the argument of a number format");
        std::string digits = digits_of(magnitude(v), type == 'o' ? 8 : (type | 32) == 'x' ? 16 : 10, type == 'X');
        if (precision > static_cast<int64_t>(digits.size())) {
          if (static_cast<uint64_t>(precision) > kMaxPrecision) refuse_limit("the precision of a number is too large");
          digits.insert(0, static_cast<size_t>(precision) - digits.size(), '0');
        }
        sign = v < 0 ? "-" : "";
        if (alternate && type != 'd' && type != 'i' && type != 'u') prefix_ = std::string("0") + type;
        body.append(digits, false);
        break;
      }
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': {
        require_defined(value);
        if (!value.is_number()) refuse_type(fmt::format("must be real number, not {}", type_name(value)));
        const double v = to_double(value);
        body.append(printf_float(v, type, precision < 0 ? 6 : static_cast<int>(precision), alternate), false);
        sign = std::signbit(v) && !std::isnan(v) ? "-" : "";
        break;
      }
      default:
        refuse_type(fmt::format("unsupported format character '{}'", type));
    }
    if (is_number && sign.empty()) sign = plus ? "+" : space ? " " : "";
    sign += prefix_;
    prefix_.clear();
    const uint64_t length = body.str().length() + sign.size();
    const uint64_t fill = static_cast<uint64_t>(width) > length ? static_cast<uint64_t>(width) - length : 0;
    const bool zeros = zero && is_number && !minus;
    if (!minus && !zeros) out_.fill(" ", fill, false);
    out_.append(sign, false);
    if (zeros) out_.fill("0", fill, false);
    out_.append(body.str());
    if (minus) out_.fill(" ", fill, false);
  }

  Runtime& rt_;
  const Value& format_;
  const Value& args_;
  std::string_view text_;
  Buffer& out_;
  std::string prefix_;
  size_t pos_ = 0, used_ = 0;
  bool is_mapping_ = false;
};

// ---- the format specification of {:...} ----

struct Spec {
  std::string fill = " ";
  char align = 0, sign = 0, grouping = 0, type = 0;  // 0 = not given
  bool alternate = false, zero = false, no_negative_zero = false;
  int64_t width = -1, precision = -1;
};

int64_t spec_number(std::string_view text, size_t& pos) {
  int64_t v = -1;
  while (pos < text.size() && text[pos] >= '0' && text[pos] <= '9') {
    v = std::max<int64_t>(v, 0) * 10 + (text[pos++] - '0');
    if (v > INT32_MAX) refuse_limit("a format is too wide");
  }
  return v;
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  size_t pos = 0;
  const auto is_align = [&](size_t at) {
    return at < text.size() && std::string_view("<>=^").find(text[at]) != std::string_view::npos;
  };
  size_t after_first = 0;
  if (!text.empty()) decode_utf8(text, after_first);
  bool fill_given = false;
  if (!text.empty() && is_align(after_first)) {
    spec.fill = text.substr(0, after_first);
    spec.align = text[after_first];
    pos = after_first + 1;
    fill_given = true;
  } else if (is_align(0)) {
    spec.align = text[0];
    pos = 1;
  }
  const auto take = [&](std::string_view any) {
    if (pos >= text.size() || any.find(text[pos]) == std::string_view::npos) return '\0';
    return text[pos++];
  };
  if (const char c = take("+- ")) spec.sign = c;
  spec.no_negative_zero = take("z") != 0;
  spec.alternate = take("#") != 0;
  if (!fill_given && take("0")) {
    spec.zero = true;
    spec.fill = "0";
  }
  spec.width = spec_number(text, pos);
  spec.grouping = take(",_");
  if (take(".")) {
    spec.precision = spec_number(text, pos);
    if (spec.precision < 0) refuse_type("Format specifier missing precision");
    if (static_cast<uint64_t>(spec.precision) > kMaxPrecision) refuse_limit("the precision of a number is too large");
  }
  if (pos < text.size()) spec.type = text[pos++];
  if (pos != text.size()) refuse_type("Invalid format specifier");
  return spec;
}

void append_padded(Buffer& out, const Spec& spec, const Str& body, uint64_t sign_bytes, char default_align) {
  const uint64_t length = body.length();
  const uint64_t fill = spec.width > static_cast<int64_t>(length) ? static_cast<uint64_t>(spec.width) - length : 0;
  const char align = spec.align != 0 ? spec.align : default_align;
  const uint64_t left = align == '>' ? fill : align == '^' ? fill / 2 : 0;
  if (align == '=') {
    out.append(body.slice(0, sign_bytes));
    out.fill(spec.fill, fill, false);
    out.append(body.slice(sign_bytes, body.size_bytes()));
    return;
  }
  out.fill(spec.fill, left, false);
  out.append(body);
  out.fill(spec.fill, fill - left, false);
}

std::string grouped(const std::string& digits, char separator, size_t every) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out;
}

void format_number(Runtime& rt, Buffer& out, const Value& v, Spec spec) {
  if (spec.align == 0 && spec.zero) spec.align = '=';
  const std::string_view groupable = spec.grouping == ',' ? "deEfFgG%" : "deEfFgG%bxXo";
  if (spec.grouping != 0 && spec.type != 0 && groupable.find(spec.type) == std::string_view::npos) {
    refuse_type(fmt::format("Cannot specify '{}' with '{}'.", spec.grouping, spec.type));
  }
  const bool as_float =
      v.is(Kind::kFloat) || (spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos);
  std::string sign, prefix, digits, rest;
  if (as_float) {
    double x = to_double(v);
    const bool negative = std::signbit(x) && !std::isnan(x);
    char type = spec.type;
    if (type == 'n') type = 'g';
    if (type == '%') x *= 100;
    if (type != 0 && std::string_view("eEfFgG%").find(type) == std::string_view::npos)
      refuse_type(fmt::format("Unknown format code '{}' for a float", type));
    std::string text;
    if (type == 0 && spec.precision < 0) {
      text = float_text(std::fabs(x));
      const size_t e = text.find('e');
      if (spec.alternate && e != std::string::npos && text.find('.') == std::string::npos) text.insert(e, ".");
    } else if (type == 0) {  // like g, but keeps one digit after the point
      const int p = std::max<int>(1, static_cast<int>(spec.precision));
      text = printf_float(x, 'e', p - 1, spec.alternate);
      if (std::isfinite(x)) {
        const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
        if (exponent < -4 || exponent >= p - 1) {
          std::string head = text.substr(0, text.find('e'));
          if (!spec.alternate && head.find('.') != std::string::npos) {
            while (head.back() == '0') head.pop_back();
            if (head.back() == '.') head.pop_back();
          }
          text = head + text.substr(text.find('e'));
        } else {
          text = printf_float(x, 'g', p, spec.alternate);
          if (text.find_first_of(".e") == std::string::npos) text += ".0";
        }
      }
    } else {
      const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
      text = printf_float(x, type == '%' ? 'f' : type, precision, spec.alternate);
      if (type == '%') text += '%';
    }
    const bool is_zero = text.find_first_of("123456789in") == std::string::npos;
    sign = negative && !(spec.no_negative_zero && is_zero) ? "-" : "";
    const size_t whole = std::min(text.find_first_not_of("0123456789"), text.size());
    digits = text.substr(0, whole);
    rest = text.substr(whole);
  } else {
    const Int x = v.as_int();
    if (spec.precision >= 0) refuse_type("Precision not allowed in integer format specifier");
    if (spec.no_negative_zero) refuse_type("Negative zero coercion (z) not allowed in integer format specifier");
    if (spec.type == 'c') {
      if (spec.sign != 0 || spec.alternate) refuse_type("Sign and # not allowed with integer format specifier 'c'");
      Buffer& c = rt.make_buffer();
      append_encoded(c, x);
      return append_padded(out, spec, c.str(), 0, '>');
    }
    unsigned base = 10;
    switch (spec.type) {
      case 0:
      case 'd':
      case 'n':
        break;
      case 'b':
        base = 2;
        break;
      case 'o':
        base = 8;
        break;
      case 'x':
      case 'X':
        base = 16;
        break;
      default:
        refuse_type(fmt::format("Unknown format code '{}' for an integer", spec.type));
    }
    sign = x < 0 ? "-" : "";
    if (spec.alternate && base != 10) prefix = std::string("0") + spec.type;
    digits = digits_of(magnitude(x), base, spec.type == 'X');
  }
  if (sign.empty() && (spec.sign == '+' || spec.sign == ' ')) sign = spec.sign;
  if (spec.grouping != 0 && !digits.empty()) {
    const size_t every = !as_float && (spec.type == 'b' || spec.type == 'o' || (spec.type | 32) == 'x') ? 4 : 3;
    std::string text = grouped(digits, spec.grouping, every);
    if (spec.fill == "0" && spec.align == '=') {
      const size_t fixed = sign.size() + prefix.size() + rest.size();
      if (spec.width > static_cast<int64_t>(kMaxPrecision)) refuse_limit("a format is too wide");
      while (static_cast<int64_t>(text.size() + fixed) < spec.width) {
        digits.insert(0, "0");
        text = grouped(digits, spec.grouping, every);
      }
    }
    digits = text;
  }
  Buffer& body = rt.make_buffer();
  body.append(sign + prefix + digits + rest, false);
  append_padded(out, spec, body.str(), sign.size() + prefix.size(), '>');
}

void format_value(Runtime& rt, Buffer& out, const Value& v, std::string_view spec_text) {
  if (spec_text.empty()) return append_str(rt, out, v);
  if (!v.is_str() && !v.is_number()) refuse_type(fmt::format("unsupported format string for '{}'", type_name(v)));
  Spec spec = parse_spec(spec_text);
  if (v.is(Kind::kBool) && spec.type == 0) {
    // Python formats a bool as an integer as soon as there is a specification.
    return format_number(rt, out, Value::of_int(v.as_int()), spec);
  }
  if (!v.is_str()) return format_number(rt, out, v, spec);
  if (spec.type != 0 && spec.type != 's') refuse_type(fmt::format("Unknown format code '{}' for a string", spec.type));
  if (spec.sign != 0 || spec.alternate || spec.grouping != 0 || spec.no_negative_zero)
    refuse_type("not allowed in a string's format specifier");
  if (spec.align == '=') refuse_type("'=' alignment not allowed in string format specifier");
  Str s = v.s;
  if (spec.precision >= 0 && static_cast<uint64_t>(spec.precision) < s.length()) {
    s = s.slice(0, s.byte_of(static_cast<uint64_t>(spec.precision)));
  }
  append_padded(out, spec, s, 0, '<');
}

// ---- braces ----

class BraceFormatter {
 public:
  BraceFormatter(Runtime& rt, Args& args, const Value* mapping, bool markup)
      : rt_(rt), args_(args), mapping_(mapping), markup_(markup) {}

  void run(Buffer& out, const Str& format, int depth) {
    if (depth < 0) refuse_type("Max string recursion exceeded");
    const std::string_view text = format.view();
    for (size_t pos = 0; pos < text.size();) {
      const size_t brace = std::min(text.find_first_of("{}", pos), text.size());
      out.append(format.slice(pos, brace));
      if (brace == text.size()) return;
      if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
        out.append(format.slice(brace, brace + 1));
        pos = brace + 2;
        continue;
      }
      if (text[brace] == '}') refuse_type("Single '}' encountered in format string");
      // The field ends at the brace that balances.
      size_t end = brace + 1;
      for (int open = 1;; ++end) {
        if (end >= text.size()) refuse_type("expected '}' before end of string");
        if (text[end] == '{') ++open;
        if (text[end] == '}' && --open == 0) break;
      }
      field(out, format.slice(brace + 1, end), depth);
      pos = end + 1;
    }
  }

 private:
  void field(Buffer& out, const Str& inside, int depth) {
    rt_.meter.tick();
    const std::string_view text = inside.view();
    size_t name_end = 0;
    for (bool bracket = false; name_end < text.size(); ++name_end) {
      const char c = text[name_end];
      if (c == '{') refuse_type("unexpected '{' in field name");
      if (c == '[') bracket = true;
      if (c == ']') bracket = false;
      if (!bracket && (c == '!' || c == ':')) break;
    }
    const std::string_view name = text.substr(0, name_end);
    char conversion = 0;
    size_t pos = name_end;
    if (pos < text.size() && text[pos] == '!') {
      if (pos + 1 >= text.size()) refuse_type("unmatched '{' in format spec");
      conversion = text[pos + 1];
      pos += 2;
      if (pos < text.size() && text[pos] != ':') refuse_type("expected ':' after conversion specifier");
    }
    Value value = lookup(name);
    if (conversion != 0) {
      if (conversion != 'r' && conversion != 's' && conversion != 'a') refuse_type("Unknown conversion specifier");
      value = converted(rt_, value, conversion);
    }
    Buffer& spec = rt_.make_buffer();
    if (pos < text.size()) run(spec, inside.slice(pos + 1, text.size()), depth - 1);
    if (!markup_) return format_value(rt_, out, value, spec.bytes());
    Buffer& plain = rt_.make_buffer();
    format_value(rt_, plain, value, spec.bytes());
    out.append(escape_html(rt_, rt_.text(plain, value.is_str() && value.markup)).s);
  }

  static std::optional<uint64_t> as_number(std::string_view text) {
    if (text.empty() || text.size() > 9 ||
        !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return std::nullopt;
    }
    return std::stoull(std::string(text));
  }

  Value lookup(std::string_view name) {
    std::string numbered(name);
    const bool manual = as_number(name).has_value();
    if (name.empty() || manual) {
      if (name.empty() ? used_manual_ : used_automatic_) {
        refuse_type("cannot switch between manual field specification and automatic field numbering");
      }
      if (name.empty()) numbered = std::to_string(next_automatic_++);
      (name.empty() ? used_automatic_ : used_manual_) = true;
    }
    const std::string_view path = numbered;
    const size_t first_end = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, first_end));
    for (size_t pos = first_end; pos < path.size();) {
      if (path[pos] == '.') {
        const size_t end = std::min(path.find_first_of(".[", pos + 1), path.size());
        if (end == pos + 1) refuse_type("Empty attribute in format string");
        value = get_attribute(rt_, value, path.substr(pos + 1, end - pos - 1));
        pos = end;
      } else if (path[pos] == '[') {
        const size_t end = path.find(']', pos);
        if (end == std::string_view::npos) refuse_type("Missing ']' in format string");
        const std::string_view key = path.substr(pos + 1, end - pos - 1);
        if (key.empty()) refuse_type("Empty attribute in format string");
        const auto index = as_number(key);
        value = get_item(rt_, value, index ? Value::of_int(static_cast<Int>(*index)) : rt_.text(key));
        pos = end + 1;
      } else {
        refuse_type("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  Value argument(std::string_view name) {
    if (const auto index = as_number(name)) {
      if (*index >= args_.pos.size()) refuse_type(fmt::format("no positional argument {} for the format", *index));
      return args_.pos[*index];
    }
    if (mapping_ != nullptr) {
      if (mapping_->is(Kind::kDict)) {
        if (const Value* v = mapping_->dict->find(name)) return *v;
      }
    } else {
      for (const auto& [key, value] : args_.kw) {
        if (key == name) return value;
      }
    }
    refuse_type(fmt::format("no argument '{}' for the format", name));
  }

  Runtime& rt_;
  Args& args_;
  const Value* mapping_;
  bool markup_;
  bool used_manual_ = false, used_automatic_ = false;
  uint64_t next_automatic_ = 0;
};

}  // namespace

Value percent_format(Runtime& rt, const Value& format, const Value& args) {
  return PercentFormatter(rt, format, args).run();
}

Value brace_format(Runtime& rt, const Value& format, Args& args, const Value* mapping) {
  Buffer& out = rt.make_buffer();
  BraceFormatter(rt, args, mapping, format.markup).run(out, format.s, 2);
  return rt.text(out, format.markup);
}

Value escape_html(Runtime& rt, const Value& v) {
  if (v.is_str() && v.markup) return v;
  const Str s = to_str(rt, v).s;
  const std::string_view text = s.view();
  if (text.find_first_of("&<>'\"") == std::string_view::npos) return Value::of(s, true);
  Buffer& out = rt.make_buffer();
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = std::min(text.find_first_of("&<>'\"", pos), text.size());
    out.append(s.slice(pos, at));
    if (at < text.size()) {
      const char c = text[at];
      out.append(c == '&'   ? "&amp;"
                 : c == '<' ? "&lt;"
                 : c == '>' ? "&gt;"
                 : c == '"' ? "&#34;"
                            : "&#39;",
                 s.content_at(at));
    }
    pos = at + 1;
  }
  return rt.text(out, true);
}

}  // namespace watra::text::jinja
