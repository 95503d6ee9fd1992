#include "checkpoint/internal/gguf_encode.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include "checkpoint/internal/gguf_header.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

template <class T>
void put(std::string& out, T v) {
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

void put_text(std::string& out, std::string_view s) {
  put<uint64_t>(out, s.size());
  out += s;
}

// One number of the file's type T; false when the value does not fit.
template <class T, class Wide>
bool put_number(std::string& out, Wide v) {
  if constexpr (std::is_integral_v<T>) {
    if (v < static_cast<Wide>(std::numeric_limits<T>::min()) || v > static_cast<Wide>(std::numeric_limits<T>::max()))
      return false;
  } else {
    if (std::isfinite(v) && std::abs(v) > static_cast<Wide>(std::numeric_limits<T>::max())) return false;
  }
  put(out, static_cast<T>(v));
  return true;
}

template <class T, class Wide>
bool put_numbers(std::string& out, const std::vector<Wide>& values) {
  for (const Wide v : values)
    if (!put_number<T>(out, v)) return false;
  return true;
}

bool put_array(std::string& out, const MetaArray& a, int depth);

template <class T, class Wide>
bool put_scalar(std::string& out, const MetaValue& v) {
  const Wide* w = std::get_if<Wide>(&v.value);
  return w && put_number<T>(out, *w);
}

bool put_value(std::string& out, const MetaValue& v, int depth) {
  switch (v.type) {
    case MetaType::u8:
      return put_scalar<uint8_t, uint64_t>(out, v);
    case MetaType::u16:
      return put_scalar<uint16_t, uint64_t>(out, v);
    case MetaType::u32:
      return put_scalar<uint32_t, uint64_t>(out, v);
    case MetaType::u64:
      return put_scalar<uint64_t, uint64_t>(out, v);
    case MetaType::i8:
      return put_scalar<int8_t, int64_t>(out, v);
    case MetaType::i16:
      return put_scalar<int16_t, int64_t>(out, v);
    case MetaType::i32:
      return put_scalar<int32_t, int64_t>(out, v);
    case MetaType::i64:
      return put_scalar<int64_t, int64_t>(out, v);
    case MetaType::f32:
      return put_scalar<float, double>(out, v);
    case MetaType::f64:
      return put_scalar<double, double>(out, v);
    case MetaType::boolean: {
      const bool* b = std::get_if<bool>(&v.value);
      if (b) put<uint8_t>(out, *b);
      return b != nullptr;
    }
    case MetaType::string: {
      const auto* s = std::get_if<std::string>(&v.value);
      if (s) put_text(out, *s);
      return s != nullptr;
    }
    case MetaType::array: {
      const auto* a = std::get_if<std::shared_ptr<const MetaArray>>(&v.value);
      return a && *a && put_array(out, **a, depth + 1);
    }
  }
  return false;
}

bool put_array(std::string& out, const MetaArray& a, int depth) {
  const size_t filled = a.u64.size() + a.i64.size() + a.f64.size() + a.strings.size() + a.nested.size();
  if (depth > kMaxArrayDepth || filled != a.size()) return false;
  put(out, static_cast<uint32_t>(a.element_type));
  put<uint64_t>(out, filled);
  switch (a.element_type) {
    case MetaType::u8:
      return put_numbers<uint8_t>(out, a.u64);
    case MetaType::u16:
      return put_numbers<uint16_t>(out, a.u64);
    case MetaType::u32:
      return put_numbers<uint32_t>(out, a.u64);
    case MetaType::u64:
      return put_numbers<uint64_t>(out, a.u64);
    case MetaType::i8:
      return put_numbers<int8_t>(out, a.i64);
    case MetaType::i16:
      return put_numbers<int16_t>(out, a.i64);
    case MetaType::i32:
      return put_numbers<int32_t>(out, a.i64);
    case MetaType::i64:
      return put_numbers<int64_t>(out, a.i64);
    case MetaType::f32:
      return put_numbers<float>(out, a.f64);
    case MetaType::f64:
      return put_numbers<double>(out, a.f64);
    case MetaType::boolean:
      for (const uint64_t v : a.u64) {
        if (v > 1) return false;
        put(out, static_cast<uint8_t>(v));
      }
      return true;
    case MetaType::string:
      for (const std::string& s : a.strings) put_text(out, s);
      return true;
    case MetaType::array:
      for (const MetaValue& v : a.nested)
        if (v.type != MetaType::array || !put_value(out, v, depth)) return false;
      return true;
  }
  return false;
}

}  // namespace

Status encode_key_value(std::string& out, const std::string& key, const MetaValue& value) {
  if (!is_printable_name(key) || key.size() > kMaxKeyBytes)
    return fail("checkpoint.bad_key",
                fmt::format("metadata key {} ({} bytes): needed 1 to {} bytes of UTF-8 without control characters",
                            shown(key), key.size(), kMaxKeyBytes));
  put_text(out, key);
  put(out, static_cast<uint32_t>(value.type));
  if (!put_value(out, value, 0))
    return fail("checkpoint.bad_value",
                fmt::format("metadata key {}: its content is not what its type {} says, or out of the type's range",
                            shown(key), meta_type_name(value.type)));
  return {};
}

void encode_tensor_info(std::string& out, const std::string& name, tensor::DType dtype, const tensor::Shape& shape,
                        uint64_t offset_bytes) {
  put_text(out, name);
  put(out, static_cast<uint32_t>(shape.rank()));
  for (int i = shape.rank(); i-- > 0;) put(out, static_cast<uint64_t>(shape[i]));
  put(out, static_cast<uint32_t>(dtype));
  put(out, offset_bytes);
}

void encode_preamble(std::string& out, uint32_t version, uint64_t n_tensors, uint64_t n_keys) {
  out += "GGUF";
  put(out, version);
  put(out, n_tensors);
  put(out, n_keys);
}

}  // namespace watra::checkpoint
