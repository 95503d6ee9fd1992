// Iteration as Python does it: everything lazily, one element at a time.
#include <fmt/format.h>

#include "text/jinja_value.h"

namespace watra::text::jinja {

bool IteratorObj::next(Runtime& rt, Value& out) {
  if (done) return false;
  rt.meter.tick();
  rt.meter.check_stack();  // iterators over iterators over iterators
  if (step(out)) return true;
  done = true;
  return false;
}

std::optional<uint64_t> length_of(Runtime&, const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
      return 0;
    case Kind::kStr:
      return v.s.length();
    case Kind::kList:
    case Kind::kTuple:
      return v.list->items.size();
    case Kind::kDict:
    case Kind::kView:
      return v.dict->items.size();
    case Kind::kRange:
      return v.range->length;
    default:
      return std::nullopt;
  }
}

bool is_iterable(const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
    case Kind::kStr:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kRange:
    case Kind::kIterator:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

namespace {

Value view_item(Runtime& rt, const DictObj& dict, ViewOf what, size_t i) {
  const auto& [key, value] = dict.items[i];
  switch (what) {
    case ViewOf::kKeys:
      return key;
    case ViewOf::kValues:
      return value;
    case ViewOf::kItems:
      return rt.tuple({key, value});
  }
  return {};
}

}  // namespace

IteratorObj* iterate(Runtime& rt, const Value& v) {
  if (v.is(Kind::kIterator)) return v.iterator;
  auto* it = rt.make<IteratorObj>();
  switch (v.kind) {
    case Kind::kUndefined:
      it->done = true;
      break;
    case Kind::kStr:
      it->step = [s = v.s, markup = false, pos = size_t{0}](Value& out) mutable {
        const std::string_view text = s.view();
        if (pos >= text.size()) return false;
        const size_t from = pos;
        decode_utf8(text, pos);
        out = Value::of(s.slice(from, pos), markup);
        return true;
      };
      break;
    case Kind::kList:
    case Kind::kTuple:
      it->step = [list = v.list, i = size_t{0}](Value& out) mutable {
        if (i >= list->items.size()) return false;
        out = list->items[i++];
        return true;
      };
      break;
    case Kind::kDict:
    case Kind::kView: {
      const ViewOf what = v.is(Kind::kDict) ? ViewOf::kKeys : v.view_of;
      it->step = [&rt, dict = v.dict, what, i = size_t{0}](Value& out) mutable {
        if (i >= dict->items.size()) return false;
        out = view_item(rt, *dict, what, i++);
        return true;
      };
      break;
    }
    case Kind::kRange:
      it->step = [r = v.range, i = uint64_t{0}](Value& out) mutable {
        if (i >= r->length) return false;
        out = Value::of_int(r->at(i++));
        return true;
      };
      break;
    default:
      refuse_type(fmt::format("'{}' object is not iterable", type_name(v)));
  }
  return it;
}

std::optional<Value> iterate_backwards(Runtime& rt, const Value& v) {
  switch (v.kind) {
    case Kind::kUndefined:
    case Kind::kStr:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kRange:
      break;
    default:
      return std::nullopt;
  }
  auto items = std::make_shared<std::vector<Value>>(to_vector(rt, v));
  return rt.iterator([items, left = items->size()](Value& out) mutable {
    if (left == 0) return false;
    out = (*items)[--left];
    return true;
  });
}

std::vector<Value> to_vector(Runtime& rt, const Value& v) {
  if (v.is(Kind::kList) || v.is(Kind::kTuple)) {
    rt.meter.take(v.list->items.size() * sizeof(Value));
    return v.list->items;
  }
  IteratorObj* it = iterate(rt, v);
  std::vector<Value> items;
  for (Value item; it->next(rt, item);) {
    rt.meter.take(2 * sizeof(Value));
    items.push_back(item);
  }
  return items;
}

}  // namespace watra::text::jinja
