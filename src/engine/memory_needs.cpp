#include "engine/memory_needs.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/checked.h"
#include "engine/recent_rows.h"
#include "kernels/ops.h"

namespace watra::engine {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// The program with its libraries as it lies in memory once a model is open, and a piece of the vocabulary with its
// text, merges and their tables: 30 MiB with 49,152 pieces, 70 with 151,936.
constexpr uint64_t kProgramBytes = 10 * kMiB;
constexpr uint64_t kBytesPerPiece = 420;

// Reads in flight while a draft is loaded, what its file's directory leaves behind, and rounding.
constexpr uint64_t kDraftSlack = 12 * kMiB;

// Of the limit: what a ring may take, and the activations of a pass.
constexpr uint64_t kRingShare = 24, kActivationsShare = 64;
// 24 MiB keep a disk of 1 GB/s busy over the longest pause of a decode step, 256 MiB one of 10 (docs/measurements.md).
constexpr uint64_t kLeastRing = 24 * kMiB, kMostRing = 256 * kMiB, kSmallestRing = 4 * kMiB;
// Below 128 rows reading a prompt is bound by the disk, above 2048 nothing is gained.
constexpr int64_t kLeastRows = 128, kMostRows = 2048, kSmallestRows = 32;

constexpr int64_t kEncoderRows = 512;

constexpr uint64_t kKvStoreShare = 32, kMostKvStoreRoom = 32 * kMiB;

// Widths of what a row keeps.
struct Widths {
  int64_t heads = 0, kv = 0, ff = 0, rotated = 0;
  int64_t partial = 0;  // floats of a row's partial attention, for each chunk
  int64_t block_rows = INT64_MAX;
};

Widths widths_of(const model::ModelOutline& o, int64_t n_chunks) {
  Widths w;
  for (const auto& l : o.layers) {
    w.heads = std::max<int64_t>(w.heads, int64_t{l.n_heads} * l.d_head);
    w.kv = std::max<int64_t>(w.kv, int64_t{l.n_kv_heads} * l.d_head);
    w.ff = std::max(w.ff, l.d_ff);
    w.rotated = std::max<int64_t>(w.rotated, l.d_head);
    w.partial = std::max(w.partial, kernels::attention_partial_floats(1, l.n_heads, l.d_head, n_chunks));
    if (l.n_heads > 0)
      w.block_rows = std::min<int64_t>(w.block_rows, kernels::kAttentionPairs * l.n_kv_heads / l.n_heads);
  }
  return w;
}

// Inputs of the products as the kernels of this machine want them: a buffer of each format, as wide as its widest.
uint64_t converted_bytes(const model::ModelOutline& o, int64_t rows) {
  const kernels::Kernels& k = *kernels::available().back();
  std::array<int64_t, kernels::kActFormats> of{};
  for (const auto& t : o.tensors) {
    if (t.rank != 2 || t.read == model::OutlineTensor::Read::gathered || t.read == model::OutlineTensor::Read::never)
      continue;
    const auto format = k.act_format(t.dtype);
    int64_t& bytes = of[static_cast<size_t>(format)];
    if (format != kernels::ActFormat::f32) bytes = std::max(bytes, k.act_bytes(format, rows, t.cols));
  }
  return static_cast<uint64_t>(std::accumulate(of.begin(), of.end(), int64_t{0}));
}

}  // namespace

uint64_t runtime_bytes(int64_t n_vocab, int n_threads) {
  return 4 * kMiB + static_cast<uint64_t>(n_vocab) * 64 + static_cast<uint64_t>(n_threads) * (kMiB / 4);
}

uint64_t program_bytes(int64_t n_vocab, int n_threads) {
  return kProgramBytes + static_cast<uint64_t>(n_vocab) * kBytesPerPiece + runtime_bytes(n_vocab, n_threads);
}

uint64_t kv_cache_bytes(const model::ModelOutline& o, const KvTypes& types, int64_t n, int first_layer) {
  uint64_t bytes = 0;
  for (int i = first_layer; i < o.n_layers; ++i) {
    const KvPair t = types.of(i);
    const uint64_t of_layer = o.kv_bytes_per_position(i, t.k, t.v);
    bytes = o.is_encoder ? std::max(bytes, of_layer) : bytes + of_layer;
  }
  return bytes * static_cast<uint64_t>(ceil_div<int64_t>(std::max<int64_t>(n, 1), kernels::kKvPage) * kernels::kKvPage);
}

uint64_t exact_kv_bytes(const model::ModelOutline& o, const KvTypes& types, int64_t n, int64_t n_sequences,
                        int64_t max_rows) {
  uint64_t position = 0, largest = 0;  // bytes of a position: of all layers, and of one
  for (int i = 0; i < o.n_layers; ++i) {
    const KvPair t = types.of(i);
    const uint64_t half = o.kv_bytes_per_position(i, KvType::f16, KvType::f16) / 2;
    const uint64_t of_layer = half * (kernels::is_quantized(t.k) + kernels::is_quantized(t.v));
    position += of_layer;
    largest = std::max(largest, of_layer);
  }
  const int64_t n_pages = ceil_div<int64_t>(std::max<int64_t>(n, 1), kernels::kKvPage);
  const int64_t n_whole = 2 * n_sequences + RecentRows::n_first_places(n_sequences, n_pages);
  return static_cast<uint64_t>(kernels::kKvPage) *
         (static_cast<uint64_t>(n_whole) * position + static_cast<uint64_t>(max_rows / kernels::kKvPage) * largest);
}

int64_t encoder_rows(int64_t n_ctx) { return std::max(n_ctx, kEncoderRows); }
int64_t encoder_kv_positions(int64_t rows) { return rows + kEncoderTexts * kernels::kKvPage; }
KvTypes encoder_kv_types() { return {kernels::KvType::f32, kernels::KvType::f32}; }

uint64_t activation_bytes(const model::ModelOutline& o, int64_t rows, int64_t logit_rows, int64_t n_ctx) {
  const Widths w = widths_of(o, ceil_div<int64_t>(n_ctx, kernels::kAttentionChunk));
  const int64_t floats = 2 * o.d_model + 2 * w.heads + 2 * w.kv + 2 * w.ff + w.rotated;
  const int64_t block_rows = std::clamp<int64_t>(w.block_rows, 1, std::max<int64_t>(rows, 1));
  const int64_t logits = o.is_encoder ? 0 : logit_rows * o.n_vocab;
  return static_cast<uint64_t>(rows * floats * 4 + logits * 4 + block_rows * w.partial * 4) + converted_bytes(o, rows);
}

uint64_t draft_model_bytes(const model::ModelOutline& d, int64_t n_ctx, bool shares_cache) {
  constexpr int64_t kRows = 256, kBeam = 8;  // DraftModelOptions' own
  constexpr uint64_t kListBytes = 64;        // a piece of the vocabulary, in the proposer's lists
  return d.weight_bytes() + (shares_cache ? 0 : kv_cache_bytes(d, KvTypes{}, n_ctx)) +
         activation_bytes(d, kRows, kBeam, n_ctx) + static_cast<uint64_t>(d.n_vocab) * (kBytesPerPiece + kListBytes) +
         kDraftSlack;
}

StreamNeeds stream_needs(const model::ModelOutline& o, uint64_t limit, uint64_t ring_bytes, int64_t max_rows) {
  const Widths w = widths_of(o, 1);
  const auto row_bytes = static_cast<uint64_t>(2 * o.d_model + 3 * w.heads + 2 * w.ff) * 5;
  const auto rows = static_cast<int64_t>(limit / kActivationsShare / row_bytes) / 64 * 64;
  return {ring_bytes ? ring_bytes : std::clamp(limit / kRingShare, kLeastRing, kMostRing),
          max_rows ? max_rows : std::clamp(rows, kLeastRows, kMostRows)};
}

StreamNeeds least_stream_needs(const StreamNeeds& needs) {
  return {std::min(needs.ring_bytes, kSmallestRing), std::min(needs.max_rows, kSmallestRows)};
}

uint64_t kv_store_room_bytes(uint64_t limit_bytes) { return std::min(limit_bytes / kKvStoreShare, kMostKvStoreRoom); }

}  // namespace watra::engine
