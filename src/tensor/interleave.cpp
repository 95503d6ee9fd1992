#include "tensor/interleave.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "tensor/blocks.h"

namespace watra::tensor {
namespace {

// Offset of word w of a block: the words leave out the half field.
constexpr int32_t word_offset(const InterleavePlan& p, int32_t w) {
  return 4 * w + (p.half_offset >= 0 && 4 * w >= p.half_offset ? 2 : 0);
}

// Calls fn(part offset inside the panel, bytes, offset inside the row's blocks) for every field of one row of a panel.
template <class Fn>
inline void fields_of_panel(const InterleavePlan& p, int64_t n, Fn&& fn) {
  const int64_t half_bytes = n * kInterleavedRows * p.half_bytes();
  for (int64_t b = 0; b < n; ++b) {
    if (p.half_offset >= 0) fn(b * kInterleavedRows * 2, int64_t{2}, b * p.block_bytes + p.half_offset);
    for (int32_t w = 0; w < p.words(); ++w)
      fn(half_bytes + (b * p.words() + w) * kInterleavedRows * 4, int64_t{4}, b * p.block_bytes + word_offset(p, w));
  }
}

constexpr int64_t kRowOfWords = 4 * kInterleavedRows;  // bytes of one word of all rows

// Four words of 16 rows: word i of row r to out[i * 16 + r].
void transpose_words(const std::byte* const* rows, int64_t offset, std::byte* out) {
#if defined(__SSE2__)
  for (int64_t r = 0; r < kInterleavedRows; r += 4) {
    const auto load = [&](int64_t i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r + i] + offset));
    };
    const auto store = [&](int64_t i, __m128i v) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i * kRowOfWords + 4 * r), v);
    };
    const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
    const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
    const __m128i ab_high = _mm_unpackhi_epi32(a, b), cd_high = _mm_unpackhi_epi32(c, d);
    store(0, _mm_unpacklo_epi64(ab, cd));
    store(1, _mm_unpackhi_epi64(ab, cd));
    store(2, _mm_unpacklo_epi64(ab_high, cd_high));
    store(3, _mm_unpackhi_epi64(ab_high, cd_high));
  }
#else
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t r = 0; r < kInterleavedRows; ++r)
      std::memcpy(out + i * kRowOfWords + 4 * r, rows[r] + offset + 4 * i, 4);
#endif
}

}  // namespace

InterleavePlan interleave_plan(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return {sizeof(BlockQ4_0), offsetof(BlockQ4_0, d), 8};
    case DType::q4_1:
      return {sizeof(BlockQ4_1), -1, 8};
    case DType::q5_0:
      return {sizeof(BlockQ5_0), offsetof(BlockQ5_0, d), 8};
    case DType::q5_1:
      return {sizeof(BlockQ5_1), -1, 8};
    case DType::q8_0:
      return {sizeof(BlockQ8_0), offsetof(BlockQ8_0, d), 8};
    case DType::iq4_nl:
      return {sizeof(BlockIQ4NL), offsetof(BlockIQ4NL, d), 8};
    case DType::q2_k:
      return {sizeof(BlockQ2K), -1, 1};
    case DType::q3_k:
      return {sizeof(BlockQ3K), offsetof(BlockQ3K, d), 2};
    case DType::q4_k:
      return {sizeof(BlockQ4K), -1, 1};
    case DType::q5_k:
      return {sizeof(BlockQ5K), -1, 1};
    case DType::q6_k:
      return {sizeof(BlockQ6K), offsetof(BlockQ6K, d), 2};
    case DType::iq4_xs:
      return {sizeof(BlockIQ4XS), -1, 1};
    case DType::iq2_xxs:
      return {sizeof(BlockIQ2XXS), offsetof(BlockIQ2XXS, d), 2};
    case DType::iq2_xs:
      return {sizeof(BlockIQ2XS), offsetof(BlockIQ2XS, d), 2};
    case DType::iq2_s:
      return {sizeof(BlockIQ2S), offsetof(BlockIQ2S, d), 2};
    case DType::iq3_xxs:
      return {sizeof(BlockIQ3XXS), offsetof(BlockIQ3XXS, d), 2};
    case DType::iq3_s:
      return {sizeof(BlockIQ3S), offsetof(BlockIQ3S, d), 2};
    case DType::iq1_s:
      return {sizeof(BlockIQ1S), offsetof(BlockIQ1S, d), 2};
    case DType::iq1_m:
      return {sizeof(BlockIQ1M), -1, 1};
    default:
      return {};
  }
}

void interleave_panel(DType dtype, const std::byte* const* rows, int64_t n_blocks, std::byte* out) {
  const InterleavePlan p = interleave_plan(dtype);
  std::byte* words = out + n_blocks * kInterleavedRows * p.half_bytes();
  for (int64_t b = 0; b < n_blocks; ++b) {
    const int64_t at = b * p.block_bytes;
    if (p.half_offset >= 0)
      for (int64_t r = 0; r < kInterleavedRows; ++r, out += 2) std::memcpy(out, rows[r] + at + p.half_offset, 2);
    int32_t w = 0;
    for (; w + 4 <= p.words(); w += 4, words += 4 * kRowOfWords) transpose_words(rows, at + word_offset(p, w), words);
    for (; w < p.words(); ++w, words += kRowOfWords)
      for (int64_t r = 0; r < kInterleavedRows; ++r) std::memcpy(words + 4 * r, rows[r] + at + word_offset(p, w), 4);
  }
}

void interleave_group(DType dtype, const std::byte* rows, uint64_t row_stride_bytes, int64_t d, std::byte* out) {
  const InterleavePlan p = interleave_plan(dtype);
  const int64_t n_blocks = d / static_cast<int64_t>(traits(dtype).block_elements);
  const std::byte* at[kInterleavedRows];
  for (int64_t r = 0; r < kInterleavedRows; ++r) at[r] = rows + static_cast<uint64_t>(r) * row_stride_bytes;
  for (int64_t first = 0; first < n_blocks; first += p.panel_blocks) {
    const int64_t n = std::min<int64_t>(p.panel_blocks, n_blocks - first);
    interleave_panel(dtype, at, n, out);
    for (auto& row : at) row += n * p.block_bytes;
    out += n * kInterleavedRows * p.block_bytes;
  }
}

void copy_row(const TensorView& view, int64_t r, std::byte* out) {
  const uint64_t row_bytes = view.row_size_bytes();
  const int64_t in_groups = view.shape.rows() / kInterleavedRows * kInterleavedRows;
  const InterleavePlan p = interleave_plan(view.dtype);
  if (view.layout == Layout::rows || p.block_bytes == 0 || r >= in_groups) {
    std::memcpy(out, view.data + static_cast<uint64_t>(r) * row_bytes, row_bytes);
    return;
  }
  const int64_t n_blocks = static_cast<int64_t>(row_bytes) / p.block_bytes, lane = r % kInterleavedRows;
  const std::byte* group = view.data + static_cast<uint64_t>(r - lane) * row_bytes;
  for (int64_t first = 0; first < n_blocks; first += p.panel_blocks) {
    const int64_t n = std::min<int64_t>(p.panel_blocks, n_blocks - first);
    fields_of_panel(p, n, [&](int64_t at, int64_t bytes, int64_t offset) {
      std::memcpy(out + first * p.block_bytes + offset, group + at + lane * bytes, static_cast<size_t>(bytes));
    });
    group += n * kInterleavedRows * p.block_bytes;
  }
}

}  // namespace watra::tensor
