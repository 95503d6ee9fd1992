#include <gtest/gtest.h>

#include <array>

#include "engine/outline_placement.h"
#include "engine/tiny_model_test.h"
#include "model/model.h"
#include "model/synthetic.h"

namespace watra::engine {
namespace {

std::shared_ptr<const model::Model> synthetic(std::string_view spec) {
  auto file = model::synthetic_checkpoint(spec);
  if (!file) return ADD_FAILURE() << file.error().to_string(), nullptr;
  auto m = model::Model::from(std::move(*file));
  return m ? *m : nullptr;
}

// Ranges ascend, cover every row once, and begin where groups of rows begin (as slices allow).
void expect_valid(const model::Model& m, const Placement& p) {
  for (const auto& [name, ranges] : p.tensors) {
    const auto* t = m.file().find(name);
    ASSERT_TRUE(t) << name;
    int64_t at = 0;
    bool on_disk = false;
    for (const RowRange& r : ranges) {
      EXPECT_EQ(r.begin, at) << name;
      EXPECT_GT(r.end, r.begin) << name;
      EXPECT_EQ(r.begin % 16, 0) << name;
      on_disk |= r.tier == Tier::disk;
      at = r.end;
    }
    EXPECT_EQ(at, t->shape.rows()) << name;
    EXPECT_TRUE(on_disk) << name << " lies in RAM and need not be named";
  }
}

// As much as fits into ram_bytes stays there.
Placement placed(const model::Model& m, uint64_t ram_bytes, std::span<const double> disk_rates) {
  static constexpr std::array<double, 1> kOneDisk{1};
  return place_outline(model::outline_of(m),
                       {.ram_bytes = ram_bytes, .disk_rates = disk_rates.empty() ? std::span(kOneDisk) : disk_rates})
      .placement;
}

uint64_t all_bytes(const model::Model& m) { return ram_weight_bytes(m, {}); }

TEST(Placement, UsesWhatThereIsAndNotMore) {
  for (const char* spec : {"llama-8b:q4_k_m", "llama-1b:q8_0", "smollm2-135m:q4_1"}) {
    SCOPED_TRACE(spec);
    const auto m = synthetic(spec);
    ASSERT_TRUE(m);
    const uint64_t all = all_bytes(*m);
    EXPECT_TRUE(placed(*m, all, {}).all_in_ram());
    EXPECT_FALSE(placed(*m, all - 1, {}).all_in_ram());
    for (const double share : {0.0, 0.01, 0.1, 0.33, 0.5, 0.9, 0.99}) {
      const auto room = std::max(static_cast<uint64_t>(share * static_cast<double>(all)), uint64_t{2} << 20);
      const Placement p = placed(*m, room, {});
      expect_valid(*m, p);
      const uint64_t used = ram_weight_bytes(*m, p);
      EXPECT_LE(used, room) << share;
      const auto* table = m->gathered_table();
      const uint64_t could = table ? std::min(room, all - table->size_bytes) : room;
      EXPECT_GT(used, could - (2u << 20)) << share;
      EXPECT_EQ(used + streamed_bytes(*m, p) + (table ? table->size_bytes : 0), all);
      EXPECT_EQ(p, placed(*m, room, {}));
    }
  }
}

TEST(Placement, LayersStreamAlikeAndPairsAreCutAlike) {
  const auto m = synthetic("llama-8b:q8_0");
  const Placement p = placed(*m, all_bytes(*m) / 2, {});
  uint64_t least = UINT64_MAX, most = 0;
  for (int l = 0; l < m->hparams().n_layers; ++l) {
    uint64_t bytes = 0;
    for (const auto& w : m->layer(l)) {
      if (!w || !p.tensors.contains(w.tensor->name)) continue;
      for (const RowRange& r : p.tensors.at(w.tensor->name))
        if (r.tier == Tier::disk)
          bytes += static_cast<uint64_t>(r.end - r.begin) * tensor::row_bytes(w.tensor->dtype, w.tensor->shape.cols());
    }
    least = std::min(least, bytes);
    most = std::max(most, bytes);
    const std::string layer = fmt::format("blk.{}.", l);
    EXPECT_EQ(p.tensors.at(layer + "ffn_gate.weight"), p.tensors.at(layer + "ffn_up.weight"));
  }
  EXPECT_LT(static_cast<double>(most), 1.02 * static_cast<double>(least));
}

TEST(Placement, ShortReadsAreAvoidedWhereThereIsRoom) {
  const auto m = synthetic("llama-1b:q4_k");
  const Placement p = placed(*m, all_bytes(*m) * 9 / 10, {});
  EXPECT_FALSE(p.tensors.contains("blk.0.attn_k.weight"));
  EXPECT_TRUE(p.tensors.contains("blk.0.ffn_down.weight"));
  EXPECT_TRUE(placed(*m, 0, {}).tensors.contains("blk.0.attn_k.weight"));
}

TEST(Placement, FusedMatricesAreCutByRole) {
  TestFolder folder;
  const auto m = model::Model::open(write_tiny_model(
      folder.path(), {.architecture = "phi3", .dtype = tensor::DType::q8_0, .d_model = 512, .d_ff = 8192}));
  ASSERT_TRUE(m);
  const Placement p = placed(**m, all_bytes(**m) / 2, {});
  expect_valid(**m, p);
  const auto& fused = p.tensors.at("blk.0.ffn_up.weight");
  ASSERT_EQ(fused.size(), 4u) << "gate in RAM, gate on disk, up in RAM, up on disk";
  EXPECT_EQ(fused[0].end - fused[0].begin, fused[2].end - fused[2].begin);
  EXPECT_EQ(fused[2].begin, 8192);
}

TEST(Placement, DisksGetPartsInProportion) {
  const auto m = synthetic("llama-8b:q4_k_m");
  const std::array<double, 3> rates{6.5, 5.0, 0.5};
  const Placement p = placed(*m, all_bytes(*m) / 3, rates);
  expect_valid(*m, p);
  std::array<double, 3> bytes{};
  for (const auto& [name, ranges] : p.tensors)
    for (const RowRange& r : ranges)
      if (r.tier == Tier::disk) {
        ASSERT_LT(r.disk, 3);
        const auto* t = m->file().find(name);
        bytes[r.disk] +=
            static_cast<double>(r.end - r.begin) * static_cast<double>(tensor::row_bytes(t->dtype, t->shape.cols()));
      }
  for (size_t d = 0; d < 3; ++d) EXPECT_NEAR(bytes[d] / (bytes[0] + bytes[1] + bytes[2]), rates[d] / 12.0, 0.005) << d;
}

}  // namespace
}  // namespace watra::engine
