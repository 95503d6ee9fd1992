// Tests, globals, and the table of all filters.
#include "text/jinja_builtins.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <unordered_map>

#include "text/jinja_strings.h"
#include "text/jinja_unicode.h"

namespace watra::text::jinja {

namespace {

// ---- tests ----

void no_arguments(Args& args) { const Bound a("test", args, {}, 0); }

template <bool (*kTest)(const Value&)>
bool simple(Runtime&, const Value& self, Args& args) {
  no_arguments(args);
  return kTest(self);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_not_defined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is(Kind::kNone); }
bool is_boolean(const Value& v) { return v.is(Kind::kBool); }
bool is_true(const Value& v) { return v.is(Kind::kBool) && v.b; }
bool is_false(const Value& v) { return v.is(Kind::kBool) && !v.b; }
bool is_integer(const Value& v) { return v.is(Kind::kInt); }
bool is_float(const Value& v) { return v.is(Kind::kFloat); }
bool is_string(const Value& v) { return v.is_str(); }
bool is_mapping(const Value& v) { return v.is(Kind::kDict); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_escaped(const Value& v) { return v.is_str() && v.markup; }
bool is_iterable_value(const Value& v) { return is_iterable(v); }
bool is_sequence(const Value& v) {
  return v.is_str() || v.is(Kind::kList) || v.is(Kind::kTuple) || v.is(Kind::kDict) || v.is(Kind::kRange) ||
         v.is_undefined();
}
bool is_callable(const Value& v) {
  return v.is(Kind::kMacro) || v.is(Kind::kFunction) || v.is(Kind::kMethod) || v.is(Kind::kLoop) ||
         v.is(Kind::kJoiner) || v.is_undefined();
}

bool remainder_is(Runtime& rt, const Value& self, const Value& by, Int wanted) {
  return equal(rt, binary(rt, BinaryOp::kMod, self, by), Value::of_int(wanted));
}

template <Int kRest>
bool test_parity(Runtime& rt, const Value& self, Args& args) {
  no_arguments(args);
  return remainder_is(rt, self, Value::of_int(2), kRest);
}

bool test_divisibleby(Runtime& rt, const Value& self, Args& args) {
  const Bound a("divisibleby", args, {"num"}, 1);
  return remainder_is(rt, self, a[0], 0);
}

template <bool kUpper>
bool test_case(Runtime& rt, const Value& self, Args& args) {
  no_arguments(args);
  Args none;
  return truthy(rt.call(get_attribute(rt, to_str(rt, self), kUpper ? "isupper" : "islower"), none));
}

bool test_filter(Runtime& rt, const Value& self, Args& args) {
  no_arguments(args);
  if (!is_hashable(self)) refuse_type(fmt::format("unhashable type: '{}'", type_name(self)));
  return self.is_str() && rt.is_filter(self.s.view());
}

bool test_test(Runtime& rt, const Value& self, Args& args) {
  no_arguments(args);
  if (!is_hashable(self)) refuse_type(fmt::format("unhashable type: '{}'", type_name(self)));
  return self.is_str() && rt.is_test(self.s.view());
}

bool test_sameas(Runtime&, const Value& self, Args& args) {
  const Bound a("sameas", args, {"other"}, 1);
  return same_object(self, a[0]);
}

bool test_in(Runtime& rt, const Value& self, Args& args) {
  const Bound a("in", args, {"seq"}, 1);
  return contains(rt, a[0], self);
}

template <bool kEqual>
bool test_equal(Runtime& rt, const Value& self, Args& args) {
  const Bound a("eq", args, {"other"}, 1, Bound::kPositionalOnly);
  return equal(rt, self, a[0]) == kEqual;
}

template <Order kOrder>
bool test_order(Runtime& rt, const Value& self, Args& args) {
  const Bound a("order", args, {"other"}, 1, Bound::kPositionalOnly);
  return in_order(rt, self, kOrder, a[0]);
}

const std::unordered_map<std::string_view, TestFn>& tests() {
  static const std::unordered_map<std::string_view, TestFn> table = {
      {"odd", test_parity<1>},
      {"even", test_parity<0>},
      {"divisibleby", test_divisibleby},
      {"defined", simple<is_defined>},
      {"undefined", simple<is_not_defined>},
      {"filter", test_filter},
      {"test", test_test},
      {"none", simple<is_none>},
      {"boolean", simple<is_boolean>},
      {"false", simple<is_false>},
      {"true", simple<is_true>},
      {"integer", simple<is_integer>},
      {"float", simple<is_float>},
      {"lower", test_case<false>},
      {"upper", test_case<true>},
      {"string", simple<is_string>},
      {"mapping", simple<is_mapping>},
      {"number", simple<is_number>},
      {"sequence", simple<is_sequence>},
      {"iterable", simple<is_iterable_value>},
      {"callable", simple<is_callable>},
      {"sameas", test_sameas},
      {"escaped", simple<is_escaped>},
      {"in", test_in},
      {"==", test_equal<true>},
      {"eq", test_equal<true>},
      {"equalto", test_equal<true>},
      {"!=", test_equal<false>},
      {"ne", test_equal<false>},
      {">", test_order<Order::kGreater>},
      {"gt", test_order<Order::kGreater>},
      {"greaterthan", test_order<Order::kGreater>},
      {">=", test_order<Order::kGreaterEqual>},
      {"ge", test_order<Order::kGreaterEqual>},
      {"<", test_order<Order::kLess>},
      {"lt", test_order<Order::kLess>},
      {"lessthan", test_order<Order::kLess>},
      {"<=", test_order<Order::kLessEqual>},
      {"le", test_order<Order::kLessEqual>},
  };
  return table;
}

// ---- globals ----

Value global_range(Runtime& rt, const Value&, Args& args) {
  constexpr uint64_t kMaxRange = 100'000;  // the sandbox's own
  const Bound a("range", args, {"start", "stop", "step"}, 1, Bound::kPositionalOnly);
  auto* r = rt.make<RangeObj>();
  r->start = a.has(1) ? require_index(a[0], "start") : 0;
  r->stop = require_index(a[a.has(1) ? 1 : 0], "stop");
  r->step = a.has(2) ? require_index(a[2], "step") : 1;
  if (r->step == 0) refuse_type("range() arg 3 must not be zero");
  const bool up = r->step > 0;
  if (up ? r->stop > r->start : r->stop < r->start) {
    const auto span = up ? static_cast<unsigned __int128>(r->stop) - static_cast<unsigned __int128>(r->start)
                         : static_cast<unsigned __int128>(r->start) - static_cast<unsigned __int128>(r->stop);
    const auto step = up ? static_cast<unsigned __int128>(r->step) : -static_cast<unsigned __int128>(r->step);
    const auto n = (span - 1) / step + 1;
    if (n > kMaxRange) refuse_limit(fmt::format("a range has more than {} items", kMaxRange));
    r->length = static_cast<uint64_t>(n);
  }
  return Value::object_of(Kind::kRange, r);
}

DictObj* dict_from(Runtime& rt, const char* name, Args& args) {
  auto* d = rt.make<DictObj>();
  if (args.pos.size() > 1) refuse_type(fmt::format("{} expected at most 1 argument, got {}", name, args.pos.size()));
  if (!args.pos.empty()) {
    if (args.pos[0].is(Kind::kDict)) {
      for (const auto& [key, value] : args.pos[0].dict->items) d->set(rt, key, value);
    } else {
      IteratorObj* it = iterate(rt, args.pos[0]);
      for (Value v; it->next(rt, v);) {
        const std::vector<Value> pair = to_vector(rt, v);
        if (pair.size() != 2) refuse_type("a dict is made of pairs");
        d->set(rt, pair[0], pair[1]);
      }
    }
  }
  for (const auto& [key, value] : args.kw) d->set(rt, rt.text(key), value);
  return d;
}

Value global_dict(Runtime& rt, const Value&, Args& args) { return Value::of(dict_from(rt, "dict", args)); }

Value global_namespace(Runtime& rt, const Value&, Args& args) {
  auto* ns = rt.make<NamespaceObj>();
  ns->attributes = dict_from(rt, "namespace", args);
  for (const auto& item : ns->attributes->items) {
    if (item.first.is_str() && item.first.s.view().starts_with("_")) {
      refuse_type("a namespace cannot store underscore-prefixed attributes");
    }
  }
  return Value::object_of(Kind::kNamespace, ns);
}

Value global_cycler(Runtime& rt, const Value&, Args& args) {
  if (!args.kw.empty()) refuse_type("cycler() takes no keyword arguments");
  if (args.pos.empty()) refuse_type("at least one item has to be provided");
  auto* c = rt.make<CyclerObj>();
  c->items = args.pos;
  return Value::object_of(Kind::kCycler, c);
}

Value global_joiner(Runtime& rt, const Value&, Args& args) {
  const Bound a("joiner", args, {"sep"}, 0);
  auto* j = rt.make<JoinerObj>();
  j->separator = a.has(0) ? a[0] : rt.text(", ");
  return Value::object_of(Kind::kJoiner, j);
}

Value global_lipsum(Runtime&, const Value&, Args&) {
  refuse_type("lipsum is not supported: the same conversation must give the same prompt");
}

Value global_raise_exception(Runtime& rt, const Value&, Args& args) {
  const Bound a("raise_exception", args, {"message"}, 1);
  Buffer message(&rt.meter);
  append_str(rt, message, a[0]);
  throw Refusal{"template.refused", message.bytes()};
}

Value global_strftime_now(Runtime& rt, const Value&, Args& args) {
  const Bound a("strftime_now", args, {"format"}, 1);
  if (!a[0].is_str()) refuse_type("strftime_now needs a format");
  const std::time_t now = static_cast<std::time_t>(
      rt.now_unix_seconds >= 0
          ? rt.now_unix_seconds
          : std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                .count());
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) refuse_type("the time cannot be told");
  Buffer& out = rt.make_buffer();
  const Str format = a[0].s;
  const std::string_view text = format.view();
  for (size_t pos = 0; pos < text.size();) {
    const size_t percent = std::min(text.find('%', pos), text.size());
    out.append(format.slice(pos, percent));
    if (percent == text.size()) break;
    // One directive: flags and a width as the C library knows them, then a letter.
    size_t end = percent + 1;
    while (end < text.size() && std::string_view("-_0^#EO").find(text[end]) != std::string_view::npos) ++end;
    if (end + 1 < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end + 1 < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end >= text.size()) {
      out.append(format.slice(percent, text.size()));
      break;
    }
    const std::string directive(text.substr(percent, end + 1 - percent));
    pos = end + 1;
    if (directive == "%f") {  // Python's own: microseconds
      out.append("000000", false);
    } else if (directive != "%z" && directive != "%Z") {  // a time without a zone has none
      char piece[256];
      out.append({piece, std::strftime(piece, sizeof piece, directive.c_str(), &local)}, format.content_at(percent));
    }
  }
  return rt.text(out);
}

constexpr NativeDef kGlobals[] = {
    {"range", global_range},
    {"dict", global_dict},
    {"lipsum", global_lipsum},
    {"cycler", global_cycler},
    {"joiner", global_joiner},
    {"namespace", global_namespace},
    {"raise_exception", global_raise_exception},
    {"strftime_now", global_strftime_now},
};

}  // namespace

NativeFn find_filter(std::string_view name) {
  static const std::unordered_map<std::string_view, NativeFn> table = [] {
    std::unordered_map<std::string_view, NativeFn> all;
    for (const FilterTable& t : {text_filters(), sequence_filters(), number_filters()}) {
      for (size_t i = 0; i < t.n; ++i) all.emplace(t.defs[i].name, t.defs[i].fn);
    }
    return all;
  }();
  const auto it = table.find(name);
  return it != table.end() ? it->second : nullptr;
}

TestFn find_test(std::string_view name) {
  const auto it = tests().find(name);
  return it != tests().end() ? it->second : nullptr;
}

const NativeDef* find_global(std::string_view name) {
  const auto* it =
      std::find_if(std::begin(kGlobals), std::end(kGlobals), [&](const NativeDef& d) { return d.name == name; });
  return it != std::end(kGlobals) ? it : nullptr;
}

}  // namespace watra::text::jinja
