// Filters that make numbers, and Python's ways of reading and rounding them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace watra::text::jinja {

namespace {

// White space stripped, digits of every script as ASCII; other characters beyond ASCII become '?'.
std::string plain_number(std::string_view text) {
  std::u32string chars;
  for (size_t pos = 0; pos < text.size();) chars += decode_utf8(text, pos);
  size_t from = 0, to = chars.size();
  while (from < to && is_space(chars[from])) ++from;
  while (to > from && is_space(chars[to - 1])) --to;
  std::string out;
  for (; from < to; ++from) {
    const char32_t c = chars[from];
    const int digit = decimal_value(c);
    out += digit >= 0 ? static_cast<char>('0' + digit) : c < 0x80 ? static_cast<char>(c) : '?';
  }
  return out;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'z' ? l - 'a' + 10 : 99;
}

}  // namespace

std::optional<Int> parse_int(std::string_view source, Int base) {
  const std::string text = plain_number(source);
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  size_t pos = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) ++pos;
  bool after_prefix = false;
  if (pos + 1 < text.size() && text[pos] == '0') {
    const char l = static_cast<char>(text[pos + 1] | 0x20);
    const Int prefixed = l == 'x' ? 16 : l == 'o' ? 8 : l == 'b' ? 2 : 0;
    if (prefixed != 0 && (base == 0 || base == prefixed)) {
      base = prefixed;
      pos += 2;
      after_prefix = true;
    }
  }
  const bool literal = base == 0;  // without a prefix: no leading zeros
  if (literal) base = 10;
  Int value = 0;
  bool any = false, underscore = !after_prefix;  // an underscore needs a digit, or a prefix, before it
  const size_t first = pos;
  for (; pos < text.size(); ++pos) {
    if (text[pos] == '_') {
      if (underscore) return std::nullopt;
      underscore = true;
      continue;
    }
    const int d = digit_value(text[pos]);
    if (d >= base) return std::nullopt;
    if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, static_cast<Int>(d), &value)) {
      refuse_limit("an integer needs more than 128 bits");
    }
    any = true;
    underscore = false;
  }
  if (!any || underscore) return std::nullopt;
  if (literal && value != 0 && text[first] == '0') return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view source) {
  std::string text = plain_number(source);
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const auto is_digit_at = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) return std::nullopt;
  }
  size_t pos = !digits.empty() && (digits[0] == '-' || digits[0] == '+') ? 1 : 0;
  std::string word = digits.substr(pos);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  const double sign = pos == 1 && digits[0] == '-' ? -1 : 1;
  if (word == "inf" || word == "infinity") return sign * HUGE_VAL;
  if (word == "nan") return std::copysign(NAN, sign);
  const auto run = [&] {
    const size_t from = pos;
    while (pos < digits.size() && digits[pos] >= '0' && digits[pos] <= '9') ++pos;
    return pos - from;
  };
  size_t n = run();
  if (pos < digits.size() && digits[pos] == '.') {
    ++pos;
    n += run();
  }
  if (n == 0) return std::nullopt;
  if (pos < digits.size() && (digits[pos] | 0x20) == 'e') {
    ++pos;
    if (pos < digits.size() && (digits[pos] == '-' || digits[pos] == '+')) ++pos;
    if (run() == 0) return std::nullopt;
  }
  if (pos != digits.size()) return std::nullopt;
  return std::strtod(digits.c_str(), nullptr);
}

namespace {

std::string fixed(double v, int places) {  // snprintf rounds the exact value half to even
  std::string text(static_cast<size_t>(std::snprintf(nullptr, 0, "%.*f", places, v)) + 1, '\0');
  std::snprintf(text.data(), text.size(), "%.*f", places, v);
  text.pop_back();
  return text;
}

// Round half to even at a decimal place, as CPython does: through the exact decimal expansion.
double round_float(double v, Int places) {
  if (!std::isfinite(v) || places > 400) return v;
  if (places < -400) return std::copysign(0.0, v);
  if (places >= 0) {
    return std::strtod(fixed(v, static_cast<int>(places)).c_str(), nullptr);
  }
  const std::string digits = fixed(std::trunc(std::fabs(v)), 0);
  const double rest = std::fabs(v) - std::trunc(std::fabs(v));
  const auto cut = static_cast<size_t>(-places);
  if (digits.size() < cut) return std::copysign(0.0, v);
  const std::string dropped = digits.substr(digits.size() - cut);
  std::string kept = digits.substr(0, digits.size() - cut);
  const bool tail = rest != 0 || dropped.find_first_not_of('0', 1) != std::string::npos;
  const bool odd = !kept.empty() && (kept.back() - '0') % 2 == 1;
  const bool up = dropped[0] > '5' || (dropped[0] == '5' && (tail || odd));
  if (kept.empty()) kept = "0";
  if (up) {
    size_t i = kept.size();
    while (i > 0 && kept[i - 1] == '9') kept[--i] = '0';
    if (i == 0) {
      kept.insert(0, "1");
    } else {
      ++kept[i - 1];
    }
  }
  const double r = std::strtod((kept + std::string(cut, '0')).c_str(), nullptr);
  if (std::isinf(r)) refuse_type("rounded value too large to represent");
  return std::copysign(r, v);
}

Int round_int(Int v, Int places) {  // places < 0
  if (places < -38) return 0;
  Int unit = 1;
  for (Int i = 0; i > places; --i) unit *= 10;
  const Int toward_zero = v / unit * unit, rest = v < 0 ? toward_zero - v : v - toward_zero, to_next = unit - rest;
  if (rest < to_next || (rest == to_next && toward_zero / unit % 2 == 0)) return toward_zero;
  Int away = 0;
  if (__builtin_add_overflow(toward_zero, v < 0 ? -unit : unit, &away))
    refuse_limit("an integer needs more than 128 bits");
  return away;
}

Value filter_round(Runtime& rt, const Value& self, Args& args) {
  const Bound a("round", args, {"precision", "method"}, 0);
  const std::string_view method = a.has(1) ? (a[1].is_str() ? a[1].s.view() : "") : "common";
  if (method != "common" && method != "ceil" && method != "floor") refuse_type("method must be common, ceil or floor");
  const Value precision = a.get(0, Value::of_int(0));
  if (method != "common") {
    const Value scale = binary(rt, BinaryOp::kPow, Value::of_int(10), precision);
    const Value scaled = binary(rt, BinaryOp::kMul, self, scale);
    if (!scaled.is_number()) refuse_type(fmt::format("must be real number, not {}", type_name(scaled)));
    const Value whole = scaled.is_int()
                            ? Value::of_int(scaled.as_int())
                            : int_from_double(method == "ceil" ? std::ceil(scaled.f) : std::floor(scaled.f));
    return binary(rt, BinaryOp::kDiv, whole, scale);
  }
  if (!self.is_number()) refuse_type(fmt::format("type {} doesn't define __round__ method", type_name(self)));
  if (precision.is(Kind::kNone)) {
    return self.is_int() ? Value::of_int(self.as_int()) : int_from_double(std::nearbyint(self.f));
  }
  const Int places = require_index(precision, "precision");
  if (self.is_int()) return Value::of_int(places >= 0 ? self.as_int() : round_int(self.as_int(), places));
  return Value::of(round_float(self.f, places));
}

Value filter_abs(Runtime& rt, const Value& self, Args& args) {
  const Bound a("abs", args, {}, 0);
  if (self.is(Kind::kFloat)) return Value::of(std::fabs(self.f));
  if (!self.is_int()) refuse_type(fmt::format("bad operand type for abs(): '{}'", type_name(self)));
  return self.as_int() < 0 ? negate(rt, self) : Value::of_int(self.as_int());
}

Value filter_int(Runtime&, const Value& self, Args& args) {
  const Bound a("int", args, {"default", "base"}, 0);
  const Value otherwise = a.get(0, Value::of_int(0));
  require_defined(self);
  if (self.is_int()) return Value::of_int(self.as_int());
  if (self.is(Kind::kFloat)) return std::isnan(self.f) ? otherwise : int_from_double(self.f);
  if (!self.is_str()) return otherwise;
  const Value base = a.get(1, Value::of_int(10));
  if (base.is_int()) {
    if (const auto v = parse_int(self.s.view(), base.as_int())) return Value::of_int(*v);
  }
  const auto f = parse_float(self.s.view());
  return f && std::isfinite(*f) ? int_from_double(*f) : otherwise;
}

Value filter_float(Runtime&, const Value& self, Args& args) {
  const Bound a("float", args, {"default"}, 0);
  require_defined(self);
  if (self.is_number()) return Value::of(to_double(self));
  if (self.is_str()) {
    if (const auto f = parse_float(self.s.view())) return Value::of(*f);
  }
  return a.get(0, Value::of(0.0));
}

Value filter_filesizeformat(Runtime& rt, const Value& self, Args& args) {
  const Bound a("filesizeformat", args, {"binary"}, 0);
  require_defined(self);
  double bytes = 0;
  if (self.is_number()) {
    bytes = to_double(self);
  } else {
    const auto parsed = self.is_str() ? parse_float(self.s.view()) : std::nullopt;
    if (!parsed) refuse_type("a file size must be a number");
    bytes = *parsed;
  }
  const bool binary_units = a.has(0) && truthy(a[0]);
  const double base = binary_units ? 1024 : 1000;
  if (bytes == 1) return rt.text("1 Byte");
  if (bytes < base) return rt.text(int_text(int_from_double(bytes).as_int()) + " Bytes");
  double unit = base;
  for (size_t i = 0; i < 8; ++i) {
    unit *= base;
    if (bytes < unit || i == 7) {
      return rt.text(fmt::format("{} {}{}", fixed(base * bytes / unit, 1), binary_units ? "KMGTPEZY"[i] : "kMGTPEZY"[i],
                                 binary_units ? "iB" : "B"));
    }
  }
  return {};
}

constexpr FilterDef kDefs[] = {
    {"abs", filter_abs},     {"filesizeformat", filter_filesizeformat}, {"float", filter_float}, {"int", filter_int},
    {"round", filter_round},
};

}  // namespace

FilterTable number_filters() { return {kDefs, std::size(kDefs)}; }

}  // namespace watra::text::jinja
