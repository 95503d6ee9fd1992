// The job: config -> plan -> tensors matched -> streamed -> renamed into place -> reopened and compared.
#include "workshop/convert.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors.h"
#include "workshop/convert/family.h"
#include "workshop/convert/general_metadata.h"
#include "workshop/convert/hf_config.h"
#include "workshop/convert/tensor_job.h"
#include "workshop/convert/vocabulary.h"

namespace watra::workshop {

using checkpoint::Checkpoint;
using checkpoint::Metadata;
using checkpoint::MetaValue;
using checkpoint::Safetensors;

namespace {

constexpr int64_t kChunkElements = int64_t{4} << 20;  // 16 MB of floats at a time, whatever the tensor's size
constexpr uint64_t kHeaderSlackBytes = 64 << 20;      // vocabulary and tensor directory, generously

OutType resolve(OutType wanted, const Safetensors& source) {
  if (wanted != OutType::automatic) return wanted;
  for (const checkpoint::TensorInfo& t : source.tensors())
    if (t.shape.rank() >= 2) return t.dtype == tensor::DType::bf16 ? OutType::bf16 : OutType::f16;
  return OutType::f16;
}

Status check_space(const fs::path& target, uint64_t needed) {
  fs::path folder = target.parent_path();
  if (folder.empty()) folder = ".";
  WATRA_ASSIGN(const uint64_t free, free_space_bytes(folder));
  if (free >= needed) return {};
  return fail("convert.no_space",
              fmt::format("{} needs {}, {} has {} free", target.string(), format_bytes(needed), folder.string(),
                          format_bytes(free)),
              "a smaller --outtype, or another disk");
}

Status write_tensors(const ConvertOptions& options, const std::vector<TensorJob>& jobs, TensorEncoder& encoder,
                     checkpoint::GgufWriter& writer) {
  uint64_t done = 0, total = 0;
  for (const TensorJob& job : jobs) total += job.size_bytes();
  for (const TensorJob& job : jobs) {
    const int64_t step = std::max<int64_t>(1, kChunkElements / job.unit_elements());
    for (int64_t u = 0; u < job.n_units(); u += step) {
      WATRA_ASSIGN(const auto bytes, encoder.encode(job, u, std::min(step, job.n_units() - u)));
      WATRA_TRY(writer.write(bytes));
      done += bytes.size();
      if (options.progress) options.progress({done, total});
    }
  }
  return {};
}

bool same(const MetaValue& a, const MetaValue& b) {
  if (a.type != b.type) return false;
  if (a.type != checkpoint::MetaType::array) return a.value == b.value;
  const auto& x = *std::get<std::shared_ptr<const checkpoint::MetaArray>>(a.value);
  const auto& y = *std::get<std::shared_ptr<const checkpoint::MetaArray>>(b.value);
  return x.element_type == y.element_type && x.u64 == y.u64 && x.i64 == y.i64 && x.f64 == y.f64 &&
         x.strings == y.strings;
}

// What the file says, and the first, middle and last unit of every tensor, against the plan. Returns the rows compared.
Result<uint64_t> verify(const Checkpoint& file, const Metadata& metadata, const std::vector<TensorJob>& jobs,
                        TensorEncoder& encoder) {
  auto differs = [&](std::string what) {
    return fail("convert.verify_failed",
                fmt::format("{}: read back, {} differs from what was written", file.paths()[0].string(), what),
                "the file was removed; the disk or its cable may be failing");
  };
  for (const auto& [key, value] : metadata.entries()) {
    const MetaValue* found = file.metadata().find(key);
    if (!found || !same(*found, value)) return differs(key);
  }
  if (file.tensors().size() != jobs.size()) return differs("the number of tensors");
  uint64_t n_rows = 0;
  std::vector<std::byte> read_back;
  for (const TensorJob& job : jobs) {
    const checkpoint::TensorInfo* info = file.find(job.plan.name);
    if (!info || info->dtype != job.dtype || info->shape != job.plan.shape || info->size_bytes != job.size_bytes())
      return differs(job.plan.name);
    const int64_t last = job.n_units() - 1;
    for (int64_t u : {int64_t{0}, last / 2, last}) {
      WATRA_ASSIGN(const auto expected, encoder.encode(job, u, 1));
      read_back.resize(expected.size());
      WATRA_TRY(file.read(*info, read_back, job.unit_size_bytes() * static_cast<uint64_t>(u)));
      if (std::memcmp(read_back.data(), expected.data(), expected.size()) != 0) return differs(job.plan.name);
      n_rows += static_cast<uint64_t>(job.unit_rows);
    }
  }
  return n_rows;
}

Status reopen_and_verify(const fs::path& path, const Metadata& metadata, const std::vector<TensorJob>& jobs,
                         TensorEncoder& encoder, ConvertReport& report) {
  WATRA_ASSIGN(const Checkpoint file, Checkpoint::open(path));
  WATRA_ASSIGN(report.n_rows_checked, verify(file, metadata, jobs, encoder));
  report.path = path;
  report.bytes = file.file_bytes();
  return {};
}

}  // namespace

std::optional<OutType> out_type_from_name(std::string_view name) {
  for (OutType t : {OutType::automatic, OutType::f32, OutType::f16, OutType::bf16, OutType::q8_0})
    if (name == out_type_name(t)) return t;
  return std::nullopt;
}

std::string_view out_type_name(OutType type) {
  switch (type) {
    case OutType::automatic:
      return "auto";
    case OutType::f32:
      return "f32";
    case OutType::f16:
      return "f16";
    case OutType::bf16:
      return "bf16";
    case OutType::q8_0:
      return "q8_0";
  }
  return "?";
}

Result<ConvertReport> convert(const ConvertOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  std::error_code ec;
  if (!fs::is_directory(options.source, ec))
    return fail("convert.no_folder", fmt::format("{} is not a folder", options.source.string()),
                "the folder that holds config.json");

  WATRA_ASSIGN(const HfConfig config, load_hf_config(options.source));
  WATRA_ASSIGN(const FamilyPlan plan, plan_family(config));
  WATRA_ASSIGN(const Safetensors source, Safetensors::open(options.source));
  const OutType out_type = resolve(options.out_type, source);
  WATRA_ASSIGN(const std::vector<TensorJob> jobs, make_jobs(plan, config, source, out_type));
  WATRA_ASSIGN(const Vocabulary vocabulary, load_vocabulary(options.source, config, options.pre_tokenizer));

  ConvertReport report;
  report.architecture = plan.architecture;
  report.out_type = out_type;
  report.n_tensors = jobs.size();
  report.warnings = vocabulary.warnings;
  uint64_t total_bytes = kHeaderSlackBytes;
  for (const TensorJob& job : jobs) {
    report.n_params += static_cast<uint64_t>(job.plan.shape.elements());
    total_bytes += job.size_bytes();
  }
  WATRA_TRY(check_space(options.target, total_bytes));

  WATRA_ASSIGN(Metadata metadata, general_metadata(options, plan, out_type, report.n_params));
  for (const auto& [key, value] : plan.metadata.entries()) metadata.set(key, value);
  add_to_metadata(vocabulary, metadata);

  WATRA_ASSIGN(checkpoint::GgufWriter writer, checkpoint::GgufWriter::create(options.target, metadata));
  for (const TensorJob& job : jobs) WATRA_TRY(writer.declare(job.plan.name, job.dtype, job.plan.shape));
  ThreadTeam team(options.threads > 0 ? options.threads : default_thread_count());
  TensorEncoder encoder(source, team);
  WATRA_TRY(write_tensors(options, jobs, encoder, writer));
  WATRA_TRY(writer.finish());

  auto checked = reopen_and_verify(options.target, metadata, jobs, encoder, report);
  if (!checked) {
    fs::remove(options.target, ec);
    return fail(std::move(checked).error());
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace watra::workshop
