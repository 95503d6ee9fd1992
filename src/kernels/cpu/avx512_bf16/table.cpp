// AVX-512 with VNNI and BF16: the table of cpu/avx512, but for bfloat16 weights, whose products multiply pairs of
// bfloat16 (docs/decisions/0025).
//
// vdpbf16ps adds two products to a lane, in an order and with a rounding of its own. So sums are made as dot.h says,
// with a pair where that has a product, and activations are rounded to bfloat16 once, whatever M is; a chunk's rests
// come behind the chunk. A token without a rest where another of its tile has one adds a product with zeros.
#define WATRA_KERNELS_ISA avx512_bf16
#define WATRA_KERNELS_F8 "kernels/cpu/avx2/f8.h"
#define WATRA_KERNELS_WIDE "kernels/cpu/avx512/wide.h"
#include "kernels/act_format.h"
#include "kernels/lanes/dot_blocks.h"
#include "kernels/tables.h"

namespace watra::kernels {
namespace avx512_bf16 {
namespace {

struct FactorsPairs {
  using Weight = uint16_t;
  using Act = uint16_t;
  struct Vector {
    __m512i v;
  };
  static constexpr bool kRests = true;
  static constexpr int64_t kStep = Bf16ActLayout::kBlock;
  static constexpr int64_t kChunk = Bf16ActLayout::kChunk;
  static Vector weights(const Weight* p) { return {_mm512_loadu_si512(p)}; }
  static Vector weights_tail(const Weight* p, int64_t n) {
    return {_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), p)};
  }
  static Vector acts(const Act* p) { return {_mm512_loadu_si512(p)}; }
  static Vector acts_tail(const Act* p, int64_t) { return acts(p); }  // rows are filled up
  static Wide add(Wide sum, Vector w, Vector x) {
    return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(w.v), reinterpret_cast<__m512bh>(x.v))};
  }
  static void store_unpacked(Weight* p, Vector w) { _mm512_storeu_si512(p, w.v); }
};

void matmul(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (a.x_format != ActFormat::bf16) return avx512_table().matmul(a, row_begin, row_end, scratch);
  const Bf16ActLayout at{a.w.shape.cols()};
  const ActRows<uint16_t> x = {reinterpret_cast<const uint16_t*>(a.x), at.stride(), at.rest(), at.masks()};
  if (a.m <= kInPlace) return matmul_in_place<FactorsPairs>(a, row_begin, row_end, x);
  matmul_blocks<FactorsPairs>(
      a, row_begin, row_end, x, reinterpret_cast<uint16_t*>(reinterpret_cast<DotScratch*>(scratch)->block),
      [&](int64_t r, int64_t from, int64_t n, uint16_t* out, int64_t stride) {
        unpack_row<FactorsPairs>(reinterpret_cast<const uint16_t*>(row_part(a.w, r, from)), n, out, stride);
      });
}

// A block of 32 inputs; beyond the row's end zeros.
struct Block {
  __m512 low, high;
};
Block load_block(const float* x, int64_t left) {
  if (left >= 32) return {_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16)};
  return {load_wide_tail(x, left < 16 ? left : 16).v,
          left > 16 ? load_wide_tail(x + 16, left - 16).v : _mm512_setzero_ps()};
}
float largest_of(const Block& b) {
  return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(b.low), _mm512_abs_ps(b.high)));
}
__m512i rounded(const Block& b) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b.high, b.low)); }
Block left_over(const Block& b, __m512i r) {
  const Wide low = wide_of_bf16(_mm512_castsi512_si256(r)), high = wide_of_bf16(_mm512_extracti64x4_epi64(r, 1));
  return {_mm512_sub_ps(b.low, low.v), _mm512_sub_ps(b.high, high.v)};
}

// The same bytes as the scalar conversion (act_format.cpp), but that subnormal numbers become zeros, which is how
// vdpbf16ps reads them.
void convert_row(ActFormat format, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d) {
  if (format != ActFormat::bf16) return avx512_table().convert_act_row(format, x, acts, row, m, d);
  const Bf16ActLayout at{d};
  auto* out = reinterpret_cast<uint16_t*>(acts) + row * at.stride();
  float power = 0.0f;
  for (int64_t b = 0; b < at.n_blocks(); ++b) {
    const float largest = largest_of(load_block(x + 32 * b, d - 32 * b));
    power += largest * largest;
  }
  const float limit = power / static_cast<float>(at.n_blocks()) * kBf16RestAbove;
  uint16_t* masks = out + at.masks();
  __builtin_memset(masks, 0, static_cast<size_t>(at.stride() - at.masks()) * sizeof *masks);
  for (int64_t b = 0; b < at.n_blocks(); ++b) {
    const Block block = load_block(x + 32 * b, d - 32 * b);
    const __m512i r = rounded(block);
    const float largest = largest_of(block);
    const bool has_rest = largest * largest > limit;
    _mm512_storeu_si512(out + 32 * b, r);
    _mm512_storeu_si512(out + at.rest() + 32 * b, has_rest ? rounded(left_over(block, r)) : _mm512_setzero_si512());
    masks[b / 16] = static_cast<uint16_t>(masks[b / 16] | unsigned{has_rest} << b % 16);
  }
}

}  // namespace
}  // namespace avx512_bf16

const Kernels& avx512_bf16_table() {
  static const Kernels table = [] {
    Kernels t = avx512_table();
    t.form = "pairs of BF16";
    t.act_format = [](DType w) { return w == DType::bf16 ? ActFormat::bf16 : avx512_table().act_format(w); };
    t.convert_act_row = avx512_bf16::convert_row;
    t.matmul = avx512_bf16::matmul;
    return t;
  }();
  return table;
}

}  // namespace watra::kernels
