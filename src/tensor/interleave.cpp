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

constexpr int64_t kWordLine = kInterleavedRows * 4;  // one word of every row

// A run of n words of 16 rows to n lines of 16 words: four rows and four words at a time where the processor can.
void interleave_words(const std::byte* rows, uint64_t stride, int32_t n, std::byte* out) {
  int32_t w = 0;
#if defined(__SSE2__)
  for (; w + 4 <= n; w += 4, rows += 16, out += 4 * kWordLine) {
    const std::byte* row = rows;
    for (int64_t r = 0; r < kInterleavedRows; r += 4, row += 4 * stride) {
      const auto load = [&](int i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + i * stride)); };
      const auto store = [&](int i, __m128i v) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i * kWordLine + 4 * r), v);
      };
      const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
      const __m128i ab = _mm_unpacklo_epi32(a, b), cd = _mm_unpacklo_epi32(c, d);
      const __m128i ab2 = _mm_unpackhi_epi32(a, b), cd2 = _mm_unpackhi_epi32(c, d);
      store(0, _mm_unpacklo_epi64(ab, cd));
      store(1, _mm_unpackhi_epi64(ab, cd));
      store(2, _mm_unpacklo_epi64(ab2, cd2));
      store(3, _mm_unpackhi_epi64(ab2, cd2));
    }
  }
#endif
  for (; w < n; ++w, rows += 4, out += kWordLine) {
    const std::byte* word = rows;
    for (int64_t r = 0; r < kInterleavedRows; ++r, word += stride) std::memcpy(out + 4 * r, word, 4);
  }
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
    default:
      return {};
  }
}

void interleave_group(DType dtype, const std::byte* rows, uint64_t row_stride_bytes, int64_t d, std::byte* out) {
  const InterleavePlan p = interleave_plan(dtype);
  const int64_t n_blocks = d / static_cast<int64_t>(traits(dtype).block_elements);
  // The half field, if any, cuts the words of a block in two runs.
  const int32_t n_before = p.half_offset < 0 ? p.words() : p.half_offset / 4;
  for (int64_t first = 0; first < n_blocks; first += p.panel_blocks) {
    const int64_t n = std::min<int64_t>(p.panel_blocks, n_blocks - first);
    std::byte* words = out + n * kInterleavedRows * p.half_bytes();
    for (int64_t b = 0; b < n; ++b) {
      const std::byte* block = rows + (first + b) * p.block_bytes;
      if (p.half_offset >= 0) {
        const std::byte* half = block + p.half_offset;
        for (int64_t r = 0; r < kInterleavedRows; ++r, half += row_stride_bytes)
          std::memcpy(out + 2 * (b * kInterleavedRows + r), half, 2);
      }
      interleave_words(block, row_stride_bytes, n_before, words);
      words += n_before * kWordLine;
      interleave_words(block + word_offset(p, n_before), row_stride_bytes, p.words() - n_before, words);
      words += (p.words() - n_before) * kWordLine;
    }
    out += n * kInterleavedRows * p.block_bytes;
  }
}

void copy_row(const TensorView& view, int64_t r, std::byte* out) {
  const uint64_t row_bytes = view.row_size_bytes();
  const int64_t in_groups = view.shape.rows() / kInterleavedRows * kInterleavedRows;
  if (view.layout == Layout::rows || r >= in_groups) {
    std::memcpy(out, view.data + static_cast<uint64_t>(r) * row_bytes, row_bytes);
    return;
  }
  const InterleavePlan p = interleave_plan(view.dtype);
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
