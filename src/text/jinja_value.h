// The values a template computes with: Python's, as far as chat templates need them.
//
// A Value is 24 bytes, copied freely; what it points to belongs to the Runtime of the render and lives until the render
// ends (so cycles through namespaces and macros need no care). Lists and dicts never change once made, as in the
// immutable sandbox. Integers have 128 bits; a result that needs more is refused, never wrong.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja_text.h"

namespace watra::text::jinja {

using Int = __int128;

enum class Kind : uint8_t {
  kMissing,  // no value at all: an unset variable, an argument not given
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kStr,
  kList,
  kTuple,
  kDict,
  kView,  // dict.keys(), .values(), .items()
  kRange,
  kIterator,
  kNamespace,
  kMacro,
  kFunction,
  kMethod,
  kLoop,
  kCycler,
  kJoiner,
};

class Runtime;
struct Value;
struct Args;
using NativeFn = Value (*)(Runtime&, const Value& self, Args&);  // self is Missing for functions

struct NativeDef {
  const char* name;
  NativeFn fn;
};

struct Object {
  virtual ~Object() = default;
};
struct UndefinedObj;
struct ListObj;
struct DictObj;
struct RangeObj;
struct IteratorObj;
struct NamespaceObj;
struct MacroObj;
struct MethodObj;
struct LoopObj;
struct CyclerObj;
struct JoinerObj;

enum class ViewOf : uint8_t { kKeys, kValues, kItems };

struct Value {
  Kind kind = Kind::kMissing;
  bool markup = false;    // Str: HTML-safe (markupsafe.Markup)
  bool is_group = false;  // Tuple: (grouper, list) of groupby
  ViewOf view_of = ViewOf::kKeys;
  union {
    bool b;
    double f;
    struct {
      uint64_t lo;
      int64_t hi;
    } i;
    Str s;
    UndefinedObj* undefined;
    ListObj* list;  // List and Tuple
    DictObj* dict;  // Dict and View
    RangeObj* range;
    IteratorObj* iterator;
    NamespaceObj* ns;
    MacroObj* macro;
    const NativeDef* function;
    MethodObj* method;
    LoopObj* loop;
    CyclerObj* cycler;
    JoinerObj* joiner;
    Object* object;
  };

  Value() : i{0, 0} {}
  static Value none() { return of(Kind::kNone); }
  static Value of(bool v) {
    Value r = of(Kind::kBool);
    r.b = v;
    return r;
  }
  static Value of(double v) {
    Value r = of(Kind::kFloat);
    r.f = v;
    return r;
  }
  static Value of_int(Int v) {
    Value r = of(Kind::kInt);
    r.i = {static_cast<uint64_t>(v), static_cast<int64_t>(v >> 64)};
    return r;
  }
  static Value of(const Str& s, bool is_markup = false) {
    Value r = of(Kind::kStr);
    r.s = s;
    r.markup = is_markup;
    return r;
  }
  static Value of(ListObj* v) {
    Value r = of(Kind::kList);
    r.list = v;
    return r;
  }
  static Value tuple(ListObj* v) {
    Value r = of(Kind::kTuple);
    r.list = v;
    return r;
  }
  static Value of(DictObj* v) {
    Value r = of(Kind::kDict);
    r.dict = v;
    return r;
  }
  static Value view(DictObj* v, ViewOf what) {
    Value r = of(Kind::kView);
    r.dict = v;
    r.view_of = what;
    return r;
  }
  static Value of(const NativeDef* v) {
    Value r = of(Kind::kFunction);
    r.function = v;
    return r;
  }
  static Value object_of(Kind kind, Object* v);

  bool is(Kind k) const { return kind == k; }
  bool missing() const { return kind == Kind::kMissing; }
  bool is_undefined() const { return kind == Kind::kUndefined; }
  bool is_str() const { return kind == Kind::kStr; }
  bool is_number() const { return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kFloat; }
  bool is_int() const { return kind == Kind::kBool || kind == Kind::kInt; }  // as isinstance(v, int)
  Int as_int() const { return kind == Kind::kBool ? Int(b) : static_cast<Int>(i.hi) << 64 | static_cast<Int>(i.lo); }

 private:
  static Value of(Kind k) {
    Value r;
    r.kind = k;
    return r;
  }
};

struct UndefinedObj : Object {
  std::string hint;
  const char* owner = nullptr;  // what lacks the attribute; null = a variable
  std::string name;
  bool is_element = false;  // the name is an index's repr
  std::string message() const;
};

struct ListObj : Object {
  std::vector<Value> items;
};

struct DictObj : Object {
  std::vector<std::pair<Value, Value>> items;              // in order of insertion
  const Value* find(Runtime& rt, const Value& key) const;  // refuses an unhashable key
  const Value* find(std::string_view key) const;
  void set(Runtime& rt, const Value& key, const Value& value);

 private:
  size_t position(Runtime* rt, const Value* key, std::string_view text, size_t hash) const;
  std::unordered_multimap<size_t, uint32_t> index_;  // used above a few entries
};

struct RangeObj : Object {
  Int start = 0, stop = 0, step = 1;
  uint64_t length = 0;
  // i < length. The item fits where the way to it from `start` may not.
  Int at(uint64_t i) const {
    using Wide = unsigned __int128;
    return static_cast<Int>(static_cast<Wide>(start) + i * static_cast<Wide>(step));
  }
};

struct IteratorObj : Object {
  std::function<bool(Value&)> step;  // false at the end
  bool next(Runtime& rt, Value& out);
  bool done = false;
};

struct NamespaceObj : Object {
  DictObj* attributes = nullptr;
};

struct MethodObj : Object {
  Value self;
  const NativeDef* def = nullptr;
};

struct CyclerObj : Object {
  std::vector<Value> items;
  size_t pos = 0;
};

struct JoinerObj : Object {
  Value separator;
  bool used = false;
};

// Arguments of a call.
struct Args {
  std::vector<Value> pos;
  std::vector<std::pair<std::string, Value>> kw;
};

// Arguments matched to parameter names as Python does it; refuses what does not fit. Missing where nothing was given.
class Bound {
 public:
  enum Style { kAny, kPositionalOnly };
  Bound(const char* function, Args& args, std::initializer_list<const char*> names, size_t n_required,
        Style style = kAny);
  const Value& operator[](size_t i) const { return values_[i]; }
  bool has(size_t i) const { return !values_[i].missing(); }
  Value get(size_t i, const Value& otherwise) const { return has(i) ? values_[i] : otherwise; }

 private:
  std::array<Value, 8> values_;
};

// Owns everything a render makes.
class Runtime {
 public:
  virtual ~Runtime() = default;
  Meter meter;

  template <class T>
  T* make() {
    meter.take(sizeof(T) + 32);
    auto owned = std::make_unique<T>();
    T* raw = owned.get();
    objects_.push_back(std::move(owned));
    return raw;
  }
  Buffer& make_buffer() {
    meter.take(sizeof(Buffer));
    return buffers_.emplace_back(&meter);
  }
  Value text(std::string_view bytes, bool content = false);
  Value text(Buffer& finished, bool markup = false) { return Value::of(finished.str(), markup); }
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value iterator(std::function<bool(Value&)> step);
  Value undefined(std::string hint);
  Value undefined_attribute(const Value& owner, std::string_view name);
  Value method(const Value& self, const NativeDef* def);

  // Calls anything callable; filters and tests by name (for map, select ...).
  virtual Value call(const Value& callee, Args& args) = 0;
  virtual Value call_filter(std::string_view name, const Value& self, Args& args) = 0;
  virtual bool call_test(std::string_view name, const Value& self, Args& args) = 0;
  virtual bool is_filter(std::string_view name) const = 0;
  virtual bool is_test(std::string_view name) const = 0;
  // Attributes of loops and macros, which only the interpreter knows; Missing when there is none.
  virtual Value inner_attribute(const Value& owner, std::string_view name) = 0;
  // Seconds since 1970 as strftime_now sees them.
  int64_t now_unix_seconds = -1;

 private:
  std::deque<Buffer> buffers_;
  std::vector<std::unique_ptr<Object>> objects_;
};

// ---- what Python does with any value ----

const char* type_name(const Value& v);  // "str", "dict" ...
bool truthy(const Value& v);
bool equal(Runtime& rt, const Value& a, const Value& b);
bool same_object(const Value& a, const Value& b);  // `is`
bool is_hashable(const Value& v);
size_t hash_value(Runtime& rt, const Value& v);
enum class Order { kLess, kLessEqual, kGreater, kGreaterEqual };
bool in_order(Runtime& rt, const Value& a, Order op, const Value& b);
bool contains(Runtime& rt, const Value& container, const Value& item);
std::optional<uint64_t> length_of(Runtime& rt, const Value& v);  // nullopt: has no len()
bool is_iterable(const Value& v);
IteratorObj* iterate(Runtime& rt, const Value& v);                    // refuses what is not iterable
std::optional<Value> iterate_backwards(Runtime& rt, const Value& v);  // nullopt: not reversible
std::vector<Value> to_vector(Runtime& rt, const Value& v);
[[noreturn]] void refuse_use(const Value& undefined);  // an Undefined was used
void require_defined(const Value& v);

// ---- text of values (jinja_repr.cpp, jinja_json.cpp) ----

void append_str(Runtime& rt, Buffer& out, const Value& v);   // str(v)
void append_repr(Runtime& rt, Buffer& out, const Value& v);  // repr(v)
Value to_str(Runtime& rt, const Value& v);                   // a Str without the markup flag
Value soft_str(Runtime& rt, const Value& v);                 // a Str that keeps it
std::string repr_text(Runtime& rt, const Value& v);          // for messages, shortened
std::string int_text(Int v);
std::string float_text(double v);
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<Str> indent;
  std::optional<Str> item_separator, key_separator;
};
void append_json(Runtime& rt, Buffer& out, const Value& v, const JsonStyle& style);

// ---- operators and attributes (jinja_ops.cpp) ----

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
Value binary(Runtime& rt, BinaryOp op, const Value& a, const Value& b);
Value negate(Runtime& rt, const Value& v);
Value positive(Runtime& rt, const Value& v);
Value get_attribute(Runtime& rt, const Value& owner, std::string_view name);  // owner.name
Value get_item(Runtime& rt, const Value& owner, const Value& key);            // owner[key]
Value get_slice(Runtime& rt, const Value& owner, const Value& start, const Value& stop, const Value& step);
Value char_at(const Str& s, uint64_t index, bool markup);
double to_double(const Value& number);
Int require_index(const Value& v, const char* what);  // an int, as Python's __index__
Value int_from_double(double v);

// ---- formatting (jinja_format.cpp) ----

Value percent_format(Runtime& rt, const Value& format, const Value& args);
Value brace_format(Runtime& rt, const Value& format, Args& args, const Value* mapping);
Value escape_html(Runtime& rt, const Value& v);  // a markup Str

// ---- methods of values (jinja_str_methods.cpp, jinja_methods.cpp) ----

const NativeDef* find_str_method(std::string_view name);
// An attribute of anything but a Str; Missing when there is none.
Value find_attribute(Runtime& rt, const Value& owner, std::string_view name);
bool is_blocked_method(const Value& owner, std::string_view name);  // would change a list or dict

}  // namespace watra::text::jinja
