// Metadata: typed access to a checkpoint's key/value pairs.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "checkpoint/checkpoint.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

std::optional<uint64_t> as_u64(const MetaValue* v) {
  if (!v) return std::nullopt;
  if (const auto* u = std::get_if<uint64_t>(&v->value)) return *u;
  if (const auto* i = std::get_if<int64_t>(&v->value); i && *i >= 0) return static_cast<uint64_t>(*i);
  return std::nullopt;
}

std::string describe(const MetaValue& v) {
  if (const auto* i = std::get_if<int64_t>(&v.value)) return fmt::format("{} {}", meta_type_name(v.type), *i);
  if (const auto* s = std::get_if<std::string>(&v.value)) return fmt::format("string {}", shown(*s));
  if (const auto* a = std::get_if<std::shared_ptr<const MetaArray>>(&v.value); a && *a)
    return fmt::format("array of {} {}", (*a)->size(), meta_type_name((*a)->element_type));
  return std::string(meta_type_name(v.type));
}

tl::unexpected<Error> wrong(std::string_view key, std::string_view wanted, const MetaValue* found) {
  const std::string hint = "the file comes from an incomplete conversion; convert it again or use another copy";
  if (!found)
    return fail("checkpoint.missing_key", fmt::format("metadata key {} is missing; needed: {}", shown(key), wanted),
                hint);
  return fail("checkpoint.wrong_type",
              fmt::format("metadata key {}: needed {}, found {}", shown(key), wanted, describe(*found)), hint);
}

// A NaN in a file is the same as itself.
bool same_bits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

}  // namespace

std::string_view meta_type_name(MetaType type) {
  static constexpr std::array<std::string_view, 13> kNames = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                              "bool", "string", "array", "u64", "i64", "f64"};
  const auto i = static_cast<uint32_t>(type);
  return i < kNames.size() ? kNames[i] : "unknown";
}

size_t MetaArray::size() const {
  switch (element_type) {
    case MetaType::u8:
    case MetaType::u16:
    case MetaType::u32:
    case MetaType::u64:
    case MetaType::boolean:
      return u64.size();
    case MetaType::i8:
    case MetaType::i16:
    case MetaType::i32:
    case MetaType::i64:
      return i64.size();
    case MetaType::f32:
    case MetaType::f64:
      return f64.size();
    case MetaType::string:
      return strings.size();
    case MetaType::array:
      return nested.size();
  }
  return 0;
}

bool MetaArray::operator==(const MetaArray& o) const {
  return element_type == o.element_type && u64 == o.u64 && i64 == o.i64 &&
         std::equal(f64.begin(), f64.end(), o.f64.begin(), o.f64.end(), same_bits) && strings == o.strings &&
         nested == o.nested;
}

bool MetaValue::operator==(const MetaValue& o) const {
  if (type != o.type || value.index() != o.value.index()) return false;
  if (const auto* d = std::get_if<double>(&value)) return same_bits(*d, std::get<double>(o.value));
  const auto* a = std::get_if<std::shared_ptr<const MetaArray>>(&value);
  if (!a) return value == o.value;
  const auto& b = std::get<std::shared_ptr<const MetaArray>>(o.value);
  return *a == b || (*a && b && **a == *b);
}

MetaValue MetaValue::of_array(MetaArray v) {
  return {MetaType::array, std::make_shared<const MetaArray>(std::move(v))};
}

const MetaValue* Metadata::find(std::string_view key) const {
  const auto it = index_.find(key);
  return it == index_.end() ? nullptr : &entries_[it->second].second;
}

std::optional<uint64_t> Metadata::get_u64(std::string_view key) const { return as_u64(find(key)); }

std::optional<int64_t> Metadata::get_i64(std::string_view key) const {
  const MetaValue* v = find(key);
  if (!v) return std::nullopt;
  if (const auto* i = std::get_if<int64_t>(&v->value)) return *i;
  const auto u = as_u64(v);
  if (u && *u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<int64_t>(*u);
  return std::nullopt;
}

std::optional<double> Metadata::get_f64(std::string_view key) const {
  const MetaValue* v = find(key);
  if (!v) return std::nullopt;
  if (const auto* d = std::get_if<double>(&v->value)) return *d;
  if (const auto* i = std::get_if<int64_t>(&v->value)) return static_cast<double>(*i);
  if (const auto* u = std::get_if<uint64_t>(&v->value)) return static_cast<double>(*u);
  return std::nullopt;
}

std::optional<bool> Metadata::get_bool(std::string_view key) const {
  const MetaValue* v = find(key);
  const auto* b = v ? std::get_if<bool>(&v->value) : nullptr;
  return b ? std::optional(*b) : std::nullopt;
}

std::optional<std::string> Metadata::get_string(std::string_view key) const {
  const MetaValue* v = find(key);
  const auto* s = v ? std::get_if<std::string>(&v->value) : nullptr;
  return s ? std::optional(*s) : std::nullopt;
}

const MetaArray* Metadata::get_array(std::string_view key) const {
  const MetaValue* v = find(key);
  const auto* a = v ? std::get_if<std::shared_ptr<const MetaArray>>(&v->value) : nullptr;
  return a ? a->get() : nullptr;
}

Result<uint64_t> Metadata::require_u64(std::string_view key) const {
  if (const auto v = get_u64(key)) return *v;
  return wrong(key, "an integer >= 0", find(key));
}

Result<std::string> Metadata::require_string(std::string_view key) const {
  if (auto v = get_string(key)) return std::move(*v);
  return wrong(key, "a string", find(key));
}

void Metadata::set(std::string key, MetaValue value) {
  if (const auto it = index_.find(key); it != index_.end()) {
    entries_[it->second].second = std::move(value);
    return;
  }
  index_.emplace(key, entries_.size());
  entries_.emplace_back(std::move(key), std::move(value));
}

void Metadata::erase(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return;
  const size_t at = it->second;
  index_.erase(it);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at));
  for (auto& [name, position] : index_)
    if (position > at) --position;
}

}  // namespace watra::checkpoint
