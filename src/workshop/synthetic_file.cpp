#include "workshop/synthetic_file.h"

#include <algorithm>

#include "checkpoint/gguf_writer.h"
#include "model/synthetic.h"
#include "tensor/blocks.h"

namespace watra::workshop {
namespace {

constexpr uint64_t kPieceBytes = 4u << 20;

}  // namespace

Result<SyntheticReport> write_synthetic(std::string_view spec, const fs::path& target,
                                        const std::function<void(const ConvertProgress&)>& progress) {
  WATRA_ASSIGN(const checkpoint::Checkpoint model, model::synthetic_checkpoint(spec));
  WATRA_ASSIGN(auto writer, checkpoint::GgufWriter::create(target, model.metadata()));
  SyntheticReport report;
  uint64_t total = 0;
  for (const checkpoint::TensorInfo& t : model.tensors()) {
    WATRA_TRY(writer.declare(t.name, t.dtype, t.shape));
    total += t.size_bytes;
    report.n_params += static_cast<uint64_t>(t.shape.elements());
  }
  report.n_tensors = model.tensors().size();

  std::vector<std::byte> piece;
  for (const checkpoint::TensorInfo& t : model.tensors()) {
    const uint64_t block = tensor::traits(t.dtype).block_bytes, step = kPieceBytes / block * block;
    for (uint64_t at = 0; at < t.size_bytes; at += step) {
      piece.resize(std::min(step, t.size_bytes - at));
      WATRA_TRY(model::fill_synthetic(t.dtype, piece, report.bytes));
      WATRA_TRY(writer.write(piece));
      report.bytes += piece.size();
      if (progress) progress({report.bytes, total});
    }
  }
  WATRA_TRY(writer.finish());
  std::error_code ec;
  if (const auto size = fs::file_size(target, ec); !ec) report.bytes = size;
  return report;
}

}  // namespace watra::workshop
