#include "engine/internal/read_plan.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::engine::internal {
namespace {

// Bytes between two tensors that are read along rather than making two reads of them.
constexpr uint64_t kLargestGap = 64 << 10;

uint64_t row_bytes(const checkpoint::TensorInfo& info) { return tensor::row_bytes(info.dtype, info.shape.cols()); }

// What must not be cut: a group of rows, also of matrices that stay as they are, so that both are cut alike.
uint64_t unit_bytes(const checkpoint::TensorInfo& info) {
  if (info.shape.rank() < 2) return tensor::traits(info.dtype).block_bytes;
  return row_bytes(info) * static_cast<uint64_t>(tensor::kInterleavedRows);
}

uint64_t n_elements(const checkpoint::TensorInfo& info, uint64_t n_bytes) {
  const auto& t = tensor::traits(info.dtype);
  return n_bytes / t.block_bytes * t.block_elements;
}

Status place_on_device(const Piece& piece, uint64_t skip, const std::byte* bytes) {
  const PlacedTensor& to = *piece.tensor;
  if (to.placing == Placing::copy) return to.device->upload(to.device_offset + skip, {bytes, piece.n_bytes});
  std::vector<float> floats(n_elements(*to.info, piece.n_bytes));
  tensor::dequantize_row(to.info->dtype, bytes, floats.data(), std::ssize(floats));
  return to.device->upload(to.device_offset + n_elements(*to.info, skip) * sizeof(float),
                           std::as_bytes(std::span(floats)));
}

}  // namespace

ReadPlan plan_reads(const std::vector<PlacedTensor>& tensors, uint64_t read_bytes) {
  ReadPlan plan;
  for (const PlacedTensor& t : tensors) {
    const uint64_t unit = unit_bytes(*t.info), most = std::max(read_bytes / unit, uint64_t{1}) * unit;
    for (uint64_t skip = t.begin_bytes, n = 0; skip < t.end_bytes; skip += n) {
      n = std::min(most, t.end_bytes - skip);
      plan.pieces.push_back({&t, skip, n});
      plan.n_bytes += n;
    }
  }
  const auto place = [](const Piece& p) { return std::tuple(p.tensor->info->file_index, p.file_offset()); };
  std::sort(plan.pieces.begin(), plan.pieces.end(),
            [&](const Piece& a, const Piece& b) { return place(a) < place(b); });
  for (size_t i = 0; i < plan.pieces.size(); ++i) {
    const Piece& p = plan.pieces[i];
    const uint64_t begin = p.file_offset(), end = begin + p.n_bytes;
    PlannedRead* last = plan.reads.empty() ? nullptr : &plan.reads.back();
    if (last && last->file_index == p.tensor->info->file_index && begin <= last->offset + last->n_bytes + kLargestGap &&
        end - last->offset <= read_bytes) {
      last->n_bytes = std::max(last->n_bytes, end - last->offset);
      ++last->n_pieces;
    } else {
      plan.reads.push_back({p.tensor->info->file_index, begin, p.n_bytes, i, 1});
    }
    plan.longest_read_bytes = std::max(plan.longest_read_bytes, plan.reads.back().n_bytes);
  }
  return plan;
}

Status place_piece(const Piece& piece, const std::byte* bytes) {
  const checkpoint::TensorInfo& info = *piece.tensor->info;
  const uint64_t skip = piece.skip_bytes - piece.tensor->begin_bytes;
  if (piece.tensor->device) return place_on_device(piece, skip, bytes);
  switch (piece.tensor->placing) {
    case Placing::copy:
      std::memcpy(piece.tensor->to + skip, bytes, piece.n_bytes);
      break;
    case Placing::interleave: {
      const uint64_t row = row_bytes(info), group = row * static_cast<uint64_t>(tensor::kInterleavedRows);
      std::byte* to = piece.tensor->to + skip;
      uint64_t at = 0;
      for (; at + group <= piece.n_bytes; at += group)
        tensor::interleave_group(info.dtype, bytes + at, row, info.shape.cols(), to + at);
      std::memcpy(to + at, bytes + at, piece.n_bytes - at);
      break;
    }
    case Placing::to_f32: {
      float* to = reinterpret_cast<float*>(piece.tensor->to) + n_elements(info, skip);
      tensor::dequantize_row(info.dtype, bytes, to, static_cast<int64_t>(n_elements(info, piece.n_bytes)));
      break;
    }
  }
  return {};
}

}  // namespace watra::engine::internal
