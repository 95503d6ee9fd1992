// AMX: the table of cpu/avx512_bf16, but for products of quantized weights with many tokens, which are made by tiles
// (product.h). The same bits as every other table with 8-bit activations.
#define WATRA_KERNELS_ISA amx
#define WATRA_KERNELS_I8 "kernels/cpu/avx512/i8.h"
#include "kernels/cpu/amx/product.h"
#include "kernels/tables.h"

namespace watra::kernels {
namespace amx {
namespace {

// A tile takes as long to store for one token as for sixteen, and what is unpacked for few tokens costs more than their
// products: with fewer, vectors are faster (whole models, docs/measurements.md). They are too where every weight that a
// format is for has two scales a block (Q3_K, Q6_K): twice the tiles and twice the stores.
constexpr int64_t kTilesFrom = 48;
bool has_tiles(ActFormat format, int64_t m) {
  return is_integer(format) && format != ActFormat::q8_4 && format != ActFormat::q8_32 && m >= kTilesFrom;
}

void matmul(const MatmulArgs& a, int64_t row_begin, int64_t row_end, std::byte* scratch) {
  if (!has_tiles(a.x_format, a.m)) return avx512_bf16_table().matmul(a, row_begin, row_end, scratch);
  with_unpack(a.w.dtype, [&]<class Unpack>(OfFormat<Unpack>) {
    product_by_tiles<Unpack>(a, row_begin, row_end, *reinterpret_cast<TileScratch*>(scratch));
  });
}

int64_t act_bytes(ActFormat format, int64_t m, int64_t d) {
  return has_tiles(format, m) ? TileLayout(m, d).bytes() : avx512_bf16_table().act_bytes(format, m, d);
}

void convert_for_tiles(ActFormat format, const float* x, std::byte* acts, int64_t row, int64_t m, int64_t d) {
  if (!has_tiles(format, m)) return avx512_bf16_table().convert_act_row(format, x, acts, row, m, d);
  convert_row_to(format, x, acts, RowOfTiles{TileLayout(m, d), row});
}

int64_t matmul_scratch_bytes(int64_t d) {
  return std::max<int64_t>(avx512_bf16_table().matmul_scratch_bytes(d), sizeof(TileScratch));
}

// Four sums: more than the latency of a product over the 16 cycles it takes.
int64_t int8_burst(int64_t iterations) {
  alignas(64) static constexpr uint8_t kOnes[16][64] = {};
  TileConfig c;
  for (int i = 0; i < 8; ++i) c.rows[i] = 16, c.row_bytes[i] = 64;
  configure(c);
  _tile_loadd(4, kOnes, 64);
  _tile_loadd(5, kOnes, 64);
  _tile_loadd(6, kOnes, 64);
  _tile_loadd(7, kOnes, 64);
  for (int64_t n = 0; n < iterations; ++n) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  _tile_release();
  return iterations * 4 * 16 * 16 * 64;
}

}  // namespace
}  // namespace amx

const Kernels& amx_table() {
  static const Kernels table = [] {
    Kernels t = avx512_bf16_table();
    t.isa = "amx";
    t.form = "";
    t.act_bytes = amx::act_bytes;
    t.convert_act_row = amx::convert_for_tiles;
    t.matmul = amx::matmul;
    t.matmul_scratch_bytes = amx::matmul_scratch_bytes;
    t.int8_burst = amx::int8_burst;
    return t;
  }();
  return table;
}

}  // namespace watra::kernels
