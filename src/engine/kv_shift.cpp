#include "engine/kv_shift.h"

#include <cmath>
#include <cstring>

#include "tensor/half.h"
#include "tensor/quantize.h"

namespace watra::engine {
namespace {

constexpr int64_t kBlock = 32;  // of q8_0 and q4_0

// Undoes the transform that q4_0 rows are stored in (kernels/ops.h, KvType): orthonormal, its own inverse, in pieces of
// the largest power of two that divides d_head.
void hadamard(float* x, int64_t n, int64_t d_head) {
  const int64_t size = std::min<int64_t>(d_head & -d_head, 256);
  for (int64_t half = 1; half < size; half *= 2)
    for (int64_t at = 0; at < n; at += 2 * half)
      for (int64_t i = at; i < at + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
  const float norm = 1.0f / std::sqrt(static_cast<float>(size));
  for (int64_t i = 0; i < n; ++i) x[i] *= norm;
}

// out: d_head floats, rounded up to whole blocks.
void read_row(KvType type, const std::byte* row, float* out, int64_t d_head) {
  const int64_t whole = (d_head + kBlock - 1) / kBlock * kBlock;
  switch (type) {
    case KvType::f32:
      std::memcpy(out, row, static_cast<size_t>(d_head) * sizeof(float));
      return;
    case KvType::f16: {
      for (int64_t i = 0; i < d_head; ++i) {
        uint16_t bits;
        std::memcpy(&bits, row + 2 * i, sizeof bits);
        out[i] = tensor::f16_to_f32(bits);
      }
      return;
    }
    case KvType::q8_0:
      return tensor::dequantize_row(tensor::DType::q8_0, row, out, whole);
    case KvType::q4_0:
      tensor::dequantize_row(tensor::DType::q4_0, row, out, whole);
      return hadamard(out, whole, d_head);
  }
}

}  // namespace

KvShift::KvShift(const model::HParams& hp, int64_t n_ctx, const kernels::Kernels& kernels, ThreadTeam& team)
    : hp_(hp), kernels_(kernels), team_(team) {
  for (const auto& rope : hp.ropes) tables_.push_back(rope.table(n_ctx));
}

Status KvShift::drop(KvCache& kv, SequenceId id, int64_t first, int64_t n) const {
  WATRA_TRY(kv.drop_pages(id, first / kernels::kKvPage, n / kernels::kKvPage));
  std::vector<Turn> turns(tables_.size());
  for (size_t t = 0; t < tables_.size(); ++t)
    for (const double inv_freq : tables_[t].inv_freq) {
      const double angle = -static_cast<double>(n) * inv_freq;
      turns[t].cos.push_back(static_cast<float>(std::cos(angle)));
      turns[t].sin.push_back(static_cast<float>(std::sin(angle)));
    }
  team_.parallel_for(static_cast<int64_t>(hp_.layers.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t layer = begin; layer < end; ++layer)
      turn_rows(kv, id, static_cast<int>(layer), first,
                turns[static_cast<size_t>(hp_.layers[static_cast<size_t>(layer)].rope)]);
  });
  return {};
}

void KvShift::turn_rows(KvCache& kv, SequenceId id, int layer, int64_t first, const Turn& turn) const {
  const auto& l = hp_.layers[static_cast<size_t>(layer)];
  const auto& rope = hp_.ropes[static_cast<size_t>(l.rope)];
  std::vector<float> key(static_cast<size_t>((l.d_head + kBlock - 1) / kBlock * kBlock));
  for (int64_t slot = first; slot < kv.length(id); ++slot)
    for (int g = 0; g < l.n_kv_heads; ++g) {
      std::byte* row = kv.slot_page(id, slot) + kv.k_row_offset(layer, g, slot);
      read_row(kv.types(layer).k, row, key.data(), l.d_head);
      kernels_.rope(key.data(), 1, l.d_head, rope.n_rot, rope.style, turn.cos.data(), turn.sin.data());
      kernels_.store_kv(kv.types(layer).k, key.data(), row, l.d_head);
    }
}

}  // namespace watra::engine
