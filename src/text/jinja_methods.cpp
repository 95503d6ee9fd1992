// Attributes and methods of everything that is no string. Methods that would change a list or dict are out of reach.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "text/jinja_value.h"

namespace watra::text::jinja {
namespace {

// ---- dict ----

Value dict_get(Runtime& rt, const Value& self, Args& args) {
  const Bound a("get", args, {"key", "default"}, 1, Bound::kPositionalOnly);
  const Value* found = self.dict->find(rt, a[0]);
  return found != nullptr ? *found : a.get(1, Value::none());
}

template <ViewOf kWhat>
Value dict_view(Runtime&, const Value& self, Args& args) {
  const Bound a("items", args, {}, 0);
  return Value::view(self.dict, kWhat);
}

Value copy_self(Runtime&, const Value& self, Args& args) {
  const Bound a("copy", args, {}, 0);
  return self;  // it cannot change, so it can stand for its copy
}

Value dict_fromkeys(Runtime& rt, const Value&, Args& args) {
  const Bound a("fromkeys", args, {"iterable", "value"}, 1, Bound::kPositionalOnly);
  auto* d = rt.make<DictObj>();
  IteratorObj* it = iterate(rt, a[0]);
  for (Value key; it->next(rt, key);) d->set(rt, key, a.get(1, Value::none()));
  return Value::of(d);
}

constexpr NativeDef kDictMethods[] = {
    {"copy", copy_self},
    {"fromkeys", dict_fromkeys},
    {"get", dict_get},
    {"items", dict_view<ViewOf::kItems>},
    {"keys", dict_view<ViewOf::kKeys>},
    {"values", dict_view<ViewOf::kValues>},
};
constexpr const char* kDictBlocked[] = {"clear", "pop", "popitem", "setdefault", "update"};

// ---- list, tuple, range ----

Value sequence_count(Runtime& rt, const Value& self, Args& args) {
  const Bound a("count", args, {"value"}, 1, Bound::kPositionalOnly);
  Int n = 0;
  IteratorObj* it = iterate(rt, self);
  for (Value v; it->next(rt, v);) n += equal(rt, v, a[0]);
  return Value::of_int(n);
}

Value sequence_index(Runtime& rt, const Value& self, Args& args) {
  const Bound a("index", args, {"value", "start", "stop"}, 1, Bound::kPositionalOnly);
  const Int n = static_cast<Int>(*length_of(rt, self));
  const auto place = [&](size_t i, Int otherwise) {
    if (!a.has(i)) return otherwise;
    const Int v = require_index(a[i], "a position");
    return v < 0 ? std::max<Int>(v + n, 0) : v;
  };
  const Int from = place(1, 0), to = place(2, n);
  IteratorObj* it = iterate(rt, self);
  Int i = 0;
  for (Value v; it->next(rt, v); ++i) {
    if (i >= from && i < to && equal(rt, v, a[0])) return Value::of_int(i);
  }
  refuse_type("the value is not in the sequence");
}

constexpr NativeDef kListMethods[] = {{"copy", copy_self}, {"count", sequence_count}, {"index", sequence_index}};
constexpr NativeDef kTupleMethods[] = {{"count", sequence_count}, {"index", sequence_index}};
constexpr const char* kListBlocked[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};

// ---- numbers ----

Value int_bit_length(Runtime&, const Value& self, Args& args) {
  const Bound a("bit_length", args, {}, 0);
  Int n = 0;
  for (Int v = self.as_int(); v != 0; v /= 2) ++n;
  return Value::of_int(n);
}

Value number_conjugate(Runtime& rt, const Value& self, Args& args) {
  const Bound a("conjugate", args, {}, 0);
  return positive(rt, self);
}

Value float_is_integer(Runtime&, const Value& self, Args& args) {
  const Bound a("is_integer", args, {}, 0);
  return Value::of(self.f - self.f == 0 && self.f == static_cast<double>(static_cast<long double>(self.f)) &&
                   __builtin_trunc(self.f) == self.f);
}

constexpr NativeDef kIntMethods[] = {{"bit_length", int_bit_length}, {"conjugate", number_conjugate}};
constexpr NativeDef kFloatMethods[] = {{"conjugate", number_conjugate}, {"is_integer", float_is_integer}};

// ---- cycler ----

Value cycler_next(Runtime&, const Value& self, Args& args) {
  const Bound a("next", args, {}, 0);
  CyclerObj& c = *self.cycler;
  const Value current = c.items[c.pos];
  c.pos = (c.pos + 1) % c.items.size();
  return current;
}

Value cycler_reset(Runtime&, const Value& self, Args& args) {
  const Bound a("reset", args, {}, 0);
  self.cycler->pos = 0;
  return Value::none();
}

constexpr NativeDef kCyclerMethods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

constexpr NativeDef kFromKeys = {"fromkeys", dict_fromkeys};

template <size_t N>
Value among(Runtime& rt, const Value& owner, const NativeDef (&defs)[N], std::string_view name) {
  for (const NativeDef& d : defs) {
    if (d.name == name) return rt.method(owner, &d);
  }
  return {};
}

template <size_t N>
bool named(const char* const (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

bool is_blocked_method(const Value& owner, std::string_view name) {
  if (owner.is(Kind::kDict)) return named(kDictBlocked, name);
  if (owner.is(Kind::kList)) return named(kListBlocked, name);
  return false;
}

Value find_attribute(Runtime& rt, const Value& owner, std::string_view name) {
  switch (owner.kind) {
    case Kind::kDict:
      return among(rt, owner, kDictMethods, name);
    case Kind::kList:
      return among(rt, owner, kListMethods, name);
    case Kind::kTuple:
      if (owner.is_group && name == "grouper") return owner.list->items[0];
      if (owner.is_group && name == "list") return owner.list->items[1];
      return among(rt, owner, kTupleMethods, name);
    case Kind::kRange:
      if (name == "start") return Value::of_int(owner.range->start);
      if (name == "stop") return Value::of_int(owner.range->stop);
      if (name == "step") return Value::of_int(owner.range->step);
      return among(rt, owner, kTupleMethods, name);
    case Kind::kBool:
    case Kind::kInt:
      if (name == "real" || name == "numerator") return Value::of_int(owner.as_int());
      if (name == "imag") return Value::of_int(0);
      if (name == "denominator") return Value::of_int(1);
      return among(rt, owner, kIntMethods, name);
    case Kind::kFloat:
      if (name == "real") return owner;
      if (name == "imag") return Value::of(0.0);
      return among(rt, owner, kFloatMethods, name);
    case Kind::kNamespace:
      if (const Value* v = owner.ns->attributes->find(name)) return *v;
      return {};
    case Kind::kCycler:
      if (name == "current") return owner.cycler->items[owner.cycler->pos];
      if (name == "pos") return Value::of_int(static_cast<Int>(owner.cycler->pos));
      if (name == "items") return rt.tuple(owner.cycler->items);
      return among(rt, owner, kCyclerMethods, name);
    case Kind::kJoiner:
      if (name == "sep") return owner.joiner->separator;
      if (name == "used") return Value::of(owner.joiner->used);
      return {};
    case Kind::kFunction:
      if (name == "fromkeys" && std::string_view(owner.function->name) == "dict") return rt.method(owner, &kFromKeys);
      return {};
    case Kind::kLoop:
    case Kind::kMacro:
      return rt.inner_attribute(owner, name);
    default:
      return {};
  }
}

}  // namespace watra::text::jinja
