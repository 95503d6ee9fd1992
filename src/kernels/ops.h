// The kernels' one public face: a table of functions for one ISA, chosen once at start (dispatch.cpp).
//
// Kernels know memory and arithmetic, nothing else: no allocation, no threads, no model names, no I/O. The engine's
// executor cuts the work into ranges and calls them from every member of its thread team.
//
// Exactness (DESIGN section 5): each output has one order of float operations per dtype and ISA, whatever M is, however
// rows and positions are cut into ranges, and in every layout. So decode, verification and prefill give the same bits.
//
// Shape letters: M rows of the pass, R output rows, D inputs, H heads, G kv heads, E d_head. Row-major, last
// contiguous.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tensor/tensor.h"

namespace watra::kernels {

using tensor::DType;
using tensor::TensorView;

// How a matrix product wants its activations. Chosen by weight dtype and ISA; rows are converted once per call and
// shared by all products that read the same input (q, k, v; gate, up). Where they lie: act_format.h.
enum class ActFormat : uint8_t {  // the integer ones in this order: added_to_weights()
  f32,                            // as they are
  q8,                             // blocks of 32 in 8 bits, the few that matter most in 15
  q8_4,                           // the same for weights whose integers have 4 added, so that they are unsigned
  q8_8,                           // 8
  q8_16,                          // 16
  q8_32,                          // 32
  q8_64,                          // 64
  q8_128,                         // 128
  bf16,  // rounded to bfloat16: where the processor multiplies such pairs (docs/decisions/0025)
};

inline constexpr int kActFormats = 9;
// Records of act_format.h.
constexpr bool is_integer(ActFormat f) { return f >= ActFormat::q8 && f <= ActFormat::q8_128; }
// What is added to the integers of the weights that a format is for.
constexpr int added_to_weights(ActFormat f) {
  return is_integer(f) && f != ActFormat::q8 ? 2 << (static_cast<int>(f) - static_cast<int>(ActFormat::q8)) : 0;
}
// The format for weights with so much added: 0, 4, 8, 16, 32, 64 or 128.
constexpr ActFormat q8_for_added(int added) {
  for (int f = static_cast<int>(ActFormat::q8); f < static_cast<int>(ActFormat::q8_128); ++f)
    if (added_to_weights(static_cast<ActFormat>(f)) == added) return static_cast<ActFormat>(f);
  return ActFormat::q8_128;
}

// How many bytes ahead of what is computed weights are fetched: into the second-level cache, and from there into the
// first (0 = not). At least 0, multiples of 64. What is fastest differs from processor to processor by up to a fifth
// (docs/decisions/0035-fetching-is-measured.md); no result depends on it.
struct FetchAhead {
  int64_t far = 16384, near = 2048;
  // One token's products with eight-bit weights fetch straight into the first-level cache, so far ahead (0 = as above).
  // Of floats they take from here only whether this is 0; how far they look is fixed (lanes/dot.h).
  int64_t straight = 8192;
};
// What was fastest on some processor, the one to begin with first.
inline constexpr FetchAhead kFetchAheads[] = {{}, {16384, 2048, 0}, {8192, 2048, 0}, {4608, 2048, 0}};

struct MatmulArgs {
  TensorView w;        // [R, D]
  const std::byte* x;  // f32: M rows x_stride_bytes apart; others: act_bytes() of all M rows
  int64_t x_stride_bytes;
  int64_t m;
  float* y;  // y[m * y_stride + r]
  int64_t y_stride;
  ActFormat x_format = ActFormat::f32;  // what act_format() gave for w.dtype
  // Of weights that come from memory; none of it changes a result. Rows from the range's end up to next_row_end are
  // what the calling thread will probably compute next: what they begin with is fetched meanwhile (0 = nothing is
  // known). is_fetched: so it was with the range at hand.
  int64_t next_row_end = 0;
  bool is_fetched = false;
  FetchAhead fetch = {};
};

// ---- attention ----

// Positions per KV page and per attention tile, and per partial result. Both are absolute: tile t holds positions
// [64 t, 64 t + 64), chunk c holds [512 c, 512 c + 512), whoever computes them.
inline constexpr int kKvPage = 64;
inline constexpr int kAttentionChunk = 512;

// How a head's key or value of one position is stored (docs/decisions/0006). Quantized types have the blocks of
// tensor/blocks.h; a head that is no multiple of 32 floats ends with a padded block. q4_0 stores the head's Hadamard
// transform, which spreads outliers; the kernels turn queries and results accordingly, so that nobody else sees it.
enum class KvType : uint8_t { f16, f32, q8_0, q4_0 };
inline constexpr KvType kKvTypes[] = {KvType::f16, KvType::f32, KvType::q8_0, KvType::q4_0};
constexpr bool is_quantized(KvType type) { return type == KvType::q8_0 || type == KvType::q4_0; }
std::string_view kv_type_name(KvType);
int64_t kv_row_bytes(KvType, int64_t d_head);

// What one query row sees. Position p < n_shared lies at slot p. Position n_shared + i lies at slot tail[i]: the row's
// own ancestors in this pass (a chain, or a branch of a draft tree) and, last, the row itself. Slot s lies in page s /
// kKvPage. A row of an encoder sees its whole sequence: for it the last one is the sequence's last row.
struct AttentionRow {
  const std::byte* const* pages;  // page table of the row's sequence
  int64_t n_shared;
  const int32_t* tail;
  int32_t n_tail;  // >= 1; the last position the row sees is n_shared + n_tail - 1, its own unless it is an encoder's
  // Positions of the first page (sinks) and of the row's own (those with its position / kKvPage) are seen as computed
  // where they are stored quantized (docs/decisions/0013): slot s in a.recent[recent[s / kKvPage]]. Null = as stored.
  const int32_t* recent = nullptr;
  int64_t position() const { return n_shared + n_tail - 1; }
};

// Consecutive rows of one sequence (the same page table) that share each load of a tile. How rows are cut into blocks
// changes no bit of a result. Good sizes: kAttentionPairs / (H/G) rows.
struct AttentionBlock {
  int32_t first, n;
};
inline constexpr int kAttentionPairs = 64;  // (row, head) pairs that are worked on together

// Inside a page, this layer's keys begin at k_offset_bytes as [G, kKvPage, row bytes], its values at v_offset_bytes
// alike.
struct AttentionArgs {
  int32_t n_heads, n_kv_heads, d_head;
  KvType k_type, v_type;
  int64_t k_offset_bytes, v_offset_bytes;
  float scale;     // on q.k
  float softcap;   // 0 = none; else s = softcap * tanh(s / softcap)
  int64_t window;  // 0 = all; else only positions > p - window
  const float* q;  // [M, H, E], rows q_stride apart
  int64_t q_stride;
  float* out;  // [M, H, E], rows out_stride apart
  int64_t out_stride;
  const AttentionRow* rows;
  const AttentionBlock* blocks;  // of the M rows
  int32_t n_chunks;              // ceil((largest position + 1) / kAttentionChunk)
  // What store_recent() wrote: keys as [G, kKvPage, E] of f16, at recent_v_offset_bytes values alike; only of quantized
  // types.
  const std::byte* const* recent = nullptr;
  int64_t recent_v_offset_bytes = 0;
  // Only for attention_partial and attention_merge: attention_partial_floats() of rows partial_row and following.
  float* partial = nullptr;
  int64_t partial_row = 0;
};
// [M, H, n_chunks, attention_partial_width()]: sum of exp(s - max) * v, padded to eight lanes; max; sum of exp(s -
// max).
inline int64_t attention_partial_width(int64_t d_head) { return (d_head + 7) / 8 * 8 + 2; }
inline int64_t attention_partial_floats(int64_t m, int64_t n_heads, int64_t d_head, int64_t n_chunks) {
  return m * n_heads * n_chunks * attention_partial_width(d_head);
}

enum class GluKind : uint8_t { silu, gelu_tanh, gelu_erf };
enum class RopeStyle : uint8_t {
  adjacent,  // pairs (2i, 2i+1): Llama and Mistral GGUFs, whose q/k rows are permuted
  halves,    // pairs (i, i + n_rot/2): everyone else
};

struct Kernels {
  std::string_view isa;   // "generic", "avx2", ...
  std::string_view form;  // what tells it from another table of that name, for people; often empty

  // -- products --
  ActFormat (*act_format)(DType w);
  // Layout in which this ISA reads weights of a dtype fastest; it reads raw rows as well.
  tensor::Layout (*layout)(DType w);
  int64_t (*act_bytes)(ActFormat, int64_t m, int64_t d);
  // Row `row` of the m rows of a pass. Rows may be converted by different threads. Never called for f32.
  void (*convert_act_row)(ActFormat, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d);
  bool (*supports)(DType w);
  // y[:, r] for r in [row_begin, row_end). Any M >= 1. Ranges begin at multiples of kRowGroup.
  // scratch: matmul_scratch_bytes(D) bytes, 64-byte aligned, one per calling thread.
  void (*matmul)(const MatmulArgs&, int64_t row_begin, int64_t row_end, std::byte* scratch);
  int64_t (*matmul_scratch_bytes)(int64_t d);

  // -- attention, in one of two ways that give the same bits --
  // scratch: attention_scratch_bytes(E) bytes, 64-byte aligned, one per calling thread.
  int64_t (*attention_scratch_bytes)(int64_t d_head);
  // unit = block * G + g : the H/G heads of kv head g for the rows of a block, over all they see, into out. For many
  // units.
  void (*attention_whole)(const AttentionArgs&, int64_t unit_begin, int64_t unit_end, std::byte* scratch);
  // All units of the first, a barrier, all units of the second: for long sequences and few rows.
  // unit = (block * G + g) * n_chunks + c : the same over chunk c. Chunks a row cannot see are skipped.
  void (*attention_partial)(const AttentionArgs&, int64_t unit_begin, int64_t unit_end, std::byte* scratch);
  // unit = m * H + h : merges the chunks in order and divides.
  void (*attention_merge)(const AttentionArgs&, int64_t unit_begin, int64_t unit_end);
  // One head's key or value of one position (n = E floats) to a row of the page.
  void (*store_kv)(KvType, const float* src, std::byte* dst, int64_t n);
  // The same to a row of f16 (2 * E bytes), in the form that the quantized type gives it (turned for q4_0).
  void (*store_recent)(KvType, const float* src, std::byte* dst, int64_t n);

  // -- small ops, one row each --
  void (*rms_norm)(const float* x, const float* weight, float* y, int64_t d, float eps);  // weight null = 1; y may be x
  // (x - mean) / sqrt(variance + eps) * weight + bias; y may be x
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float* y, int64_t d, float eps);
  // n_heads heads of d_head floats, rotated in place in their first n_rot dimensions. cos, sin: [n_rot / 2].
  void (*rope)(float* x, int64_t n_heads, int64_t d_head, int64_t n_rot, RopeStyle, const float* cos, const float* sin);
  // y = act(gate) * up; up null = 1; y may be gate
  void (*glu)(GluKind, const float* gate, const float* up, float* y, int64_t n);
  void (*add)(float* x, const float* y, int64_t n);  // x += y
  void (*scale)(float* x, float s, int64_t n);
  void (*softcap)(float* x, float cap, int64_t n);  // x = cap * tanh(x / cap)

  // Multiply-accumulates of 8-bit integers as fast as this ISA can: returns how many were done. For the measured peak.
  int64_t (*int8_burst)(int64_t iterations);
  // The same of floats.
  int64_t (*fma_burst)(int64_t iterations);
  // Reads memory as fast as one core can with such fetching; bytes % 256 == 0. What it returns depends on every byte.
  uint64_t (*read_burst)(const std::byte* from, int64_t bytes, const FetchAhead&);
};

// For people: "avxvnni (dot products in EVEX form)".
inline std::string name_of(const Kernels& k) {
  return k.form.empty() ? std::string(k.isa) : std::string(k.isa) + " (" + std::string(k.form) + ")";
}
// Scalar, sums in double ("ref", "ref_int8"): made to be read and compared with, never chosen by themselves.
inline bool is_truth(const Kernels& k) { return k.isa.starts_with("ref"); }

inline constexpr int64_t kRowGroup = 16;  // row ranges begin at multiples of this (the interleaving)

// The table for this machine, or the one WATRA_ISA / --isa names. Error "kernels.unknown_isa" lists what there is.
Result<const Kernels*> select(std::string_view name = {});
std::span<const Kernels* const> available();  // slowest first

}  // namespace watra::kernels
