// Operators, attributes, items and slices, with the sandbox's rules.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja_value.h"

namespace watra::text::jinja {

namespace {

[[noreturn]] void refuse_operands(const char* op, const Value& a, const Value& b) {
  refuse_type(fmt::format("unsupported operand types for {}: '{}' and '{}'", op, type_name(a), type_name(b)));
}

[[noreturn]] void refuse_big() { refuse_limit("an integer needs more than 128 bits"); }

Value int_pow(Int base, Int exponent) {
  if (exponent < 0) {
    if (base == 0) refuse_type("0.0 cannot be raised to a negative power");
    return Value::of(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1 || base == -1) {
    return Value::of_int(exponent == 0 ? 1 : base == -1 && exponent % 2 == 0 ? 1 : base);
  }
  Int result = 1;
  for (Int i = 0; i < exponent; ++i) {  // at most 127 rounds: |base| >= 2
    if (__builtin_mul_overflow(result, base, &result)) refuse_big();
  }
  return Value::of_int(result);
}

void float_divmod(double a, double b, double& quotient, double& rest) {  // CPython's float_divmod
  if (b == 0) refuse_type("float division by zero");
  rest = std::fmod(a, b);
  quotient = (a - rest) / b;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) {
      rest += b;
      quotient -= 1;
    }
  } else {
    rest = std::copysign(0.0, b);
  }
  if (quotient != 0) {
    const double floored = std::floor(quotient);
    quotient = quotient - floored > 0.5 ? floored + 1 : floored;
  } else {
    quotient = std::copysign(0.0, a / b);
  }
}

Value number_op(BinaryOp op, const Value& a, const Value& b) {
  if (a.is_int() && b.is_int()) {
    const Int x = a.as_int(), y = b.as_int();
    Int r = 0;
    switch (op) {
      case BinaryOp::kAdd:
        if (__builtin_add_overflow(x, y, &r)) refuse_big();
        return Value::of_int(r);
      case BinaryOp::kSub:
        if (__builtin_sub_overflow(x, y, &r)) refuse_big();
        return Value::of_int(r);
      case BinaryOp::kMul:
        if (__builtin_mul_overflow(x, y, &r)) refuse_big();
        return Value::of_int(r);
      case BinaryOp::kDiv:
        if (y == 0) refuse_type("division by zero");
        return Value::of(static_cast<double>(static_cast<long double>(x) / static_cast<long double>(y)));
      case BinaryOp::kFloorDiv:
      case BinaryOp::kMod: {
        if (y == 0) refuse_type("integer division or modulo by zero");
        if (y == -1) {  // the one quotient that may not fit
          if (op == BinaryOp::kMod) return Value::of_int(0);
          if (__builtin_sub_overflow(Int{0}, x, &r)) refuse_big();
          return Value::of_int(r);
        }
        Int q = x / y, m = x % y;
        if (m != 0 && (m < 0) != (y < 0)) {
          q -= 1;
          m += y;
        }
        return Value::of_int(op == BinaryOp::kMod ? m : q);
      }
      case BinaryOp::kPow:
        return int_pow(x, y);
    }
  }
  const double x = to_double(a), y = to_double(b);
  switch (op) {
    case BinaryOp::kAdd:
      return Value::of(x + y);
    case BinaryOp::kSub:
      return Value::of(x - y);
    case BinaryOp::kMul:
      return Value::of(x * y);
    case BinaryOp::kDiv:
      if (y == 0) refuse_type("float division by zero");
      return Value::of(x / y);
    case BinaryOp::kFloorDiv:
    case BinaryOp::kMod: {
      double q = 0, m = 0;
      float_divmod(x, y, q, m);
      return Value::of(op == BinaryOp::kMod ? m : q);
    }
    case BinaryOp::kPow: {
      if (x == 0 && y < 0) refuse_type("0.0 cannot be raised to a negative power");
      const double r = std::pow(x, y);
      if (std::isnan(r) && !std::isnan(x) && !std::isnan(y)) refuse_type("the power is not a real number");
      if (std::isinf(r) && std::isfinite(x) && std::isfinite(y)) refuse_type("the power is too large for a float");
      return Value::of(r);
    }
  }
  return {};
}

// Extends the left text in place when nothing follows it in its buffer.
Value concatenate(Runtime& rt, const Str& a, const Str& b, bool markup) {
  if (a.end == a.buffer->size() && !a.buffer->sealed() && a.buffer != b.buffer) {
    a.buffer->append(b);
    return Value::of(Str{a.buffer, a.begin, static_cast<uint32_t>(a.buffer->size())}, markup);
  }
  Buffer& out = rt.make_buffer();
  out.append(a);
  out.append(b);
  return rt.text(out, markup);
}

Value repeat(Runtime& rt, const Value& what, Int times) {
  const uint64_t n = times <= 0 ? 0 : times > Int{1} << 32 ? uint64_t{1} << 32 : static_cast<uint64_t>(times);
  if (what.is_str()) {
    Buffer& out = rt.make_buffer();
    if (n > 0 && what.s.size_bytes() > 0) {
      const bool uniform = !what.s.has_content();
      if (n * what.s.size_bytes() > rt.meter.max_memory_bytes) refuse_limit("a repeated text is too long");
      if (uniform) {
        out.fill(what.s.view(), n, false);
      } else {
        for (uint64_t i = 0; i < n; ++i) {
          rt.meter.tick();
          out.append(what.s);
        }
      }
    }
    return rt.text(out, what.markup);
  }
  const auto& from = what.list->items;
  std::vector<Value> items;
  if (!from.empty() && n > 0) {
    rt.meter.take(n * from.size() * sizeof(Value));
    items.reserve(n * from.size());
    for (uint64_t i = 0; i < n; ++i) {
      rt.meter.tick();
      items.insert(items.end(), from.begin(), from.end());
    }
  }
  return what.is(Kind::kList) ? rt.list(std::move(items)) : rt.tuple(std::move(items));
}

bool is_sequence_value(const Value& v) { return v.is_str() || v.is(Kind::kList) || v.is(Kind::kTuple); }

}  // namespace

double to_double(const Value& v) { return v.is(Kind::kFloat) ? v.f : static_cast<double>(v.as_int()); }

Int require_index(const Value& v, const char* what) {
  require_defined(v);
  if (!v.is_int()) refuse_type(fmt::format("{} must be an integer, not {}", what, type_name(v)));
  return v.as_int();
}

Value int_from_double(double v) {
  if (std::isnan(v) || std::isinf(v)) refuse_type("cannot convert this float to an integer");
  if (std::fabs(v) >= 0x1p126) refuse_big();
  return Value::of_int(static_cast<Int>(v));
}

Value binary(Runtime& rt, BinaryOp op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return number_op(op, a, b);
  if (op == BinaryOp::kMod && a.is_str()) return percent_format(rt, a, b);
  require_defined(a);
  require_defined(b);
  if (op == BinaryOp::kAdd) {
    if (a.is_str() && b.is_str()) {
      if (!a.markup && !b.markup) return concatenate(rt, a.s, b.s, false);
      return concatenate(rt, escape_html(rt, a).s, escape_html(rt, b).s, true);
    }
    if (a.kind == b.kind && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
      rt.meter.take((a.list->items.size() + b.list->items.size()) * sizeof(Value));
      rt.meter.tick((a.list->items.size() + b.list->items.size()) / 16);
      std::vector<Value> items;
      items.reserve(a.list->items.size() + b.list->items.size());
      items = a.list->items;
      items.insert(items.end(), b.list->items.begin(), b.list->items.end());
      return a.is(Kind::kList) ? rt.list(std::move(items)) : rt.tuple(std::move(items));
    }
  }
  if (op == BinaryOp::kMul) {
    if (is_sequence_value(a) && b.is_int()) return repeat(rt, a, b.as_int());
    if (is_sequence_value(b) && a.is_int()) return repeat(rt, b, a.as_int());
  }
  static constexpr const char* kNames[] = {"+", "-", "*", "/", "//", "%", "**"};
  refuse_operands(kNames[static_cast<int>(op)], a, b);
}

Value negate(Runtime&, const Value& v) {
  require_defined(v);
  if (v.is_int()) {
    Int r = 0;
    if (__builtin_sub_overflow(Int{0}, v.as_int(), &r)) refuse_big();
    return Value::of_int(r);
  }
  if (v.is(Kind::kFloat)) return Value::of(-v.f);
  refuse_type(fmt::format("bad operand type for unary -: '{}'", type_name(v)));
}

Value positive(Runtime&, const Value& v) {
  require_defined(v);
  if (v.is_int()) return Value::of_int(v.as_int());
  if (v.is(Kind::kFloat)) return v;
  refuse_type(fmt::format("bad operand type for unary +: '{}'", type_name(v)));
}

// ---- attributes and items ----

Value char_at(const Str& s, uint64_t index, bool markup) {
  if (s.is_ascii()) return Value::of(s.slice(index, index + 1), markup);
  const size_t from = s.byte_of(index);
  size_t to = from;
  decode_utf8(s.view(), to);
  return Value::of(s.slice(from, to), markup);
}

namespace {

Value attribute_of(Runtime& rt, const Value& owner, std::string_view name) {
  if (owner.is_str()) {
    const NativeDef* def = find_str_method(name);
    return def != nullptr ? rt.method(owner, def) : Value{};
  }
  return find_attribute(rt, owner, name);
}

}  // namespace

Value get_attribute(Runtime& rt, const Value& owner, std::string_view name) {
  require_defined(owner);
  if (is_blocked_method(owner, name)) return rt.undefined(fmt::format("access to '{}' is unsafe", name));
  const Value found = attribute_of(rt, owner, name);
  if (!found.missing()) return found;
  if (owner.is(Kind::kDict)) {
    if (const Value* item = owner.dict->find(name)) return *item;
  }
  return rt.undefined_attribute(owner, name);
}

Value get_item(Runtime& rt, const Value& owner, const Value& key) {
  require_defined(owner);
  switch (owner.kind) {
    case Kind::kDict:
      if (is_hashable(key)) {
        if (const Value* item = owner.dict->find(rt, key)) return *item;
      }
      break;
    case Kind::kStr:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
      if (key.is_int()) {
        const Int n = static_cast<Int>(*length_of(rt, owner));
        Int i = key.as_int();
        if (i < 0) i += n;
        if (i < 0 || i >= n) break;
        if (owner.is_str()) {
          rt.meter.tick(owner.s.size_bytes() / 1024);
          return char_at(owner.s, static_cast<uint64_t>(i), owner.markup);
        }
        if (owner.is(Kind::kRange)) return Value::of_int(owner.range->at(static_cast<uint64_t>(i)));
        return owner.list->items[static_cast<size_t>(i)];
      }
      break;
    default:
      break;
  }
  if (key.is_str()) {
    const std::string_view name = key.s.view();
    if (is_blocked_method(owner, name)) return rt.undefined(fmt::format("access to '{}' is unsafe", name));
    const Value found = attribute_of(rt, owner, name);
    return found.missing() ? rt.undefined_attribute(owner, name) : found;
  }
  Value u = rt.undefined_attribute(owner, repr_text(rt, key));
  u.undefined->is_element = true;
  return u;
}

Value get_slice(Runtime& rt, const Value& owner, const Value& start, const Value& stop, const Value& step) {
  require_defined(owner);
  const std::optional<uint64_t> length = length_of(rt, owner);
  if (!length || owner.is(Kind::kDict) || owner.is(Kind::kView)) {
    refuse_type(fmt::format("'{}' object cannot be sliced", type_name(owner)));
  }
  const Int n = static_cast<Int>(*length);
  const auto given = [](const Value& v) { return !v.missing() && !v.is(Kind::kNone); };
  Int by = given(step) ? require_index(step, "a slice index") : 1;
  if (!owner.is(Kind::kRange)) by = std::clamp<Int>(by, -n - 1, n + 1);  // longer finds no second element either
  if (by == 0) refuse_type("slice step cannot be zero");
  const auto place = [&](const Value& v, Int otherwise) {
    if (!given(v)) return otherwise;
    Int i = require_index(v, "a slice index");
    if (i < 0) i = std::max<Int>(i + n, by < 0 ? -1 : 0);
    return std::min<Int>(i, by < 0 ? n - 1 : n);
  };
  const Int from = place(start, by < 0 ? n - 1 : 0), to = place(stop, by < 0 ? -1 : n);
  const Int span = by > 0 ? to - from : from - to;
  const Int count = span <= 0 ? 0 : by > 0 ? (span - 1) / by + 1 : 1 - (span - 1) / by;

  switch (owner.kind) {
    case Kind::kStr: {
      rt.meter.tick(owner.s.size_bytes() / 1024);
      if (count == 0) return Value::of(owner.s.slice(0, 0), owner.markup);
      if (by == 1) {
        const size_t first = owner.s.byte_of(static_cast<uint64_t>(from));
        const Str tail = owner.s.slice(first, owner.s.size_bytes());
        return Value::of(tail.slice(0, tail.byte_of(static_cast<uint64_t>(count))), owner.markup);
      }
      std::vector<uint32_t> starts;  // of every character
      rt.meter.take(static_cast<uint64_t>(n + 1) * sizeof(uint32_t));
      const std::string_view text = owner.s.view();
      for (size_t pos = 0; pos < text.size(); decode_utf8(text, pos)) starts.push_back(static_cast<uint32_t>(pos));
      starts.push_back(static_cast<uint32_t>(text.size()));
      Buffer& out = rt.make_buffer();
      for (Int i = 0, at = from; i < count; ++i, at += by) {
        out.append(owner.s.slice(starts[static_cast<size_t>(at)], starts[static_cast<size_t>(at) + 1]));
      }
      return rt.text(out, owner.markup);
    }
    case Kind::kRange: {
      auto* r = rt.make<RangeObj>();
      const auto item = [&](Int i) {  // one behind the last may be where no integer is
        Int way = 0, at = 0;
        if (__builtin_mul_overflow(i, owner.range->step, &way) || __builtin_add_overflow(owner.range->start, way, &at))
          refuse_big();
        return at;
      };
      r->start = item(from);
      if (__builtin_mul_overflow(owner.range->step, by, &r->step)) refuse_big();
      r->stop = item(to);
      r->length = static_cast<uint64_t>(count);
      return Value::object_of(Kind::kRange, r);
    }
    default: {
      rt.meter.take(static_cast<uint64_t>(count) * sizeof(Value));
      rt.meter.tick(static_cast<uint64_t>(count) / 16);
      std::vector<Value> items;
      items.reserve(static_cast<size_t>(count));
      for (Int i = 0, at = from; i < count; ++i, at += by) items.push_back(owner.list->items[static_cast<size_t>(at)]);
      return owner.is(Kind::kList) ? rt.list(std::move(items)) : rt.tuple(std::move(items));
    }
  }
}

}  // namespace watra::text::jinja
