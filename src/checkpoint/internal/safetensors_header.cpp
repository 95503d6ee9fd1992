#include "checkpoint/internal/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/checked.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

using tensor::DType;

constexpr const char* kDamaged = "the file is damaged or was not written by a safetensors writer; download it again";
constexpr size_t kMaxDims = 16;

struct ElementType {
  std::string_view name;
  uint32_t bits;
  std::optional<DType> dtype;  // ours, where we have it
};
constexpr std::array<ElementType, 22> kElementTypes = {{
    {"F64", 64, DType::f64},          {"F32", 32, DType::f32},      {"F16", 16, DType::f16},
    {"BF16", 16, DType::bf16},        {"I64", 64, DType::i64},      {"I32", 32, DType::i32},
    {"I16", 16, DType::i16},          {"I8", 8, DType::i8},         {"U64", 64, std::nullopt},
    {"U32", 32, std::nullopt},        {"U16", 16, std::nullopt},    {"U8", 8, std::nullopt},
    {"BOOL", 8, std::nullopt},        {"C64", 64, std::nullopt},    {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},     {"F8_E8M0", 8, std::nullopt}, {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E5M2FNUZ", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt}, {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},
}};

// What the header says about one tensor, before it is believed.
struct RawTensor {
  std::string name, dtype;
  std::vector<uint64_t> dims, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Receives nlohmann's parsing events. Each handler returns false after setting `error`, which ends the parse.
class EventSink {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  explicit EventSink(const std::string& file) : file_(file) {}
  std::optional<Error> error;

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& e) {
    std::string why = e.what();  // "[json.exception.parse_error.101] parse error at line ...: syntax error ..."
    if (const size_t at = why.rfind("] "); at != std::string::npos) why = why.substr(at + 2);
    return refuse("checkpoint.bad_json", fmt::format("not valid JSON, byte {} of it: {}", position, shown(why, 200)));
  }
  bool binary(binary_t&) { return false; }  // never in JSON text

 protected:
  bool refuse(std::string code, std::string message) {
    if (!error) error = Error{std::move(code), fmt::format("{}: {}", file_, message), kDamaged};
    return false;
  }

 private:
  const std::string& file_;
};

// {"__metadata__": {text: text}, TENSOR: {"dtype": text, "shape": [n...], "data_offsets": [n, n]}}
class HeaderSink : public EventSink {
 public:
  using EventSink::EventSink;
  std::vector<RawTensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;

  bool start_object(size_t) {
    if (place_ == Place::before) return go(Place::top);
    if (place_ == Place::top) return go(key_ == "__metadata__" ? Place::metadata : Place::tensor);
    return unexpected("an object");
  }
  bool end_object() {
    if (place_ == Place::top) return go(Place::after);
    if (place_ == Place::tensor) {
      const RawTensor& t = tensors.back();
      if (!t.has_dtype || !t.has_shape || !t.has_offsets)
        return refuse("checkpoint.bad_header", fmt::format("tensor {} lacks {}", shown(t.name),
                                                           !t.has_dtype   ? "dtype"
                                                           : !t.has_shape ? "shape"
                                                                          : "data_offsets"));
    }
    return go(Place::top);
  }
  bool key(string_t& k) {
    if (place_ == Place::top) {
      if (k != "__metadata__" && !is_printable_name(k))
        return refuse("checkpoint.bad_name",
                      fmt::format("tensor name {}: needed UTF-8 without control characters, not empty", shown(k)));
      if (!seen_.insert(k).second)
        return refuse("checkpoint.duplicate_tensor", fmt::format("{} stands there twice", shown(k)));
      if (k != "__metadata__") tensors.emplace_back().name = k;
    } else if (place_ == Place::tensor) {
      RawTensor& t = tensors.back();
      bool* has = k == "dtype"          ? &t.has_dtype
                  : k == "shape"        ? &t.has_shape
                  : k == "data_offsets" ? &t.has_offsets
                                        : nullptr;
      if (!has || *has)
        return refuse("checkpoint.bad_header", fmt::format("tensor {}: the key {} is {}", shown(t.name), shown(k),
                                                           has ? "given twice" : "unknown"));
      *has = true;
    }
    key_ = std::move(k);
    return true;
  }
  bool start_array(size_t) {
    if (place_ == Place::tensor && key_ == "shape") return go(Place::shape);
    if (place_ == Place::tensor && key_ == "data_offsets") return go(Place::offsets);
    return unexpected("an array");
  }
  bool end_array() { return go(Place::tensor); }
  bool string(string_t& s) {
    if (place_ == Place::metadata) {
      metadata.emplace_back(key_, std::move(s));
      return true;
    }
    if (place_ != Place::tensor || key_ != "dtype") return unexpected("a string");
    tensors.back().dtype = std::move(s);
    return true;
  }
  bool number_unsigned(number_unsigned_t n) {
    if (place_ != Place::shape && place_ != Place::offsets) return unexpected("a number");
    RawTensor& t = tensors.back();
    auto& list = place_ == Place::shape ? t.dims : t.offsets;
    const size_t limit = place_ == Place::shape ? kMaxDims : 2;
    if (list.size() == limit)
      return refuse("checkpoint.bad_shape",
                    fmt::format("tensor {}: its {} has more than {} numbers", shown(t.name), key_, limit));
    list.push_back(n);
    return true;
  }
  bool number_integer(number_integer_t) { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) { return unexpected("a fraction"); }
  bool boolean(bool) { return unexpected("true or false"); }
  bool null() { return unexpected("null"); }

 private:
  enum class Place { before, top, metadata, tensor, shape, offsets, after };
  bool go(Place p) {
    place_ = p;
    return true;
  }
  bool unexpected(std::string_view found) {
    std::string where = "at its beginning";
    if (place_ == Place::top || place_ == Place::metadata) where = fmt::format("as the value of {}", shown(key_));
    if (place_ == Place::tensor || place_ == Place::shape || place_ == Place::offsets)
      where = fmt::format("in {} of tensor {}", shown(key_), shown(tensors.back().name));
    return refuse("checkpoint.bad_header",
                  fmt::format("{} stands {}; needed what docs/formats/safetensors.md says", found, where));
  }

  Place place_ = Place::before;
  std::string key_;
  std::unordered_set<std::string> seen_;
};

// {"metadata": anything, "weight_map": {TENSOR: FILE}}
class IndexSink : public EventSink {
 public:
  using EventSink::EventSink;
  std::vector<IndexedTensor> tensors;
  bool has_weight_map = false;

  bool start_object(size_t) {
    if (depth_ == 1 && key_ == "weight_map")
      in_map_ = has_weight_map = true;
    else if (in_map_)
      return not_a_name();
    return deeper();
  }
  bool end_object() {
    --depth_;
    if (depth_ == 1) in_map_ = false;
    return true;
  }
  bool key(string_t& k) {
    if (depth_ == 1 || in_map_) key_ = std::move(k);
    if (in_map_ && !seen_.insert(key_).second)
      return refuse("checkpoint.duplicate_tensor", fmt::format("{} stands in weight_map twice", shown(key_)));
    return true;
  }
  bool start_array(size_t) { return in_map_ || depth_ == 0 ? not_a_name() : deeper(); }
  bool end_array() {
    --depth_;
    return true;
  }
  bool string(string_t& s) {
    if (!in_map_) return scalar();
    // Only files beside the index: a name from the network must not lead anywhere else.
    if (!is_printable_name(s) || s.find_first_of("/\\") != std::string::npos || !s.ends_with(".safetensors"))
      return refuse("checkpoint.bad_index",
                    fmt::format("tensor {} is said to be in {}; needed the plain name of a .safetensors file",
                                shown(key_), shown(s)));
    tensors.push_back({key_, std::move(s)});
    return true;
  }
  bool number_unsigned(number_unsigned_t) { return scalar(); }
  bool number_integer(number_integer_t) { return scalar(); }
  bool number_float(number_float_t, const string_t&) { return scalar(); }
  bool boolean(bool) { return scalar(); }
  bool null() { return scalar(); }

 private:
  bool deeper() {
    constexpr int kMaxDepth = 32;
    return ++depth_ <= kMaxDepth ||
           refuse("checkpoint.too_deep", fmt::format("nested more than {} levels deep", kMaxDepth));
  }
  bool scalar() { return in_map_ || depth_ == 0 ? not_a_name() : true; }
  bool not_a_name() {
    return refuse("checkpoint.bad_index", depth_ == 0
                                              ? std::string("needed an object with a weight_map")
                                              : fmt::format("the file of {} in weight_map is not a name", shown(key_)));
  }

  int depth_ = 0;
  bool in_map_ = false;
  std::string key_;
  std::unordered_set<std::string> seen_;
};

template <class Sink>
Status parse_json(std::string_view json, Sink& sink) {
  const bool ok = nlohmann::json::sax_parse(json.begin(), json.end(), &sink);
  if (!ok && sink.error) return fail(*sink.error);
  if (!ok) return fail("checkpoint.bad_json", "not valid JSON");
  return {};
}

// Puts what a RawTensor says into `header`, when it is true. data_bytes: what follows the JSON, from data_offset on.
Status accept(RawTensor& raw, uint64_t data_offset, uint64_t data_bytes, const std::string& file,
              SafetensorsHeader& header) {
  const auto refuse = [&](std::string code, const std::string& why, const char* hint = kDamaged) {
    return fail(std::move(code), fmt::format("{}: tensor {}: {}", file, shown(raw.name), why), hint);
  };
  if (raw.offsets.size() != 2 || raw.offsets[0] > raw.offsets[1])
    return refuse("checkpoint.bad_offset", "needed data_offsets [begin, end] with begin <= end");
  if (raw.offsets[1] > data_bytes)
    return refuse(
        "checkpoint.cut_file",
        fmt::format("its data ends at byte {} of the data, but only {} bytes are there", raw.offsets[1], data_bytes),
        "the file was cut (an unfinished download?); compare its size with the source's and download it again");
  const auto type = std::find_if(kElementTypes.begin(), kElementTypes.end(),
                                 [&](const ElementType& t) { return t.name == raw.dtype; });
  if (type == kElementTypes.end())
    return refuse("checkpoint.unknown_dtype", fmt::format("its element type {} is none we know", shown(raw.dtype)),
                  "a newer Watra may know it");

  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  uint64_t bits = type->bits;
  for (const uint64_t d : raw.dims) {
    const auto product = checked_mul(bits, d);
    if (d > kMax || !product)
      return refuse("checkpoint.bad_shape", fmt::format("dimension {} makes it larger than 2^61 bytes", d));
    bits = *product;
  }
  const uint64_t size = raw.offsets[1] - raw.offsets[0];
  if (bits % 8 != 0 || bits / 8 != size)
    return refuse(
        "checkpoint.bad_shape",
        fmt::format("its shape and type {} need {} bits, its data_offsets give it {} bytes", raw.dtype, bits, size));

  if (!type->dtype || raw.dims.size() > tensor::kMaxRank) {
    header.foreign.push_back({std::move(raw.name), std::move(raw.dtype), std::move(raw.dims)});
    return {};
  }
  TensorInfo info{std::move(raw.name), *type->dtype, {}, 0, data_offset + raw.offsets[0], size};
  for (const uint64_t d : raw.dims) info.shape.push_back(static_cast<int64_t>(d));
  header.tensors.push_back(std::move(info));
  return {};
}

}  // namespace

std::string_view safetensors_dtype(DType dtype) {
  for (const ElementType& t : kElementTypes)
    if (t.dtype == dtype) return t.name;
  return {};
}

Result<SafetensorsHeader> parse_safetensors_header(HeaderBytes& in, const std::string& name) {
  const char* hint = "check that the path names a .safetensors file and that its download finished";
  if (in.file_bytes() == 0) return fail("checkpoint.empty_file", fmt::format("{}: the file is empty", name), hint);
  uint64_t json_bytes = 0;
  if (!in.read(json_bytes)) return fail(in.why_not(name, "the length of the header", 8));
  if (json_bytes > kMaxSafetensorsHeaderBytes)
    return fail("checkpoint.not_safetensors",
                fmt::format("{}: not a safetensors file: it begins with a header length of {}, at most {} is possible",
                            name, json_bytes, kMaxSafetensorsHeaderBytes),
                hint);
  std::string json;
  if (!in.read(json, json_bytes)) return fail(in.why_not(name, "the header", json_bytes));
  if (!json.starts_with('{'))
    return fail(
        "checkpoint.not_safetensors",
        fmt::format("{}: not a safetensors file: needed '{{' at byte 8, found {}", name, shown(json.substr(0, 8))),
        hint);
  HeaderSink sink(name);
  WATRA_TRY(parse_json(json, sink));

  SafetensorsHeader header;
  header.metadata = std::move(sink.metadata);
  const uint64_t data_offset = in.position(), data_bytes = in.file_bytes() - data_offset;
  // In the order of their bytes, which must cover the data without gap and overlap, first to last, as the format
  // demands.
  std::sort(sink.tensors.begin(), sink.tensors.end(),
            [](const RawTensor& a, const RawTensor& b) { return a.offsets < b.offsets; });
  uint64_t at = 0;
  for (RawTensor& t : sink.tensors) {
    const std::string tensor_name = t.name;
    const auto offsets = t.offsets;
    WATRA_TRY(accept(t, data_offset, data_bytes, name, header));
    if (offsets[0] != at)
      return fail(offsets[0] < at ? "checkpoint.overlap" : "checkpoint.bad_offset",
                  fmt::format("{}: tensor {} begins at byte {} of the data, needed {} (where the one before it ends)",
                              name, shown(tensor_name), offsets[0], at),
                  kDamaged);
    at = offsets[1];
  }
  if (at != data_bytes)
    return fail("checkpoint.bad_offset",
                fmt::format("{}: its tensors end at byte {} of the data, the file has {}", name, at, data_bytes),
                kDamaged);
  return header;
}

Result<std::vector<IndexedTensor>> parse_safetensors_index(std::string_view json, const std::string& name) {
  IndexSink sink(name);
  WATRA_TRY(parse_json(json, sink));
  if (!sink.has_weight_map)
    return fail("checkpoint.bad_index", fmt::format("{}: needed an object with a weight_map", name), kDamaged);
  return std::move(sink.tensors);
}

}  // namespace watra::checkpoint
