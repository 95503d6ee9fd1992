// Filters over sequences and dicts. Those that jinja2 writes as generators are lazy here too: what nobody asks for is
// not computed and cannot fail.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/jinja_unicode.h"

namespace watra::text::jinja {
namespace {

// "a.b.0" as jinja2's attribute getters follow it.
class AttributePath {
 public:
  AttributePath(Runtime& rt, const Value& attribute) {
    if (attribute.missing() || attribute.is(Kind::kNone)) return;
    if (!attribute.is_str()) {
      parts_.push_back(attribute);
      return;
    }
    for (const Str& part : split_text(rt, attribute.s, ".", -1, false)) {
      bool digits = !part.empty();
      for (CharReader r(part); r.next();) digits = digits && is_digit(r.c());
      const auto number = digits ? parse_int(part.view(), 10) : std::nullopt;
      parts_.push_back(number ? Value::of_int(*number) : Value::of(part));
    }
  }

  Value follow(Runtime& rt, Value v, const Value& otherwise = {}) const {
    for (const Value& part : parts_) {
      v = get_item(rt, v, part);
      if (v.is_undefined() && !otherwise.missing() && !otherwise.is(Kind::kNone)) v = otherwise;
    }
    return v;
  }

 private:
  std::vector<Value> parts_;
};

Value ignoring_case(Runtime& rt, const Value& v, bool case_sensitive) {
  return v.is_str() && !case_sensitive ? Value::of(map_case(rt, v.s, CaseMapping::kLower)) : v;
}

struct Keyed {
  Value key, value;
};

void sort_keyed(Runtime& rt, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? in_order(rt, b.key, Order::kLess, a.key) : in_order(rt, a.key, Order::kLess, b.key);
  });
}

Value values_of(Runtime& rt, const std::vector<Keyed>& items) {
  std::vector<Value> out;
  out.reserve(items.size());
  for (const Keyed& k : items) out.push_back(k.value);
  return rt.list(std::move(out));
}

bool flag(const Bound& a, size_t i) { return a.has(i) && truthy(a[i]); }

Value filter_sort(Runtime& rt, const Value& self, Args& args) {
  const Bound a("sort", args, {"reverse", "case_sensitive", "attribute"}, 0);
  std::vector<AttributePath> paths;
  if (a.has(2) && a[2].is_str()) {
    for (const Str& part : split_text(rt, a[2].s, ",", -1, false)) paths.emplace_back(rt, Value::of(part));
  } else {
    paths.emplace_back(rt, a[2]);
  }
  std::vector<Keyed> items;
  for (const Value& v : to_vector(rt, self)) {
    std::vector<Value> key;
    for (const AttributePath& path : paths) key.push_back(ignoring_case(rt, path.follow(rt, v), flag(a, 1)));
    items.push_back({rt.list(std::move(key)), v});
  }
  sort_keyed(rt, items, flag(a, 0));
  return values_of(rt, items);
}

Value filter_dictsort(Runtime& rt, const Value& self, Args& args) {
  const Bound a("dictsort", args, {"case_sensitive", "by", "reverse"}, 0);
  const std::string_view by = a.has(1) ? (a[1].is_str() ? a[1].s.view() : "") : "key";
  if (by != "key" && by != "value") refuse_type("You can only sort by either \"key\" or \"value\"");
  require_defined(self);
  if (!self.is(Kind::kDict)) refuse_type(fmt::format("'{}' object has no items to sort", type_name(self)));
  std::vector<Keyed> items;
  for (const auto& [key, value] : self.dict->items) {
    items.push_back({ignoring_case(rt, by == "key" ? key : value, flag(a, 0)), rt.tuple({key, value})});
  }
  sort_keyed(rt, items, flag(a, 2));
  return values_of(rt, items);
}

Value filter_groupby(Runtime& rt, const Value& self, Args& args) {
  const Bound a("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(rt, a[0]);
  std::vector<Keyed> items;
  for (const Value& v : to_vector(rt, self)) {
    items.push_back({ignoring_case(rt, path.follow(rt, v, a[1]), flag(a, 2)), v});
  }
  sort_keyed(rt, items, false);
  std::vector<Value> groups;
  for (size_t i = 0; i < items.size();) {
    std::vector<Value> members;
    const size_t first = i;
    for (; i < items.size() && equal(rt, items[i].key, items[first].key); ++i) members.push_back(items[i].value);
    if (members.empty()) members.push_back(items[i++].value);  // a key that is not equal to itself
    Value group = rt.tuple({path.follow(rt, members[0], a[1]), rt.list(members)});
    if (flag(a, 2)) group.list->items[0] = items[first].key;
    group.is_group = true;
    groups.push_back(group);
  }
  return rt.list(std::move(groups));
}

Value filter_unique(Runtime& rt, const Value& self, Args& args) {
  const Bound a("unique", args, {"case_sensitive", "attribute"}, 0);
  auto path = std::make_shared<AttributePath>(rt, a[1]);
  auto* seen = rt.make<DictObj>();
  return rt.iterator(
      [&rt, self, path, seen, sensitive = flag(a, 0), it = static_cast<IteratorObj*>(nullptr)](Value& out) mutable {
        if (it == nullptr) it = iterate(rt, self);
        while (it->next(rt, out)) {
          const Value key = ignoring_case(rt, path->follow(rt, out), sensitive);
          if (seen->find(rt, key) != nullptr) continue;
          seen->set(rt, key, Value::none());
          return true;
        }
        return false;
      });
}

template <bool kMax>
Value filter_extreme(Runtime& rt, const Value& self, Args& args) {
  const Bound a(kMax ? "max" : "min", args, {"case_sensitive", "attribute"}, 0);
  IteratorObj* it = iterate(rt, self);
  Value best;
  if (!it->next(rt, best)) return rt.undefined("No aggregated item, sequence was empty.");
  const AttributePath path(rt, a[1]);
  Value best_key = ignoring_case(rt, path.follow(rt, best), flag(a, 0));
  for (Value v; it->next(rt, v);) {
    const Value key = ignoring_case(rt, path.follow(rt, v), flag(a, 0));
    if (!in_order(rt, key, kMax ? Order::kGreater : Order::kLess, best_key)) continue;
    best = v;
    best_key = key;
  }
  return best;
}

Value filter_sum(Runtime& rt, const Value& self, Args& args) {
  const Bound a("sum", args, {"attribute", "start"}, 0);
  const AttributePath path(rt, a[0]);
  Value total = a.get(1, Value::of_int(0));
  if (total.is_str()) refuse_type("sum() can't sum strings");
  IteratorObj* it = iterate(rt, self);
  for (Value v; it->next(rt, v);) total = binary(rt, BinaryOp::kAdd, total, path.follow(rt, v));
  return total;
}

Value filter_first(Runtime& rt, const Value& self, Args& args) {
  const Bound a("first", args, {}, 0);
  Value v;
  return iterate(rt, self)->next(rt, v) ? v : rt.undefined("No first item, sequence was empty.");
}

Value filter_last(Runtime& rt, const Value& self, Args& args) {
  const Bound a("last", args, {}, 0);
  if (self.is(Kind::kList) || self.is(Kind::kTuple)) {
    return self.list->items.empty() ? rt.undefined("No last item, sequence was empty.") : self.list->items.back();
  }
  const auto backwards = iterate_backwards(rt, self);
  if (!backwards) refuse_type(fmt::format("'{}' object is not reversible", type_name(self)));
  Value v;
  return backwards->iterator->next(rt, v) ? v : rt.undefined("No last item, sequence was empty.");
}

Value filter_length(Runtime& rt, const Value& self, Args& args) {
  const Bound a("length", args, {}, 0);
  const auto n = length_of(rt, self);
  if (!n) refuse_type(fmt::format("object of type '{}' has no len()", type_name(self)));
  return Value::of_int(static_cast<Int>(*n));
}

Value filter_list(Runtime& rt, const Value& self, Args& args) {
  const Bound a("list", args, {}, 0);
  return rt.list(to_vector(rt, self));
}

Value filter_reverse(Runtime& rt, const Value& self, Args& args) {
  const Bound a("reverse", args, {}, 0);
  if (self.is_str()) return get_slice(rt, self, {}, {}, Value::of_int(-1));
  if (const auto backwards = iterate_backwards(rt, self)) return *backwards;
  std::vector<Value> items = to_vector(rt, self);
  std::reverse(items.begin(), items.end());
  return rt.list(std::move(items));
}

Value filter_items(Runtime& rt, const Value& self, Args& args) {
  const Bound a("items", args, {}, 0);
  return rt.iterator([&rt, self, it = static_cast<IteratorObj*>(nullptr)](Value& out) mutable {
    if (self.is_undefined()) return false;
    if (!self.is(Kind::kDict)) refuse_type("Can only get item pairs from a mapping.");
    if (it == nullptr) it = iterate(rt, Value::view(self.dict, ViewOf::kItems));
    return it->next(rt, out);
  });
}

Value filter_batch(Runtime& rt, const Value& self, Args& args) {
  const Bound a("batch", args, {"linecount", "fill_with"}, 1);
  const Value n = a[0], fill = a.get(1, Value::none());
  return rt.iterator(
      [&rt, self, n, fill, it = static_cast<IteratorObj*>(nullptr), held = std::vector<Value>()](Value& out) mutable {
        if (it == nullptr) it = iterate(rt, self);
        for (Value v; it->next(rt, v);) {
          const bool full = equal(rt, Value::of_int(static_cast<Int>(held.size())), n);
          if (full) out = rt.list(std::exchange(held, {}));
          held.push_back(v);
          if (full) return true;
        }
        if (held.empty()) return false;
        if (!fill.is(Kind::kNone) && in_order(rt, Value::of_int(static_cast<Int>(held.size())), Order::kLess, n)) {
          const Int more = require_index(n, "linecount") - static_cast<Int>(held.size());
          rt.meter.take(static_cast<uint64_t>(std::min<Int>(more, Int{1} << 40)) * sizeof(Value));
          held.resize(held.size() + static_cast<size_t>(more), fill);
        }
        out = rt.list(std::exchange(held, {}));
        return true;
      });
}

Value filter_slice(Runtime& rt, const Value& self, Args& args) {
  const Bound a("slice", args, {"slices", "fill_with"}, 1);
  const Value slices = a[0], fill = a.get(1, Value::none());
  struct State {
    std::vector<Value> items;
    Int number = 0, offset = 0;
    bool started = false;
  };
  return rt.iterator([&rt, self, slices, fill, state = State{}](Value& out) mutable {
    const Int n = require_index(slices, "slices");
    if (!state.started) state.items = to_vector(rt, self);
    state.started = true;
    if (n == 0) refuse_type("integer division or modulo by zero");
    const Int size = static_cast<Int>(state.items.size());
    if (state.number >= n) return false;
    const Int per_slice = size / n, with_extra = size % n;
    const Int start = state.offset + state.number * per_slice;
    if (state.number < with_extra) ++state.offset;
    const Int end = state.offset + (state.number + 1) * per_slice;
    std::vector<Value> part(state.items.begin() + static_cast<ptrdiff_t>(start),
                            state.items.begin() + static_cast<ptrdiff_t>(end));
    if (!fill.is(Kind::kNone) && state.number >= with_extra) part.push_back(fill);
    ++state.number;
    out = rt.list(std::move(part));
    return true;
  });
}

Value filter_map(Runtime& rt, const Value& self, Args& args) {
  struct State {
    IteratorObj* it = nullptr;
    std::shared_ptr<AttributePath> path;
    Value otherwise, name;
    Args given;
  };
  State state;
  state.given = args;
  return rt.iterator([&rt, self, state](Value& out) mutable {
    if (state.it == nullptr) {
      if (!truthy(self)) return false;
      Args& given = state.given;
      if (given.pos.empty()) {
        Value attribute;
        for (const auto& [key, value] : given.kw) {
          if (key == "attribute") attribute = value;
          if (key == "default") state.otherwise = value;
        }
        if (attribute.missing()) refuse_type("map requires a filter argument");
        for (const auto& k : given.kw) {
          if (k.first != "attribute" && k.first != "default")
            refuse_type(fmt::format("Unexpected keyword argument '{}'", k.first));
        }
        state.path = std::make_shared<AttributePath>(rt, attribute);
      } else {
        state.name = given.pos[0];
        given.pos.erase(given.pos.begin());
      }
      state.it = iterate(rt, self);
    }
    Value v;
    if (!state.it->next(rt, v)) return false;
    if (state.path) {
      out = state.path->follow(rt, v, state.otherwise);
    } else {
      if (!state.name.is_str()) refuse_type("map requires the name of a filter");
      Args copy = state.given;
      out = rt.call_filter(state.name.s.view(), v, copy);
    }
    return true;
  });
}

template <bool kWanted, bool kAttribute>
Value filter_select(Runtime& rt, const Value& self, Args& args) {
  struct State {
    IteratorObj* it = nullptr;
    std::shared_ptr<AttributePath> path;
    Value test;
    Args given;
  };
  State state;
  state.given = args;
  return rt.iterator([&rt, self, state](Value& out) mutable {
    if (state.it == nullptr) {
      if (!truthy(self)) return false;
      auto& pos = state.given.pos;
      if (kAttribute) {
        if (pos.empty()) refuse_type("Missing parameter for attribute name");
        state.path = std::make_shared<AttributePath>(rt, pos[0]);
        pos.erase(pos.begin());
      }
      if (!pos.empty()) {
        state.test = pos[0];
        pos.erase(pos.begin());
      }
      state.it = iterate(rt, self);
    }
    while (state.it->next(rt, out)) {
      const Value subject = state.path ? state.path->follow(rt, out) : out;
      bool selected = false;
      if (state.test.missing()) {
        selected = truthy(subject);
      } else {
        if (!state.test.is_str()) refuse_type("the name of a test must be a string");
        Args copy = state.given;
        selected = rt.call_test(state.test.s.view(), subject, copy);
      }
      if (selected == kWanted) return true;
    }
    return false;
  });
}

Value filter_default(Runtime& rt, const Value& self, Args& args) {
  const Bound a("default", args, {"default_value", "boolean"}, 0);
  if (self.is_undefined() || (flag(a, 1) && !truthy(self))) return a.has(0) ? a[0] : rt.text("");
  return self;
}

Value filter_attr(Runtime& rt, const Value& self, Args& args) {
  const Bound a("attr", args, {"name"}, 1);
  require_defined(self);
  if (!a[0].is_str()) refuse_type("attribute name must be string");
  const std::string_view name = a[0].s.view();
  if (is_blocked_method(self, name) || !self.is(Kind::kDict)) return get_attribute(rt, self, name);
  const Value found = find_attribute(rt, self, name);
  return found.missing() ? rt.undefined_attribute(self, name) : found;
}

Value filter_random(Runtime&, const Value&, Args&) {
  refuse_type("random is not supported: the same conversation must give the same prompt");
}

constexpr FilterDef kDefs[] = {
    {"attr", filter_attr},
    {"batch", filter_batch},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"groupby", filter_groupby},
    {"items", filter_items},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map", filter_map},
    {"max", filter_extreme<true>},
    {"min", filter_extreme<false>},
    {"random", filter_random},
    {"reject", filter_select<false, false>},
    {"rejectattr", filter_select<false, true>},
    {"reverse", filter_reverse},
    {"select", filter_select<true, false>},
    {"selectattr", filter_select<true, true>},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"sum", filter_sum},
    {"unique", filter_unique},
};

}  // namespace

FilterTable sequence_filters() { return {kDefs, std::size(kDefs)}; }

}  // namespace watra::text::jinja
