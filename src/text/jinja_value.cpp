#include "text/jinja_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace watra::text::jinja {

namespace {
constexpr size_t kIndexAbove = 8;  // a dict this small is searched faster than hashed

size_t hash_text(std::string_view s) { return std::hash<std::string_view>{}(s); }
size_t hash_int(Int v) { return std::hash<uint64_t>{}(static_cast<uint64_t>(v) ^ static_cast<uint64_t>(v >> 64)); }
}  // namespace

Value Value::object_of(Kind kind, Object* v) {
  Value r = of(kind);
  switch (kind) {  // each pointer through its own type: Object is their base, not their layout
    case Kind::kUndefined:
      r.undefined = static_cast<UndefinedObj*>(v);
      break;
    case Kind::kRange:
      r.range = static_cast<RangeObj*>(v);
      break;
    case Kind::kIterator:
      r.iterator = static_cast<IteratorObj*>(v);
      break;
    case Kind::kNamespace:
      r.ns = static_cast<NamespaceObj*>(v);
      break;
    case Kind::kMethod:
      r.method = static_cast<MethodObj*>(v);
      break;
    case Kind::kCycler:
      r.cycler = static_cast<CyclerObj*>(v);
      break;
    case Kind::kJoiner:
      r.joiner = static_cast<JoinerObj*>(v);
      break;
    default:
      r.object = v;
      break;
  }
  return r;
}

std::string UndefinedObj::message() const {
  if (!hint.empty()) return hint;
  if (owner == nullptr) return fmt::format("'{}' is undefined", name);
  if (is_element) return fmt::format("{} object has no element {}", owner, name);
  return fmt::format("'{} object' has no attribute '{}'", owner, name);
}

void refuse_use(const Value& v) { refuse_undefined(v.undefined->message()); }

void require_defined(const Value& v) {
  if (v.is_undefined()) refuse_use(v);
}

// ---- Runtime ----

Value Runtime::text(std::string_view bytes, bool content) {
  Buffer& b = make_buffer();
  b.append(bytes, content);
  b.seal();
  return Value::of(b.str());
}

Value Runtime::list(std::vector<Value> items) {
  meter.take(items.capacity() * sizeof(Value));
  auto* l = make<ListObj>();
  l->items = std::move(items);
  return Value::of(l);
}

Value Runtime::tuple(std::vector<Value> items) {
  Value v = list(std::move(items));
  v.kind = Kind::kTuple;
  return v;
}

Value Runtime::iterator(std::function<bool(Value&)> step) {
  auto* it = make<IteratorObj>();
  it->step = std::move(step);
  return Value::object_of(Kind::kIterator, it);
}

Value Runtime::undefined(std::string hint) {
  auto* u = make<UndefinedObj>();
  u->hint = std::move(hint);
  return Value::object_of(Kind::kUndefined, u);
}

Value Runtime::undefined_attribute(const Value& owner, std::string_view name) {
  auto* u = make<UndefinedObj>();
  u->owner = type_name(owner);
  u->name = name;
  return Value::object_of(Kind::kUndefined, u);
}

Value Runtime::method(const Value& self, const NativeDef* def) {
  auto* m = make<MethodObj>();
  m->self = self;
  m->def = def;
  return Value::object_of(Kind::kMethod, m);
}

// ---- arguments ----

Bound::Bound(const char* function, Args& args, std::initializer_list<const char*> names, size_t n_required,
             Style style) {
  if (args.pos.size() > names.size()) {
    refuse_type(fmt::format("{}() takes at most {} arguments, {} given", function, names.size(), args.pos.size()));
  }
  std::copy(args.pos.begin(), args.pos.end(), values_.begin());
  for (auto& [key, value] : args.kw) {
    const auto* it = std::find_if(names.begin(), names.end(), [&](const char* n) { return key == n; });
    if (style == kPositionalOnly || it == names.end()) {
      refuse_type(fmt::format("{}() takes no keyword argument '{}'", function, key));
    }
    Value& slot = values_[static_cast<size_t>(it - names.begin())];
    if (!slot.missing()) refuse_type(fmt::format("{}() got two values for argument '{}'", function, key));
    slot = value;
  }
  for (size_t i = 0; i < n_required; ++i) {
    if (values_[i].missing()) refuse_type(fmt::format("{}() lacks its argument '{}'", function, names.begin()[i]));
  }
}

// ---- dicts ----

size_t DictObj::position(Runtime* rt, const Value* key, std::string_view text, size_t hash) const {
  const auto same = [&](const Value& candidate) {
    if (key == nullptr) return candidate.is_str() && candidate.s.view() == text;
    return equal(*rt, candidate, *key);
  };
  if (items.size() <= kIndexAbove) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (same(items[i].first)) return i;
    }
    return items.size();
  }
  for (auto [it, last] = index_.equal_range(hash); it != last; ++it) {
    if (same(items[it->second].first)) return it->second;
  }
  return items.size();
}

const Value* DictObj::find(Runtime& rt, const Value& key) const {
  if (key.is_str()) return find(key.s.view());
  const size_t hash = hash_value(rt, key);  // refuses the unhashable, also when the dict is small
  const size_t at = position(&rt, &key, {}, hash);
  return at < items.size() ? &items[at].second : nullptr;
}

const Value* DictObj::find(std::string_view key) const {
  const size_t at = position(nullptr, nullptr, key, items.size() > kIndexAbove ? hash_text(key) : 0);
  return at < items.size() ? &items[at].second : nullptr;
}

void DictObj::set(Runtime& rt, const Value& key, const Value& value) {
  const size_t hash = hash_value(rt, key);
  const size_t at = position(&rt, &key, {}, hash);
  if (at < items.size()) {
    items[at].second = value;
    return;
  }
  rt.meter.take(2 * sizeof(items[0]) + 32);
  items.emplace_back(key, value);
  if (items.size() == kIndexAbove + 1) {
    for (size_t i = 0; i < items.size(); ++i) {
      index_.emplace(hash_value(rt, items[i].first), static_cast<uint32_t>(i));
    }
  } else if (items.size() > kIndexAbove) {
    index_.emplace(hash, static_cast<uint32_t>(items.size() - 1));
  }
}

// ---- general questions ----

const char* type_name(const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
      return "missing";
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kStr:
      return v.markup ? "Markup" : "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kView:
      return v.view_of == ViewOf::kKeys ? "dict_keys" : v.view_of == ViewOf::kValues ? "dict_values" : "dict_items";
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
      return "generator";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
    case Kind::kMethod:
      return "method";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
  }
  return "?";
}

bool truthy(const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return v.b;
    case Kind::kInt:
      return v.as_int() != 0;
    case Kind::kFloat:
      return v.f != 0;
    case Kind::kStr:
      return !v.s.empty();
    case Kind::kList:
    case Kind::kTuple:
      return !v.list->items.empty();
    case Kind::kDict:
    case Kind::kView:
      return !v.dict->items.empty();
    case Kind::kRange:
      return v.range->length != 0;
    default:
      return true;
  }
}

namespace {

int compare_numbers(const Value& a, const Value& b, bool& unordered) {  // exact, also between int and float
  unordered = false;
  if (a.is_int() && b.is_int()) {
    const Int x = a.as_int(), y = b.as_int();
    return x < y ? -1 : x > y;
  }
  if (a.is(Kind::kFloat) && b.is(Kind::kFloat)) {
    unordered = std::isnan(a.f) || std::isnan(b.f);
    return a.f < b.f ? -1 : a.f > b.f;
  }
  if (a.is(Kind::kFloat)) return -compare_numbers(b, a, unordered);
  if (std::isnan(b.f)) {
    unordered = true;
    return 0;
  }
  if (b.f >= 0x1p126) return -1;
  if (b.f <= -0x1p126) return 1;
  const Int x = a.as_int(), whole = static_cast<Int>(b.f);
  if (x != whole) return x < whole ? -1 : 1;
  const double rest = b.f - static_cast<double>(whole);
  return rest > 0 ? -1 : rest < 0;
}

bool equal_items(Runtime& rt, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(rt, a[i], b[i])) return false;
  }
  return true;
}

}  // namespace

bool same_object(const Value& a, const Value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
      return a.b == b.b;
    case Kind::kInt:
      return a.as_int() == b.as_int() && a.as_int() >= -5 && a.as_int() <= 256;  // CPython keeps these once
    case Kind::kFloat:
      return false;
    case Kind::kStr:
      return a.s.view() == b.s.view() && a.markup == b.markup && !a.markup;
    case Kind::kView:
      return false;
    case Kind::kFunction:
      return a.function == b.function;
    case Kind::kMethod:
      return false;
    default:
      return a.object == b.object;
  }
}

bool equal(Runtime& rt, const Value& a, const Value& b) {
  rt.meter.tick();
  if (a.is_number() && b.is_number()) {
    bool unordered = false;
    const int c = compare_numbers(a, b, unordered);
    return c == 0 && !unordered;
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kStr:
      return a.s.view() == b.s.view();
    case Kind::kList:
    case Kind::kTuple:
      rt.meter.check_stack();
      return a.list == b.list || equal_items(rt, a.list->items, b.list->items);
    case Kind::kDict:
      rt.meter.check_stack();
      if (a.dict == b.dict) return true;
      if (a.dict->items.size() != b.dict->items.size()) return false;
      return std::all_of(a.dict->items.begin(), a.dict->items.end(), [&](const auto& item) {
        const Value* other = b.dict->find(rt, item.first);
        return other != nullptr && equal(rt, item.second, *other);
      });
    case Kind::kView: {
      if (a.view_of == ViewOf::kValues || b.view_of == ViewOf::kValues) return false;  // compared by identity
      const std::vector<Value> items = to_vector(rt, a);
      return items.size() == b.dict->items.size() &&
             std::all_of(items.begin(), items.end(), [&](const Value& item) { return contains(rt, b, item); });
    }
    case Kind::kRange:
      return a.range->length == b.range->length &&
             (a.range->length == 0 ||
              (a.range->start == b.range->start && (a.range->length == 1 || a.range->step == b.range->step)));
    case Kind::kFunction:
      return a.function == b.function;
    case Kind::kMethod:
      return a.method->def == b.method->def && same_object(a.method->self, b.method->self);
    default:
      return a.object == b.object;
  }
}

bool is_hashable(const Value& v) {
  switch (v.kind) {
    case Kind::kList:
    case Kind::kDict:
      return false;
    case Kind::kView:
      return v.view_of == ViewOf::kValues;
    case Kind::kTuple:
      return std::all_of(v.list->items.begin(), v.list->items.end(), is_hashable);
    default:
      return true;
  }
}

size_t hash_value(Runtime& rt, const Value& v) {
  switch (v.kind) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return 1;
    case Kind::kNone:
      return 2;
    case Kind::kBool:
    case Kind::kInt:
      return hash_int(v.as_int());
    case Kind::kFloat:
      if (std::fabs(v.f) < 0x1p126 && v.f == std::trunc(v.f)) return hash_int(static_cast<Int>(v.f));
      return std::hash<double>{}(v.f);
    case Kind::kStr:
      return hash_text(v.s.view());
    case Kind::kTuple: {
      rt.meter.check_stack();
      size_t h = 0x9E3779B97F4A7C15u;
      for (const Value& item : v.list->items) {
        rt.meter.tick();
        h = (h ^ hash_value(rt, item)) * 0x100000001B3u;
      }
      return h;
    }
    case Kind::kRange:
      return hash_int(static_cast<Int>(v.range->length));
    case Kind::kFunction:
      return std::hash<const void*>{}(v.function);
    case Kind::kMethod:
      return std::hash<const void*>{}(v.method->def);
    case Kind::kView:
      if (v.view_of == ViewOf::kValues) return std::hash<const void*>{}(v.dict);
      [[fallthrough]];
    case Kind::kList:
    case Kind::kDict:
      refuse_type(fmt::format("unhashable type: '{}'", type_name(v)));
    default:
      return std::hash<const void*>{}(v.object);
  }
}

bool in_order(Runtime& rt, const Value& a, Order op, const Value& b) {
  rt.meter.tick();
  const auto decide = [op](int c) {
    switch (op) {
      case Order::kLess:
        return c < 0;
      case Order::kLessEqual:
        return c <= 0;
      case Order::kGreater:
        return c > 0;
      case Order::kGreaterEqual:
        return c >= 0;
    }
    return false;
  };
  require_defined(a);
  require_defined(b);
  if (a.is_number() && b.is_number()) {
    bool unordered = false;
    const int c = compare_numbers(a, b, unordered);
    return !unordered && decide(c);
  }
  if (a.is_str() && b.is_str()) {
    const int c = a.s.view().compare(b.s.view());  // the order of UTF-8 bytes is the order of code points
    return decide(c);
  }
  if (a.kind == b.kind && (a.is(Kind::kList) || a.is(Kind::kTuple))) {
    rt.meter.check_stack();
    const auto &x = a.list->items, &y = b.list->items;
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(rt, x[i], y[i])) return in_order(rt, x[i], op, y[i]);
    }
    return decide(x.size() < y.size() ? -1 : x.size() > y.size());
  }
  if (a.is(Kind::kView) && b.is(Kind::kView) && a.view_of != ViewOf::kValues && b.view_of != ViewOf::kValues) {
    // Set inclusion.
    const Value &small = op == Order::kLess || op == Order::kLessEqual ? a : b, &large = &small == &a ? b : a;
    const bool strict = op == Order::kLess || op == Order::kGreater;
    if (strict ? small.dict->items.size() >= large.dict->items.size()
               : small.dict->items.size() > large.dict->items.size()) {
      return false;
    }
    const std::vector<Value> items = to_vector(rt, small);
    return std::all_of(items.begin(), items.end(), [&](const Value& item) { return contains(rt, large, item); });
  }
  refuse_type(fmt::format("'{}' and '{}' have no order", type_name(a), type_name(b)));
}

bool contains(Runtime& rt, const Value& container, const Value& item) {
  rt.meter.tick();
  switch (container.kind) {
    case Kind::kStr:
      if (!item.is_str()) {
        refuse_type(fmt::format("'in <string>' needs a string on its left, not {}", type_name(item)));
      }
      rt.meter.tick(container.s.size_bytes() / 1024);
      return container.s.view().find(item.s.view()) != std::string_view::npos;
    case Kind::kDict:
      return container.dict->find(rt, item) != nullptr;
    case Kind::kView:
      if (container.view_of == ViewOf::kKeys) return container.dict->find(rt, item) != nullptr;
      if (container.view_of == ViewOf::kItems) {
        if (!item.is(Kind::kTuple) || item.list->items.size() != 2) return false;
        const Value* value = container.dict->find(rt, item.list->items[0]);
        return value != nullptr && equal(rt, *value, item.list->items[1]);
      }
      break;
    default:
      break;
  }
  if (!is_iterable(container)) refuse_type(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  IteratorObj* it = iterate(rt, container);
  for (Value v; it->next(rt, v);) {
    if (equal(rt, v, item)) return true;
  }
  return false;
}

}  // namespace watra::text::jinja
