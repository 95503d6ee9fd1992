#include "workshop/requantize.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>

#include "base/memory.h"
#include "base/thread_team.h"
#include "checkpoint/gguf_writer.h"
#include "model/quant_mix.h"
#include "tensor/quantize.h"

namespace watra::workshop {
namespace {

using checkpoint::Checkpoint;
using checkpoint::MetaValue;
using checkpoint::TensorInfo;
using tensor::DType;

constexpr int64_t kChunkElements = int64_t{1} << 20;  // 4 MB of floats at a time: it runs beside a loaded target
constexpr DType kTypes[] = {DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k,
                            DType::q6_k, DType::q4_0, DType::q5_0, DType::q8_0};
constexpr uint64_t kQuantizationVersion = 2;

// general.file_type as other programs know it.
uint32_t file_type(DType type) {
  switch (type) {
    case DType::q2_k:
      return 10;
    case DType::q3_k:
      return 11;
    case DType::q4_k:
      return 14;
    case DType::q5_k:
      return 16;
    case DType::q6_k:
      return 18;
    case DType::q4_0:
      return 2;
    case DType::q5_0:
      return 8;
    default:
      return 7;  // q8_0
  }
}

struct Job {
  const TensorInfo* source;
  DType type;
  int64_t rows, cols;
  bool is_copy() const { return type == source->dtype; }
  uint64_t source_row_bytes() const { return tensor::row_bytes(source->dtype, cols); }
  uint64_t row_bytes() const { return tensor::row_bytes(type, cols); }
  uint64_t bytes() const { return row_bytes() * static_cast<uint64_t>(rows); }
};

Result<std::vector<Job>> plan(const Checkpoint& file, DType wanted) {
  std::vector<Job> jobs;
  for (const TensorInfo& t : file.tensors()) {
    Job job{&t, requantized_type(t.name, t.dtype, t.shape, wanted), t.shape.rows(), t.shape.cols()};
    if (!job.is_copy() && !tensor::can_dequantize(t.dtype))
      return fail("requantize.unreadable_type",
                  fmt::format("tensor {} is {}, which cannot be read back into numbers", t.name,
                              tensor::traits(t.dtype).gguf_name),
                  "a file in another quantization");
    jobs.push_back(job);
  }
  return jobs;
}

Status check_space(const fs::path& target, uint64_t needed) {
  fs::path folder = target.parent_path();
  if (folder.empty()) folder = ".";
  WATRA_ASSIGN(const uint64_t free, free_space_bytes(folder));
  if (free >= needed) return {};
  return fail("requantize.no_space",
              fmt::format("{} needs {}, {} has {} free", target.string(), format_bytes(needed), folder.string(),
                          format_bytes(free)),
              "fewer bits, or another disk");
}

// Runs of rows, from the source's bytes to the target's. Scratch memory is kept between calls.
class Encoder {
 public:
  Encoder(const Checkpoint& file, ThreadTeam& team) : file_(file), team_(team) {}

  // Rows [first, first + n). Valid until the next call.
  Result<std::span<const std::byte>> encode(const Job& job, int64_t first, int64_t n) {
    const uint64_t from_bytes = job.source_row_bytes(), to_bytes = job.row_bytes();
    raw_.resize(from_bytes * static_cast<uint64_t>(n));
    WATRA_TRY(file_.read(*job.source, raw_, from_bytes * static_cast<uint64_t>(first)));
    if (job.is_copy()) return std::span<const std::byte>(raw_);
    values_.resize(static_cast<size_t>(n * job.cols));
    out_.resize(to_bytes * static_cast<uint64_t>(n));
    std::atomic<bool> is_finite{true};
    team_.parallel_for(n, std::max<int64_t>(1, (1 << 14) / job.cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        float* v = values_.data() + r * job.cols;
        tensor::dequantize_row(job.source->dtype, raw_.data() + from_bytes * static_cast<uint64_t>(r), v, job.cols);
        if (!std::all_of(v, v + job.cols, [](float x) { return std::isfinite(x); })) is_finite = false;
        tensor::quantize_row(job.type, v, out_.data() + to_bytes * static_cast<uint64_t>(r), job.cols);
      }
    });
    if (!is_finite)
      return fail("requantize.not_finite", fmt::format("tensor {} holds NaN or infinity", job.source->name),
                  "is the download complete?");
    return std::span<const std::byte>(out_);
  }

 private:
  const Checkpoint& file_;
  ThreadTeam& team_;
  std::vector<std::byte> raw_, out_;
  std::vector<float> values_;
};

int64_t rows_at_a_time(const Job& job) { return std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, job.cols)); }

// First, middle and last row of every tensor, made again and compared with what the file now says.
Status verify(const fs::path& path, const std::vector<Job>& jobs, Encoder& encoder) {
  WATRA_ASSIGN(const Checkpoint file, Checkpoint::open(path));
  std::vector<std::byte> found;
  for (const Job& job : jobs) {
    const TensorInfo* t = file.find(job.source->name);
    bool same = t && t->dtype == job.type && t->shape == job.source->shape;
    for (const int64_t row : {int64_t{0}, job.rows / 2, job.rows - 1}) {
      if (!same || job.rows == 0) break;
      WATRA_ASSIGN(const auto expected, encoder.encode(job, row, 1));
      found.resize(expected.size());
      WATRA_TRY(file.read(*t, found, job.row_bytes() * static_cast<uint64_t>(row)));
      same = std::memcmp(found.data(), expected.data(), expected.size()) == 0;
    }
    if (!same)
      return fail("requantize.verify_failed",
                  fmt::format("{}: read back, {} differs from what was written", path.string(), job.source->name),
                  "the file was removed; the disk or its cable may be failing");
  }
  return {};
}

}  // namespace

std::span<const DType> requantize_types() { return kTypes; }

DType requantized_type(std::string_view name, DType source, const tensor::Shape& shape, DType wanted) {
  return model::low_bit_dtype(wanted, name, source, static_cast<int>(shape.rank()), shape.cols());
}

Result<RequantizeReport> requantize(const RequantizeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (std::find(std::begin(kTypes), std::end(kTypes), options.type) == std::end(kTypes)) {
    std::string names;
    for (const DType t : kTypes) names += fmt::format("{}{}", names.empty() ? "" : ", ", tensor::dtype_name(t));
    return fail("requantize.type",
                fmt::format("{} is not among the types a model can be brought to", tensor::dtype_name(options.type)),
                names);
  }
  WATRA_ASSIGN(const Checkpoint file, Checkpoint::open(options.source));
  std::error_code ec;
  for (const fs::path& part : file.paths())
    if (fs::equivalent(part, options.target, ec) && !ec)
      return fail("requantize.same_file", fmt::format("{} is the source itself", options.target.string()),
                  "another name for the new file");
  WATRA_ASSIGN(const std::vector<Job> jobs, plan(file, options.type));

  RequantizeReport report;
  uint64_t total = 0, written = 0;
  for (const Job& job : jobs) {
    total += job.source->size_bytes;
    written += job.bytes();
    report.bytes_by_type[job.type] += job.bytes();
    report.n_copied += job.is_copy() ? 1 : 0;
  }
  // Header and vocabulary are as large as the source's.
  WATRA_TRY(
      check_space(options.target, written + (file.file_bytes() - std::min(file.file_bytes(), total)) + (1 << 20)));

  checkpoint::Metadata metadata = file.metadata();
  metadata.set("general.file_type", MetaValue::of_u32(file_type(options.type)));
  metadata.set("general.quantization_version", MetaValue::of_u32(kQuantizationVersion));
  WATRA_ASSIGN(auto writer, checkpoint::GgufWriter::create(options.target, std::move(metadata)));
  for (const Job& job : jobs) WATRA_TRY(writer.declare(job.source->name, job.type, job.source->shape));

  ThreadTeam team(options.threads > 0 ? options.threads : default_thread_count());
  Encoder encoder(file, team);
  uint64_t done = 0;
  for (const Job& job : jobs) {
    const int64_t step = rows_at_a_time(job);
    for (int64_t row = 0; row < job.rows; row += step) {
      if (options.cancelled && options.cancelled())
        return fail("requantize.cancelled", fmt::format("writing {} was stopped", options.target.string()));
      const int64_t n = std::min(step, job.rows - row);
      WATRA_ASSIGN(const auto bytes, encoder.encode(job, row, n));
      WATRA_TRY(writer.write(bytes));
      done += job.source_row_bytes() * static_cast<uint64_t>(n);
      if (options.progress) options.progress(done, total);
    }
  }
  WATRA_TRY(writer.finish());
  if (Status same = verify(options.target, jobs, encoder); !same) {
    fs::remove(options.target, ec);
    return fail(std::move(same).error());
  }
  report.path = options.target;
  report.source_bytes = file.file_bytes();
  report.bytes = fs::file_size(options.target, ec);
  report.n_tensors = static_cast<int64_t>(jobs.size());
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace watra::workshop
