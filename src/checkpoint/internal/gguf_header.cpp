#include "checkpoint/internal/gguf_header.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_set>

#include "base/checked.h"
#include "checkpoint/internal/tensor_extent.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are read as little-endian, without swapping");

// Reserved at once for a count the file claims; beyond it vectors grow as elements really arrive. In a small file the
// count was compared with the bytes left anyway; this bounds what a sparse one can claim.
constexpr uint64_t kMaxReserve = uint64_t{1} << 18;

constexpr const char* kDamaged =
    "the file is damaged or was not written by a GGUF writer; download or convert it again";

uint64_t scalar_bytes(MetaType type) {
  switch (type) {
    case MetaType::u8:
    case MetaType::i8:
    case MetaType::boolean:
      return 1;
    case MetaType::u16:
    case MetaType::i16:
      return 2;
    case MetaType::u32:
    case MetaType::i32:
    case MetaType::f32:
      return 4;
    case MetaType::u64:
    case MetaType::i64:
    case MetaType::f64:
      return 8;
    case MetaType::string:
      return 8;  // at least: its length
    case MetaType::array:
      return 4 + 8;  // at least: element type and count
  }
  return 0;
}

// What a file that is not GGUF looks like, for the hint.
std::string guess_format(std::string_view magic) {
  if (magic == std::string_view("\0\0\0\0", 4)) return "it begins with zeros: a download that was never finished";
  if (magic == "GGML" || magic == "lmgg" || magic == "tjgg" || magic == "algg" || magic == "fmgg")
    return "a GGML file from before GGUF; get the model as .gguf or convert it with a llama.cpp of 2023";
  if (magic == "PK\x03\x04") return "a zip archive, as PyTorch writes; `watra convert` takes folders with safetensors";
  if (magic == "vers") return "this may be a git-lfs pointer instead of the file; fetch it with `git lfs pull`";
  if (magic.starts_with("<"))
    return "this looks like a web page saved under the model's name; download the file itself";
  if (magic.starts_with("{")) return "this looks like JSON: perhaps an error answer saved under the model's name";
  if (magic == "GUFG" || magic == "FUGG")
    return "the magic is byte-swapped: written by a program with the wrong byte order";
  return "check that the path names a .gguf file";
}

class Parser {
 public:
  Parser(HeaderBytes& in, const std::string& name) : in_(in), name_(name) {}

  Result<GgufHeader> parse() {
    WATRA_TRY(read_preamble());
    WATRA_TRY(read_metadata());
    WATRA_TRY(read_alignment());
    WATRA_TRY(read_tensors());
    return std::move(header_);
  }

 private:
  template <class T>
  Status number(T& out, const char* what) {
    if (in_.read(out)) return {};
    return fail(in_.why_not(name_, where(what), sizeof(T)));
  }

  Status text(std::string& out, uint64_t max_bytes, const char* what) {
    uint64_t n = 0;
    WATRA_TRY(number(n, "the length of a string"));
    if (n > max_bytes)
      return fail("checkpoint.name_too_long",
                  fmt::format("{}: {} ending at byte {} has {} bytes, at most {} are allowed", name_, where(what),
                              in_.position(), n, max_bytes),
                  kDamaged);
    if (!in_.read(out, n)) return fail(in_.why_not(name_, where(what), n));
    return {};
  }

  // "tensor 3 ('blk.0.attn_q.weight'), its offset"
  std::string where(const char* what) const {
    if (!object_) return what;
    std::string s = fmt::format("{} {}", object_, object_index_);
    if (!object_name_.empty()) s += fmt::format(" ({})", shown(object_name_));
    return s + ", " + what;
  }

  Status read_preamble() {
    const std::string magic_hint = "check that the path names a .gguf file and that its download finished";
    if (in_.file_bytes() == 0)
      return fail("checkpoint.empty_file", fmt::format("{}: the file is empty", name_), magic_hint);
    char magic[4];
    if (!in_.read(magic, 4)) return fail(in_.why_not(name_, "the magic", 4));
    if (const std::string_view m(magic, 4); m != "GGUF")
      return fail(
          "checkpoint.not_gguf",
          fmt::format("{}: not a GGUF file: needed the bytes 'GGUF' at its beginning, found {}", name_, shown(m)),
          guess_format(m));
    WATRA_TRY(number(header_.version, "the version"));
    const uint32_t version = header_.version;
    if (version != 0 && (version & 0xFFFF) == 0)
      return fail("checkpoint.big_endian",
                  fmt::format("{}: a big-endian GGUF file (version {} byte-swapped); only little-endian files are read",
                              name_, __builtin_bswap32(version)),
                  "convert it with gguf-py's gguf_convert_endian.py, or get the usual little-endian file");
    if (version < 2 || version > 3)
      return fail(
          "checkpoint.unsupported_version",
          fmt::format("{}: GGUF version {}; versions 2 and 3 are read", name_, version),
          version == 1
              ? "version 1 was written for a few weeks in August 2023; convert the model again, or get a newer file"
              : kDamaged);
    return {};
  }

  // count elements of at least min_bytes each must fit into what is left.
  Status check_count(uint64_t count, uint64_t min_bytes, const char* what) {
    const auto bytes = checked_mul(count, min_bytes);
    if (bytes && *bytes <= in_.remaining()) return {};
    return fail("checkpoint.bad_count",
                fmt::format("{}: {} at byte {}: {} need at least {} bytes each, found {} bytes left", name_,
                            where(what), in_.position(), count, min_bytes, in_.remaining()),
                "the count is damaged or the file was cut; compare its size with the source's and download it again");
  }

  Status read_metadata() {
    uint64_t n_pairs = 0;
    WATRA_TRY(number(n_tensors_, "the number of tensors"));
    WATRA_TRY(number(n_pairs, "the number of metadata keys"));
    WATRA_TRY(check_count(n_tensors_, kMinTensorInfoBytes, "the number of tensors"));
    WATRA_TRY(check_count(n_pairs, kMinKeyValueBytes, "the number of metadata keys"));
    object_ = "metadata key";
    for (object_index_ = 0; object_index_ < n_pairs; ++object_index_) {
      object_name_.clear();
      std::string key;
      WATRA_TRY(text(key, kMaxKeyBytes, "its name"));
      if (!is_printable_name(key))
        return fail(
            "checkpoint.bad_key",
            fmt::format(
                "{}: metadata key {} ending at byte {} is {}; a key is UTF-8 without control characters, not empty",
                name_, object_index_, in_.position(), shown(key)),
            kDamaged);
      object_name_ = key;
      if (header_.metadata.has(key))
        return fail("checkpoint.duplicate_key",
                    fmt::format("{}: metadata key {} stands there twice, the second time ending at byte {}", name_,
                                shown(key), in_.position()),
                    kDamaged);
      MetaValue value;
      WATRA_TRY(read_type(value.type, "its type"));
      WATRA_TRY(read_value(value, 0));
      header_.metadata.set(std::move(key), std::move(value));
    }
    object_name_.clear();
    return {};
  }

  Status read_type(MetaType& type, const char* what) {
    uint32_t raw = 0;
    WATRA_TRY(number(raw, what));
    if (raw > static_cast<uint32_t>(MetaType::f64))
      return fail("checkpoint.bad_type",
                  fmt::format("{}: {} ending at byte {} is {}; metadata types go from 0 to 12", name_, where(what),
                              in_.position(), raw),
                  kDamaged);
    type = static_cast<MetaType>(raw);
    return {};
  }

  template <class T, class Wide>
  Status read_scalar(MetaValue& out) {
    T v{};
    WATRA_TRY(number(v, "its value"));
    out.value = static_cast<Wide>(v);
    return {};
  }

  Status bad_bool(uint8_t found) {
    return fail(
        "checkpoint.bad_bool",
        fmt::format("{}: {} before byte {} is {}; a bool is 0 or 1", name_, where("its value"), in_.position(), found),
        kDamaged);
  }

  Status read_value(MetaValue& out, int depth) {
    switch (out.type) {
      case MetaType::u8:
        return read_scalar<uint8_t, uint64_t>(out);
      case MetaType::u16:
        return read_scalar<uint16_t, uint64_t>(out);
      case MetaType::u32:
        return read_scalar<uint32_t, uint64_t>(out);
      case MetaType::u64:
        return read_scalar<uint64_t, uint64_t>(out);
      case MetaType::i8:
        return read_scalar<int8_t, int64_t>(out);
      case MetaType::i16:
        return read_scalar<int16_t, int64_t>(out);
      case MetaType::i32:
        return read_scalar<int32_t, int64_t>(out);
      case MetaType::i64:
        return read_scalar<int64_t, int64_t>(out);
      case MetaType::f32:
        return read_scalar<float, double>(out);
      case MetaType::f64:
        return read_scalar<double, double>(out);
      case MetaType::boolean: {
        uint8_t v = 0;
        WATRA_TRY(number(v, "its value"));
        if (v > 1) return bad_bool(v);
        out.value = v != 0;
        return {};
      }
      case MetaType::string: {
        std::string v;
        WATRA_TRY(text(v, kMaxHeaderBytes, "its value"));
        out.value = std::move(v);
        return {};
      }
      case MetaType::array: {
        auto array = std::make_shared<MetaArray>();
        WATRA_TRY(read_array(*array, depth + 1));
        out.value = std::shared_ptr<const MetaArray>(std::move(array));
        return {};
      }
    }
    return {};
  }

  Status read_array(MetaArray& out, int depth) {
    if (depth > kMaxArrayDepth)
      return fail("checkpoint.too_deep",
                  fmt::format("{}: {} at byte {} is nested more than {} arrays deep", name_, where("its value"),
                              in_.position(), kMaxArrayDepth),
                  kDamaged);
    uint64_t count = 0;
    WATRA_TRY(read_type(out.element_type, "the type of its elements"));
    WATRA_TRY(number(count, "the number of its elements"));
    WATRA_TRY(check_count(count, scalar_bytes(out.element_type), "the number of its elements"));
    switch (out.element_type) {
      case MetaType::u8:
        return read_numbers<uint8_t>(out.u64, count);
      case MetaType::u16:
        return read_numbers<uint16_t>(out.u64, count);
      case MetaType::u32:
        return read_numbers<uint32_t>(out.u64, count);
      case MetaType::u64:
        return read_numbers<uint64_t>(out.u64, count);
      case MetaType::i8:
        return read_numbers<int8_t>(out.i64, count);
      case MetaType::i16:
        return read_numbers<int16_t>(out.i64, count);
      case MetaType::i32:
        return read_numbers<int32_t>(out.i64, count);
      case MetaType::i64:
        return read_numbers<int64_t>(out.i64, count);
      case MetaType::f32:
        return read_numbers<float>(out.f64, count);
      case MetaType::f64:
        return read_numbers<double>(out.f64, count);
      case MetaType::boolean:
        WATRA_TRY(read_numbers<uint8_t>(out.u64, count));
        for (const uint64_t v : out.u64)
          if (v > 1) return bad_bool(static_cast<uint8_t>(v));
        return {};
      case MetaType::string:
        out.strings.reserve(std::min(count, kMaxReserve));
        for (uint64_t i = 0; i < count; ++i) {
          // Vocabularies are half a million of these: no Status for each.
          std::string& s = out.strings.emplace_back();
          uint64_t n = 0;
          if (!in_.read(n)) return fail(in_.why_not(name_, where("the length of a string of its value"), sizeof n));
          if (!in_.read(s, n)) return fail(in_.why_not(name_, where("a string of its value"), n));
        }
        return {};
      case MetaType::array:
        out.nested.reserve(std::min(count, kMaxReserve));
        for (uint64_t i = 0; i < count; ++i) {
          MetaValue& v = out.nested.emplace_back();
          v.type = MetaType::array;
          WATRA_TRY(read_value(v, depth));
        }
        return {};
    }
    return {};
  }

  template <class T, class Wide>
  Status read_numbers(std::vector<Wide>& out, uint64_t count) {
    T chunk[1024];
    out.reserve(std::min(count, kMaxReserve));
    while (count > 0) {
      const size_t n = std::min<uint64_t>(count, std::size(chunk));
      if (!in_.read(chunk, n * sizeof(T))) return fail(in_.why_not(name_, where("its value"), n * sizeof(T)));
      out.insert(out.end(), chunk, chunk + n);
      count -= n;
    }
    return {};
  }

  Status read_alignment() {
    const MetaValue* v = header_.metadata.find("general.alignment");
    if (!v) return {};
    if (v->type != MetaType::u32)
      return fail("checkpoint.bad_alignment",
                  fmt::format("{}: general.alignment: needed u32, found {}", name_, meta_type_name(v->type)), kDamaged);
    const uint64_t a = std::get<uint64_t>(v->value);
    if (a == 0 || !std::has_single_bit(a) || a > kMaxAlignment)
      return fail(
          "checkpoint.bad_alignment",
          fmt::format("{}: general.alignment: needed a power of two from 1 to {}, found {}", name_, kMaxAlignment, a),
          kDamaged);
    header_.alignment = static_cast<uint32_t>(a);
    return {};
  }

  Status read_tensors() {
    object_ = "tensor";
    object_index_ = 0;
    // Once more, now that the metadata is behind us.
    WATRA_TRY(check_count(n_tensors_, kMinTensorInfoBytes, "the number of tensors"));
    header_.tensors.reserve(std::min(n_tensors_, kMaxReserve));
    for (; object_index_ < n_tensors_; ++object_index_) {
      object_name_.clear();
      WATRA_TRY(read_tensor(header_.tensors.emplace_back()));
    }
    object_ = nullptr;
    if (n_tensors_ == 0) {  // a vocabulary: nothing follows, and there need be no padding
      header_.data_offset = in_.position();
      return {};
    }
    header_.data_offset = *checked_align_up<uint64_t>(in_.position(), header_.alignment);  // both below 2^29
    std::unordered_set<std::string_view> seen;
    seen.reserve(header_.tensors.size());
    for (const TensorInfo& t : header_.tensors)
      if (!seen.insert(t.name).second)
        return fail("checkpoint.duplicate_tensor", fmt::format("{}: two tensors are called {}", name_, shown(t.name)),
                    kDamaged);
    for (TensorInfo& t : header_.tensors) WATRA_TRY(place(t));
    return check_overlap();
  }

  Status read_tensor(TensorInfo& t) {
    WATRA_TRY(text(t.name, kMaxTensorNameBytes, "its name"));
    if (!is_printable_name(t.name))
      return fail("checkpoint.bad_name",
                  fmt::format("{}: the name of tensor {} ending at byte {} is {}; a name is UTF-8 without control "
                              "characters, not empty",
                              name_, object_index_, in_.position(), shown(t.name)),
                  kDamaged);
    object_name_ = t.name;
    uint32_t rank = 0;
    WATRA_TRY(number(rank, "the number of its dimensions"));
    if (rank == 0 || rank > tensor::kMaxRank)
      return fail("checkpoint.bad_shape",
                  fmt::format("{}: {} before byte {}: needed 1 to {}, found {}", name_,
                              where("the number of its dimensions"), in_.position(), tensor::kMaxRank, rank),
                  kDamaged);
    uint64_t dims[tensor::kMaxRank];
    for (uint32_t i = rank; i-- > 0;)
      WATRA_TRY(number(dims[i], "one of its dimensions"));  // the file's first is the contiguous one

    uint32_t raw_type = 0;
    WATRA_TRY(number(raw_type, "its type"));
    const auto dtype = tensor::dtype_from_gguf(raw_type);
    if (!dtype)
      return fail("checkpoint.unknown_dtype",
                  fmt::format("{}: tensor {} has type {} (before byte {}), which is none we know", name_, shown(t.name),
                              raw_type, in_.position()),
                  "types 4, 5, 31-33 and 36-38 were withdrawn from the format; get the model in another quantization, "
                  "or a newer Watra");
    t.dtype = *dtype;
    const auto extent = tensor_extent(*dtype, std::span(dims, rank));
    if (!extent)
      return fail(extent.error().code,
                  fmt::format("{}: tensor {} (before byte {}): {}", name_, shown(t.name), in_.position(),
                              extent.error().message),
                  kDamaged);
    t.shape = extent->shape;
    t.size_bytes = extent->size_bytes;
    t.file_index = 0;
    WATRA_TRY(number(t.offset_bytes, "its offset"));
    if (t.offset_bytes % header_.alignment != 0)
      return fail(
          "checkpoint.bad_offset",
          fmt::format("{}: tensor {} (before byte {}): its offset must be a multiple of the alignment {}, found {}",
                      name_, shown(t.name), in_.position(), header_.alignment, t.offset_bytes),
          kDamaged);
    return {};
  }

  // Makes the offset absolute; the tensor must lie inside the file.
  Status place(TensorInfo& t) {
    const auto begin = checked_add(header_.data_offset, t.offset_bytes);
    const auto end = begin ? checked_add(*begin, t.size_bytes) : std::nullopt;
    if (!end || *end > in_.file_bytes())
      return fail(
          "checkpoint.cut_file",
          fmt::format("{}: tensor {} {} {} needs {} bytes at offset {} of the data, which begins at byte {}; the file "
                      "ends at byte {}",
                      name_, shown(t.name), tensor::dtype_name(t.dtype), t.shape.to_string(), t.size_bytes,
                      t.offset_bytes, header_.data_offset, in_.file_bytes()),
          "the file was cut (an unfinished download?); compare its size with the source's and download it again");
    t.offset_bytes = *begin;
    return {};
  }

  Status check_overlap() {
    std::vector<uint32_t> order(header_.tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto& tensors = header_.tensors;
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return tensors[a].offset_bytes < tensors[b].offset_bytes; });
    for (size_t i = 1; i < order.size(); ++i) {
      const TensorInfo &a = tensors[order[i - 1]], &b = tensors[order[i]];
      if (b.offset_bytes - a.offset_bytes < a.size_bytes)
        return fail("checkpoint.overlap",
                    fmt::format("{}: tensors overlap: {} takes bytes {} to {}, {} begins at {}", name_, shown(a.name),
                                a.offset_bytes, a.offset_bytes + a.size_bytes, shown(b.name), b.offset_bytes),
                    kDamaged);
    }
    return {};
  }

  HeaderBytes& in_;
  const std::string& name_;
  GgufHeader header_;
  uint64_t n_tensors_ = 0;
  // What is being read, for messages.
  const char* object_ = nullptr;
  uint64_t object_index_ = 0;
  std::string object_name_;
};

}  // namespace

Result<GgufHeader> parse_gguf_header(HeaderBytes& in, const std::string& name) { return Parser(in, name).parse(); }

}  // namespace watra::checkpoint
