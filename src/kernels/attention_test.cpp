// Attention and the KV cache's rows on every table of this machine: against the truth in kernels/ref, and the same bits
// however a row is embedded in a pass: alone, in a chain or a prefill, as a branch of a tree, beside other sequences,
// in blocks of any size, whole or by chunks.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/every_table_test.h"
#include "kernels/ref/ref.h"
#include "tensor/half.h"
#include "tensor/quantize.h"

namespace watra::kernels {
namespace {

class Attention : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, Attention, testing::ValuesIn(available().begin(), available().end()), table_name);

// A sequence of positions whose keys and values lie in pages, in slots that need not be in order.
struct Cache {
  // recent_pages: where the rows of f16 lie, of all caches of a pass; null = there are none.
  Cache(Rng& rng, KvType k_type, KvType v_type, int64_t n_kv_heads, int64_t d_head, int64_t n_slots,
        std::vector<const std::byte*>* recent_pages = nullptr)
      : k_type(k_type), v_type(v_type), g(n_kv_heads), e(d_head) {
    const int64_t n_pages = (n_slots + kKvPage - 1) / kKvPage;
    k_offset = 64;
    v_offset = k_offset + g * kKvPage * kv_row_bytes(k_type, e);
    const int64_t page_bytes = v_offset + g * kKvPage * kv_row_bytes(v_type, e);
    for (int64_t i = 0; i < n_pages; ++i) storage.emplace_back(page_bytes);
    for (auto& s : storage) {
      std::fill(s.bytes.begin(), s.bytes.end(), std::byte{0xff});  // NaN where nothing is stored
      pages.push_back(s.data());
    }
    std::shuffle(pages.begin(), pages.end(), rng);
    if (!recent_pages) return;
    const int64_t row = kv_row_bytes(KvType::f16, e);
    recent_v_offset = is_quantized(k_type) ? g * kKvPage * row : 0;
    for (int64_t i = 0; i < n_pages; ++i) {
      storage.emplace_back(2 * g * kKvPage * row);
      std::fill(storage.back().bytes.begin(), storage.back().bytes.end(), std::byte{0xff});
      recent.push_back(static_cast<int32_t>(recent_pages->size()));
      recent_pages->push_back(storage.back().data());
    }
    std::shuffle(recent.begin(), recent.end(), rng);
    recent_at = recent_pages;
  }
  AttentionRow row(int64_t n_shared, const int32_t* tail, int64_t n_tail) const {
    return {pages.data(), n_shared, tail, static_cast<int32_t>(n_tail), recent_at ? recent.data() : nullptr};
  }
  std::byte* key(int64_t slot, int64_t head) {
    return const_cast<std::byte*>(pages[slot / kKvPage]) + k_offset +
           (head * kKvPage + slot % kKvPage) * kv_row_bytes(k_type, e);
  }
  std::byte* value(int64_t slot, int64_t head) {
    return const_cast<std::byte*>(pages[slot / kKvPage]) + v_offset +
           (head * kKvPage + slot % kKvPage) * kv_row_bytes(v_type, e);
  }
  void put(const Kernels& k, int64_t slot, const float* kv) {  // [2, G, E]
    for (int64_t h = 0; h < g; ++h) {
      k.store_kv(k_type, kv + h * e, key(slot, h), e);
      k.store_kv(v_type, kv + (g + h) * e, value(slot, h), e);
      if (!recent_at) continue;
      auto* page = const_cast<std::byte*>((*recent_at)[recent[slot / kKvPage]]);
      const int64_t place = (h * kKvPage + slot % kKvPage) * kv_row_bytes(KvType::f16, e);
      if (is_quantized(k_type)) k.store_recent(k_type, kv + h * e, page + place, e);
      if (is_quantized(v_type)) k.store_recent(v_type, kv + (g + h) * e, page + recent_v_offset + place, e);
    }
  }
  KvType k_type, v_type;
  int64_t g, e, k_offset, v_offset, recent_v_offset = 0;
  std::vector<AlignedBytes> storage;
  std::vector<int32_t> recent;  // by page
  const std::vector<const std::byte*>* recent_at = nullptr;
  std::vector<const std::byte*> pages;
};

struct Case {
  int64_t heads, kv_heads, d_head;
  float softcap;
  int64_t window;
  KvType k_type, v_type;
  int64_t width() const { return heads * d_head; }
};
constexpr Case kCases[] = {
    {8, 2, 64, 0, 0, KvType::f16, KvType::f16},      {6, 2, 80, 0, 100, KvType::f16, KvType::f16},
    {4, 4, 128, 30.0f, 0, KvType::f16, KvType::f16}, {7, 1, 64, 0, 600, KvType::f32, KvType::f32},
    {10, 2, 20, 5.0f, 7, KvType::f16, KvType::f32},  {1, 1, 256, 0, 1, KvType::f32, KvType::f16},
    {3, 1, 12, 0, 0, KvType::f32, KvType::f32},      {8, 2, 64, 0, 0, KvType::q8_0, KvType::q8_0},
    {6, 2, 96, 0, 70, KvType::q4_0, KvType::q4_0},   {5, 1, 20, 0, 0, KvType::q8_0, KvType::q4_0},
    {2, 2, 80, 20.0f, 0, KvType::q4_0, KvType::f16}, {70, 1, 40, 0, 0, KvType::f16, KvType::q8_0},
    {2, 1, 7, 0, 0, KvType::q4_0, KvType::q8_0},     {1, 1, 512, 0, 0, KvType::q4_0, KvType::q4_0},
};

AttentionArgs attention_args(const Case& c, const Cache& cache, const std::vector<AttentionRow>& rows, const float* q) {
  AttentionArgs a{};
  a.n_heads = static_cast<int32_t>(c.heads);
  a.n_kv_heads = static_cast<int32_t>(c.kv_heads);
  a.d_head = static_cast<int32_t>(c.d_head);
  a.k_type = c.k_type;
  a.v_type = c.v_type;
  a.k_offset_bytes = cache.k_offset;
  a.v_offset_bytes = cache.v_offset;
  if (cache.recent_at) a.recent = cache.recent_at->data();
  a.recent_v_offset_bytes = cache.recent_v_offset;
  a.scale = 1.0f / std::sqrt(static_cast<float>(c.d_head));
  a.softcap = c.softcap;
  a.window = c.window;
  a.q = q;
  a.q_stride = c.width();
  a.rows = rows.data();
  a.out_stride = c.width() + 5;
  int64_t last = 0;
  for (const auto& r : rows) last = std::max(last, r.position());
  a.n_chunks = static_cast<int32_t>((last + kAttentionChunk) / kAttentionChunk);
  return a;
}

// Rows of one page table in blocks of random sizes.
std::vector<AttentionBlock> random_blocks(const std::vector<AttentionRow>& rows, Rng& rng) {
  std::vector<AttentionBlock> blocks;
  const int32_t most = 1 + static_cast<int32_t>(rng() % 20);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == 0 || rows[i].pages != rows[i - 1].pages || blocks.back().n >= most || rng() % 16 == 0)
      blocks.push_back({static_cast<int32_t>(i), 0});
    ++blocks.back().n;
  }
  return blocks;
}

enum class Way { whole, by_chunks };

std::vector<float> run_attention(const Kernels& k, AttentionArgs a, const std::vector<AttentionRow>& rows, Rng& rng,
                                 Way way) {
  const auto m = static_cast<int64_t>(rows.size());
  const auto blocks = random_blocks(rows, rng);
  constexpr float kUnset = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> partial(attention_partial_floats(m, a.n_heads, a.d_head, a.n_chunks), kUnset);
  std::vector<float> out(m * a.out_stride, kUnset);
  AlignedBytes scratch(k.attention_scratch_bytes(a.d_head));
  std::fill(scratch.bytes.begin(), scratch.bytes.end(), std::byte{0xff});
  a.blocks = blocks.data();
  a.partial = partial.data();
  a.out = out.data();
  const auto in_cuts = [&](int64_t n, auto fn) {
    for (int64_t at = 0; at < n;) {
      const int64_t to = at + 1 + static_cast<int64_t>(rng() % (n - at));
      fn(at, to);
      at = to;
    }
  };
  const auto n_blocks = static_cast<int64_t>(blocks.size());
  if (way == Way::whole) {
    in_cuts(n_blocks * a.n_kv_heads, [&](int64_t b, int64_t e) { k.attention_whole(a, b, e, scratch.data()); });
  } else {
    in_cuts(n_blocks * a.n_kv_heads * a.n_chunks,
            [&](int64_t b, int64_t e) { k.attention_partial(a, b, e, scratch.data()); });
    in_cuts(m * a.n_heads, [&](int64_t b, int64_t e) { k.attention_merge(a, b, e); });
  }
  const int64_t width = int64_t{a.n_heads} * a.d_head;
  std::vector<float> packed(m * width);
  for (int64_t i = 0; i < m; ++i) {
    std::copy_n(out.data() + i * a.out_stride, width, packed.data() + i * width);
    for (int64_t j = width; j < a.out_stride; ++j) EXPECT_TRUE(std::isnan(out[i * a.out_stride + j]));
  }
  return packed;
}

// What a query of ones at element i reads is element i.
std::vector<float> stored_row(const Kernels& k, KvType type, const std::vector<float>& x) {
  const auto n = static_cast<int64_t>(x.size());
  std::vector<std::byte> page(2 * kKvPage * kv_row_bytes(type, n));
  k.store_kv(type, x.data(), page.data() + kKvPage * kv_row_bytes(type, n), n);
  k.store_kv(type, x.data(), page.data(), n);
  const std::byte* pages[] = {page.data()};
  const int32_t slot = 0;
  const AttentionRow row{pages, 0, &slot, 1};
  const std::vector<float> q(x.size());
  AttentionArgs a{};
  a.n_heads = a.n_kv_heads = 1;
  a.d_head = static_cast<int32_t>(n);
  a.k_type = a.v_type = type;
  a.v_offset_bytes = kKvPage * kv_row_bytes(type, n);
  a.q = q.data();
  a.rows = &row;
  std::vector<double> out(x.size());
  ref::attention(a, 0, out.data());  // one position: its value
  return {out.begin(), out.end()};
}

// keep_recent: rows see the first page and their own as they were computed.
void expect_the_truth_however_a_row_is_embedded(const Kernels& k, bool keep_recent) {
  Rng rng(3);
  const bool is_ref = is_truth(k);
  for (const Case& c : kCases) {
    if (keep_recent && !is_quantized(c.k_type) && !is_quantized(c.v_type)) continue;
    for (int64_t n_past : {0, 1, 40, 63, 64, 120, 500, 511, 1020, 1030}) {
      if (is_ref && (n_past > 120 || c.heads > 60)) continue;
      SCOPED_TRACE(testing::Message() << c.heads << "/" << c.kv_heads << " heads of " << c.d_head << ", window "
                                      << c.window << ", " << kv_type_name(c.k_type) << "," << kv_type_name(c.v_type)
                                      << ", past " << n_past);
      constexpr int64_t kRows = 17;
      // Contents by position, written to slots in two different ways.
      const int64_t n_all = n_past + kRows;
      const auto contents = normal_floats(rng, n_all * 2 * c.kv_heads * c.d_head);
      const auto q = normal_floats(rng, kRows * c.width(), 2.0f);
      const auto content = [&](int64_t p) { return contents.data() + p * 2 * c.kv_heads * c.d_head; };

      // A: everything in order; row i decoded alone, as n_tail = 1.
      std::vector<const std::byte*> recent_pages;
      const auto recent = keep_recent ? &recent_pages : nullptr;
      Cache in_order(rng, c.k_type, c.v_type, c.kv_heads, c.d_head, n_all, recent);
      for (int64_t p = 0; p < n_all; ++p) in_order.put(k, p, content(p));
      std::vector<float> alone(kRows * c.width());
      std::vector<AttentionRow> decoded;
      std::vector<int32_t> own(kRows);
      for (int64_t i = 0; i < kRows; ++i) {
        own[i] = static_cast<int32_t>(n_past + i);
        decoded.push_back(in_order.row(n_past + i, &own[i], 1));
        const std::vector<AttentionRow> rows = {decoded.back()};
        const AttentionArgs a = attention_args(c, in_order, rows, q.data() + i * c.width());
        const auto got = run_attention(k, a, rows, rng, Way::by_chunks);
        std::copy(got.begin(), got.end(), alone.begin() + i * c.width());
        if (i % 8 != 0) continue;
        std::vector<double> truth(c.width());
        ref::attention(a, 0, truth.data());
        ASSERT_LE(nmse(got.data(), truth.data(), truth.size()), 1e-11) << "row " << i;
        const auto whole = run_attention(k, a, rows, rng, Way::whole);
        ASSERT_TRUE(same_bits(whole.data(), got.data(), got.size())) << "whole, row " << i;
      }

      // B: as a prefill, and as one chain over the shared past.
      std::vector<int32_t> chain(kRows);
      std::iota(chain.begin(), chain.end(), static_cast<int32_t>(n_past));
      std::vector<AttentionRow> chained;
      for (int64_t i = 0; i < kRows; ++i) chained.push_back(in_order.row(n_past, chain.data(), i + 1));
      for (const Way way : {Way::whole, Way::by_chunks})
        for (const auto& rows : {decoded, chained}) {
          const auto got = run_attention(k, attention_args(c, in_order, rows, q.data()), rows, rng, way);
          ASSERT_TRUE(same_bits(got.data(), alone.data(), alone.size())) << "as a chain";
        }

      // C: the same chain as one branch of a tree: its slots lie scattered among those of another branch.
      Cache scattered(rng, c.k_type, c.v_type, c.kv_heads, c.d_head, n_past + 3 * kRows, recent);
      std::vector<int32_t> slots(3 * kRows);
      std::iota(slots.begin(), slots.end(), static_cast<int32_t>(n_past));
      std::shuffle(slots.begin(), slots.end(), rng);
      for (int64_t p = 0; p < n_past; ++p) scattered.put(k, p, content(p));
      const auto other = normal_floats(rng, 2 * c.kv_heads * c.d_head);
      for (int64_t i = 0; i < 3 * kRows; ++i)
        scattered.put(k, slots[i], i < kRows ? content(n_past + i) : other.data());
      std::vector<AttentionRow> branch;
      for (int64_t i = 0; i < kRows; ++i) branch.push_back(scattered.row(n_past, slots.data(), i + 1));
      for (const Way way : {Way::whole, Way::by_chunks}) {
        const auto got = run_attention(k, attention_args(c, scattered, branch, q.data()), branch, rng, way);
        ASSERT_TRUE(same_bits(got.data(), alone.data(), alone.size())) << "as a branch";
      }

      // D: beside rows of another sequence, which lie in between.
      std::vector<AttentionRow> mixed;
      std::vector<float> mixed_q;
      for (int64_t i = 0; i < kRows; ++i)
        for (const auto* rows : {&decoded, &branch}) {
          mixed.push_back((*rows)[i]);
          mixed_q.insert(mixed_q.end(), q.begin() + i * c.width(), q.begin() + (i + 1) * c.width());
          if (rng() % 2) break;
        }
      const auto got = run_attention(k, attention_args(c, in_order, mixed, mixed_q.data()), mixed, rng, Way::by_chunks);
      for (size_t i = 0; i < mixed.size(); ++i)
        ASSERT_TRUE(same_bits(got.data() + static_cast<int64_t>(i) * c.width(),
                              alone.data() + (mixed[i].position() - n_past) * c.width(), c.width()))
            << "beside others";
    }
  }
}

TEST_P(Attention, MeetsTheTruthHoweverARowIsEmbedded) { expect_the_truth_however_a_row_is_embedded(k, false); }
TEST_P(Attention, MeetsTheTruthWithTheFirstAndTheOwnPageAsTheyWereComputed) {
  expect_the_truth_however_a_row_is_embedded(k, true);
}

// The first page and a row's own are exact and all others are not, however far away they are: nothing else counts.
TEST_P(Attention, OnlyTheFirstAndTheOwnPageAreSeenAsTheyWereComputed) {
  Rng rng(8);
  const Case coarse{1, 1, 64, 0, 0, KvType::q4_0, KvType::q4_0}, fine{1, 1, 64, 0, 0, KvType::f32, KvType::f32};
  for (int64_t position : {0, 63, 64, 100, 130, 200, 600}) {
    std::vector<const std::byte*> recent_pages;
    Cache stored(rng, coarse.k_type, coarse.v_type, 1, 64, position + 1, &recent_pages);
    Cache wanted(rng, fine.k_type, fine.v_type, 1, 64, position + 1);
    for (int64_t p = 0; p <= position; ++p) {
      auto kv = normal_floats(rng, 2 * 64);
      stored.put(k, p, kv.data());
      if (p >= kKvPage && p / kKvPage < position / kKvPage)  // what the stored row says
        for (int64_t part : {0, 1}) {
          const auto row = stored_row(k, KvType::q4_0, {kv.begin() + part * 64, kv.begin() + (part + 1) * 64});
          std::copy(row.begin(), row.end(), kv.begin() + part * 64);
        }
      wanted.put(k, p, kv.data());
    }
    const auto q = normal_floats(rng, 64, 2.0f);
    const auto slot = static_cast<int32_t>(position);
    const std::vector<AttentionRow> row = {stored.row(position, &slot, 1)}, exact = {wanted.row(position, &slot, 1)};
    const auto got = run_attention(k, attention_args(coarse, stored, row, q.data()), row, rng, Way::whole);
    std::vector<double> truth(64);
    ref::attention(attention_args(fine, wanted, exact, q.data()), 0, truth.data());
    EXPECT_LE(nmse(got.data(), truth.data(), 64), 1e-6) << position;  // f16; rounding to 4 bits leaves 1e-2
  }
}

TEST_P(Attention, StoredRowsAreRoundedToNearest) {
  Rng rng(4);
  for (int64_t n : {1, 7, 8, 64, 80, 133}) {
    auto x = normal_floats(rng, n);
    x[0] = 65519.0f;
    if (n > 2) x[1] = 65520.0f, x[2] = 1e-7f;
    std::vector<uint16_t> half(n + 1, 0xabcd);
    k.store_kv(KvType::f16, x.data(), reinterpret_cast<std::byte*>(half.data()), n);
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(half[i], tensor::f32_to_f16(x[i])) << i;
    EXPECT_EQ(half[n], 0xabcd);
    std::vector<float> full(n);
    k.store_kv(KvType::f32, x.data(), reinterpret_cast<std::byte*>(full.data()), n);
    EXPECT_TRUE(same_bits(full.data(), x.data(), n));
  }
}

TEST_P(Attention, QuantizedRowsAreCloseAndOddOnesHarmless) {
  Rng rng(5);
  for (int64_t n : {1, 12, 20, 32, 64, 80, 96, 128, 256, 288, 512}) {
    const auto x = normal_floats(rng, n);
    const std::vector<double> wanted(x.begin(), x.end());
    const auto q8 = stored_row(k, KvType::q8_0, x), q4 = stored_row(k, KvType::q4_0, x);
    EXPECT_LE(nmse(q8.data(), wanted.data(), n), 5e-5) << n;
    EXPECT_LE(nmse(q4.data(), wanted.data(), n), 0.012) << n;

    // An outlier costs the other elements little: that is what the transform is for.
    if (n < 64) continue;
    auto outlier = x;
    outlier[n / 2] = 30.0f;
    const auto with_outlier = stored_row(k, KvType::q4_0, outlier);
    double error = 0;
    for (int64_t i = 0; i < n; ++i) error += std::pow(with_outlier[i] - outlier[i], 2) / static_cast<double>(n);
    EXPECT_LE(error, 0.25) << n;  // a step of 30 / 8 leaves more than 1
  }
  for (const float v : {0.0f, 1e-30f, 1e-42f, -3.5f, 1e30f}) {
    const std::vector<float> x(64, v);
    for (const KvType type : {KvType::q8_0, KvType::q4_0})
      for (const float got : stored_row(k, type, x)) {
        EXPECT_TRUE(std::isfinite(got)) << v;
        EXPECT_LE(v < 1e4f ? std::fabs(got - v) : 0.0f, std::fabs(v) * 0.01f + 1e-6f) << v;
      }
  }
}

TEST_P(Attention, FloatBurstCountsItsWork) { EXPECT_EQ(k.fma_burst(1000), 100 * k.fma_burst(10)); }

}  // namespace
}  // namespace watra::kernels
