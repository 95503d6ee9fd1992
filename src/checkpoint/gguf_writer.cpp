#include "checkpoint/gguf_writer.h"

#include <array>
#include <bit>
#include <unordered_set>

#include "base/checked.h"
#include "checkpoint/internal/gguf_encode.h"
#include "checkpoint/internal/gguf_header.h"
#include "checkpoint/internal/new_files.h"
#include "checkpoint/internal/split_name.h"
#include "checkpoint/internal/tensor_extent.h"
#include "checkpoint/internal/untrusted_text.h"

namespace watra::checkpoint {
namespace {

// llama.cpp refuses names of 64 bytes and more.
constexpr size_t kMaxWrittenNameBytes = 63;
constexpr uint32_t kMinAlignment = 8;

struct Declared {
  std::string name;
  tensor::DType dtype;
  tensor::Shape shape;
  uint64_t size_bytes;
};

// A run of tensors in one file.
struct Part {
  size_t first = 0, last = 0;  // [first, last) of the declared tensors
};

}  // namespace

struct GgufWriter::Impl {
  fs::path target;
  GgufWriterOptions options;
  std::string metadata_bytes;  // encoded; part 1 carries it
  uint64_t n_keys = 0;
  std::vector<Declared> tensors;
  std::unordered_set<std::string> names;

  bool writing = false, finished = false;
  std::optional<Error> broken;  // the first failure; every later call repeats it
  std::vector<Part> parts;
  size_t part = 0;         // being written
  size_t tensor = 0;       // next bytes belong to it
  uint64_t tensor_at = 0;  // bytes of it already written
  NewFiles files;
  File file;

  uint64_t aligned(uint64_t n) const { return *checked_align_up<uint64_t>(n, options.alignment); }  // n < 2^63

  Status guard(Status status) {
    if (status || broken) return status;
    broken = status.error();
    file = File();
    files.discard();
    return status;
  }

  Status begin() {
    writing = true;
    plan_parts();
    if (parts.size() > 65535)
      return fail("checkpoint.too_many_splits",
                  fmt::format("{} parts of at most {} bytes would be needed, 65535 are possible", parts.size(),
                              options.max_split_bytes),
                  "allow larger parts");
    WATRA_TRY(open_part());
    return skip_full_tensors();
  }

  // Parts are filled in order; one holds at least one tensor, however large.
  void plan_parts() {
    parts = {Part{}};
    if (options.max_split_bytes == 0) {
      parts.back().last = tensors.size();
      return;
    }
    constexpr uint64_t kSplitKeysBytes = 128;  // three short keys
    uint64_t header = metadata_bytes.size() + kSplitKeysBytes, data = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const uint64_t info = kMinTensorInfoBytes + tensors[i].name.size() + 8 * tensor::kMaxRank;
      const uint64_t size = aligned(tensors[i].size_bytes);
      const auto grown = checked_add(aligned(header + info) + data, size);
      if (i > parts.back().first && (!grown || *grown > options.max_split_bytes)) {
        parts.push_back({i, i});
        header = kSplitKeysBytes;
        data = 0;
      }
      header += info;
      data += size;
      parts.back().last = i + 1;
    }
  }

  Status open_part() {
    const Part& p = parts[part];
    const auto n_parts = static_cast<uint32_t>(parts.size());
    const fs::path path =
        n_parts == 1 ? target
                     : target.parent_path() /
                           make_split_name(target.stem().string(), static_cast<uint32_t>(part) + 1, n_parts, ".gguf");
    std::string keys;
    uint64_t n_part_keys = 0;
    const auto add_key = [&](const std::string& key, const MetaValue& value) {
      ++n_part_keys;
      return encode_key_value(keys, key, value);
    };
    if (part == 0) {
      keys = metadata_bytes;
      n_part_keys = n_keys;
    } else if (options.alignment != kDefaultAlignment) {
      WATRA_TRY(add_key("general.alignment", MetaValue::of_u32(options.alignment)));
    }
    if (n_parts > 1) {
      WATRA_TRY(add_key("split.no", MetaValue::of_u16(static_cast<uint16_t>(part))));
      WATRA_TRY(add_key("split.count", MetaValue::of_u16(static_cast<uint16_t>(n_parts))));
      WATRA_TRY(add_key("split.tensors.count", MetaValue::of_i32(static_cast<int32_t>(tensors.size()))));
    }
    std::string header;
    encode_preamble(header, options.version, p.last - p.first, n_part_keys);
    header += keys;
    uint64_t offset = 0;
    for (size_t i = p.first; i < p.last; ++i) {
      encode_tensor_info(header, tensors[i].name, tensors[i].dtype, tensors[i].shape, offset);
      const auto next = checked_add(offset, aligned(tensors[i].size_bytes));
      if (!next || *next > uint64_t{1} << 62)
        return fail("checkpoint.too_large", fmt::format("{}: its tensors need more than 2^62 bytes", path.string()));
      offset = *next;
    }
    WATRA_ASSIGN(file, files.create(path));
    WATRA_TRY(file.append(header));
    return pad();
  }

  Status pad() {
    static constexpr std::array<std::byte, 4096> kZeros{};
    uint64_t n = aligned(file.position()) - file.position();
    while (n > 0) {
      const size_t chunk = std::min<uint64_t>(n, kZeros.size());
      WATRA_TRY(file.append(std::span(kZeros).first(chunk)));
      n -= chunk;
    }
    return {};
  }

  // Closes what is complete, so that `tensor` is the one the next byte belongs to.
  Status skip_full_tensors() {
    while (tensor < tensors.size() && tensor_at == tensors[tensor].size_bytes) {
      WATRA_TRY(pad());
      ++tensor;
      tensor_at = 0;
      if (tensor == parts[part].last && part + 1 < parts.size()) {
        ++part;
        WATRA_TRY(open_part());
      }
    }
    return {};
  }

  Status write(std::span<const std::byte> bytes) {
    if (!writing) WATRA_TRY(begin());
    while (!bytes.empty()) {
      if (tensor == tensors.size())
        return fail("checkpoint.writer_order",
                    fmt::format("{}: {} bytes more than the declared tensors hold", target.string(), bytes.size()));
      const size_t n = std::min<uint64_t>(bytes.size(), tensors[tensor].size_bytes - tensor_at);
      WATRA_TRY(file.append(bytes.first(n)));
      bytes = bytes.subspan(n);
      tensor_at += n;
      WATRA_TRY(skip_full_tensors());
    }
    return {};
  }

  Status declare(std::string name, tensor::DType dtype, const tensor::Shape& shape) {
    if (writing)
      return fail("checkpoint.writer_order",
                  fmt::format("tensor {} is declared after the first bytes were written", shown(name)));
    if (!is_printable_name(name) || name.size() > kMaxWrittenNameBytes)
      return fail("checkpoint.bad_name",
                  fmt::format("tensor name {} ({} bytes): needed 1 to {} bytes of UTF-8 without control characters",
                              shown(name), name.size(), kMaxWrittenNameBytes));
    uint64_t dims[tensor::kMaxRank];
    for (int i = 0; i < shape.rank(); ++i) dims[i] = shape[i] < 0 ? 0 : static_cast<uint64_t>(shape[i]);
    auto extent = tensor_extent(dtype, std::span(dims, static_cast<size_t>(shape.rank())));
    if (!extent) return fail(extent.error().code, fmt::format("tensor {}: {}", shown(name), extent.error().message));
    if (!names.insert(name).second)
      return fail("checkpoint.duplicate_tensor", fmt::format("tensor {} is declared twice", shown(name)));
    tensors.push_back({std::move(name), dtype, shape, extent->size_bytes});
    return {};
  }

  Result<std::vector<fs::path>> finish() {
    if (!writing) WATRA_TRY(begin());
    if (tensor != tensors.size())
      return fail("checkpoint.writer_order",
                  fmt::format("{}: tensor {} is not complete: {} of {} bytes were written", target.string(),
                              shown(tensors[tensor].name), tensor_at, tensors[tensor].size_bytes));
    file = File();
    WATRA_ASSIGN(auto paths, files.commit());
    finished = true;
    return paths;
  }
};

GgufWriter::GgufWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufWriter::GgufWriter(GgufWriter&&) noexcept = default;
GgufWriter& GgufWriter::operator=(GgufWriter&&) noexcept = default;
GgufWriter::~GgufWriter() = default;

Result<GgufWriter> GgufWriter::create(fs::path target, Metadata metadata, GgufWriterOptions options) {
  if (options.version != 2 && options.version != 3)
    return fail("checkpoint.unsupported_version",
                fmt::format("GGUF version {} cannot be written; 2 and 3 can", options.version));
  if (!std::has_single_bit(options.alignment) || options.alignment < kMinAlignment || options.alignment > kMaxAlignment)
    return fail("checkpoint.bad_alignment", fmt::format("alignment {}: needed a power of two from {} to {}",
                                                        options.alignment, kMinAlignment, kMaxAlignment));
  std::error_code ec;
  if (fs::is_directory(target, ec))
    return fail("checkpoint.not_a_file",
                fmt::format("{} is a folder; the name of a file to write was wanted", target.string()));
  auto impl = std::make_unique<Impl>();
  // These describe a file, not the model: they are ours to set.
  for (const char* key : {"split.no", "split.count", "split.tensors.count", "general.alignment"}) metadata.erase(key);
  if (options.alignment != kDefaultAlignment) metadata.set("general.alignment", MetaValue::of_u32(options.alignment));
  for (const auto& [key, value] : metadata.entries()) WATRA_TRY(encode_key_value(impl->metadata_bytes, key, value));
  if (impl->metadata_bytes.size() > kMaxHeaderBytes / 2)  // the other half is for the tensors' directory
    return fail("checkpoint.header_too_large", fmt::format("{} bytes of metadata; at most {} are written",
                                                           impl->metadata_bytes.size(), kMaxHeaderBytes / 2));
  impl->target = std::move(target);
  impl->n_keys = metadata.entries().size();
  impl->options = options;
  return GgufWriter(std::move(impl));
}

Status GgufWriter::declare(std::string name, tensor::DType dtype, tensor::Shape shape) {
  if (impl_->broken) return fail(*impl_->broken);
  return impl_->declare(std::move(name), dtype, shape);
}

Status GgufWriter::write(std::span<const std::byte> bytes) {
  if (impl_->broken) return fail(*impl_->broken);
  return impl_->guard(impl_->write(bytes));
}

Result<std::vector<fs::path>> GgufWriter::finish() {
  if (impl_->broken) return fail(*impl_->broken);
  if (impl_->finished)
    return fail("checkpoint.writer_order", fmt::format("{} is finished already", impl_->target.string()));
  auto paths = impl_->finish();
  if (!paths) WATRA_TRY(impl_->guard(fail(paths.error())));
  return paths;
}

}  // namespace watra::checkpoint
