// A placement with a card is carried out: the seat that a graphics card will take.
#include "engine/device.h"

#include <gtest/gtest.h>

#include "base/must_test.h"
#include "engine/forward.h"
#include "engine/plan.h"
#include "engine/simulated_device_test.h"
#include "engine/tiny_model_test.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::engine {
namespace {

using model::BoundWeight;
using model::Role;

constexpr double kBusGbS = 25;

// Four layers, of which a card of `vram_bytes` takes what fits.
class OnADevice : public testing::TestWithParam<const char*> {
 protected:
  OnADevice()
      : model_(must(model::Model::open(write_tiny_model(
            folder_.path(), {.architecture = GetParam(), .n_layers = 4, .d_ff = 2048, .tied = false})))) {}

  Plan plan(uint64_t vram_bytes, uint64_t ram_bytes = uint64_t{1} << 30) {
    Hardware hw;
    hw.ram = {.bytes = ram_bytes, .gb_s = 10};
    constexpr uint64_t kWork = uint64_t{1} << 30;  // a part of the card's bytes
    hw.vram = {.bytes = vram_bytes + kWork, .work_bytes = kWork, .gb_s = 100};
    hw.pcie_gb_s = kBusGbS;
    hw.cpu.cores = 2;
    hw.cpu.int8_gop_s = 1000;
    return must(make_plan(model::outline_of(*model_), hw, {.n_ctx = 256}));
  }
  uint64_t weight_bytes() const { return model::outline_of(*model_).weight_bytes(); }

  // Every byte of every weight as the file has it, wherever it lies. Returns how many lie on the device.
  uint64_t compare_with_file(const Residency& r) {
    uint64_t n_on_device = 0;
    const auto floats_of = [&](const checkpoint::TensorInfo& t) {
      std::vector<std::byte> raw(t.size_bytes);
      EXPECT_TRUE(model_->file().read(t, raw));
      std::vector<float> floats(static_cast<size_t>(t.shape.elements()));
      tensor::dequantize_row(t.dtype, raw.data(), floats.data(), t.shape.elements());
      return floats;
    };
    const auto floats_there = [&](uint64_t offset, size_t n) {
      std::vector<float> there(n);
      EXPECT_TRUE(r.on_device().download(offset, std::as_writable_bytes(std::span(there))));
      return there;
    };
    const auto compare = [&](const BoundWeight& b, const LoadedWeight& w) {
      SCOPED_TRACE(b.tensor->name);
      if (b.is_vector()) {
        const auto want = floats_of(*b.tensor);
        if (!w.vector) {
          ASSERT_EQ(w.on_device.size(), 1u);
          EXPECT_EQ(floats_there(w.on_device[0].offset, want.size()), want);
          n_on_device += want.size() * sizeof(float);
        } else {
          EXPECT_EQ(std::vector(w.vector, w.vector + want.size()), want);
        }
        return;
      }
      const uint64_t row_bytes = w.matrix.row_size_bytes();
      std::vector<std::byte> raw(b.tensor->size_bytes), row(row_bytes);
      ASSERT_TRUE(model_->file().read(*b.tensor, raw));
      const auto wanted = [&](int64_t i) {
        return std::span(raw).subspan(static_cast<uint64_t>(b.row_begin + i) * row_bytes, row_bytes);
      };
      int64_t n_rows = 0;
      for (const DeviceRows& rows : w.on_device)
        for (int64_t i = rows.begin; i < rows.end; ++i, ++n_rows) {
          ASSERT_TRUE(r.on_device().download(rows.offset + static_cast<uint64_t>(i - rows.begin) * row_bytes, row));
          ASSERT_TRUE(std::ranges::equal(row, wanted(i))) << "row " << i << " on the card";
          n_on_device += row_bytes;
        }
      for (const ResidentRows& rows : w.resident)
        for (int64_t i = rows.begin; i < rows.end(); ++i, ++n_rows) {
          tensor::copy_row(rows.matrix, i - rows.begin, row.data());
          ASSERT_TRUE(std::ranges::equal(row, wanted(i))) << "row " << i << " in RAM";
        }
      ASSERT_EQ(n_rows, b.rows());
    };
    for (size_t i = 0; i < model::kRoles; ++i) {
      const auto role = static_cast<Role>(i);
      if (model_->globals()[i]) compare(model_->globals()[i], r.global(role));
      for (int l = 0; l < model_->hparams().n_layers; ++l)
        if (model_->layer(l)[i]) compare(model_->layer(l)[i], r.layer(l, role));
    }
    return n_on_device;
  }

  TestFolder folder_;
  std::shared_ptr<const model::Model> model_;
};

TEST_P(OnADevice, APlanWithACardPutsItsLayersThere) {
  for (const double share : {0.3, 0.6, 1.0}) {
    SCOPED_TRACE(share);
    const auto vram = static_cast<uint64_t>(share * static_cast<double>(weight_bytes()));
    const Plan p = plan(vram);
    ASSERT_GT(p.placed.vram_bytes, 0u);
    ASSERT_LE(p.placed.vram_bytes, vram);
    const auto card = std::make_shared<SimulatedDevice>(vram + (64 << 10), kBusGbS);  // rounding
    for (const int n_threads : {1, 3})
      for (const bool interleave : {false, true}) {
        ThreadTeam team(n_threads);
        MemoryBudget budget;
        auto r = must(Residency::load(model_, team, &budget, {},
                                      {.interleave = interleave, .placement = p.placed.placement, .device = card}));
        ASSERT_TRUE(r);
        EXPECT_EQ(compare_with_file(*r), device_weight_bytes(*model_, p.placed.placement));
        EXPECT_EQ(card->capacity_bytes() - card->free_bytes(), r->on_device().size_bytes());
        // The card holds what the plan says, and RAM is not asked for it as well.
        EXPECT_NEAR(static_cast<double>(r->on_device().size_bytes()), static_cast<double>(p.placed.vram_bytes),
                    16 << 10);
        EXPECT_NEAR(static_cast<double>(budget.used_bytes()),
                    static_cast<double>(ram_weight_bytes(*model_, p.placed.placement)), 16 << 10);
        r.reset();
        EXPECT_EQ(card->free_bytes(), card->capacity_bytes()) << "given back";
      }
    EXPECT_EQ(card->uploaded_bytes(), 4 * device_weight_bytes(*model_, p.placed.placement)) << "each byte once";
    EXPECT_NEAR(card->bus_seconds() * kBusGbS * 1e9, static_cast<double>(card->uploaded_bytes()), 1);
  }
}

TEST_P(OnADevice, TheBudgetOfRamNeedNotHoldWhatLiesOnTheCard) {
  const Plan p = plan(weight_bytes());
  const uint64_t in_ram = ram_weight_bytes(*model_, p.placed.placement);
  ASSERT_LT(2 * in_ram, weight_bytes());
  MemoryBudget budget(in_ram + (32 << 10));
  ThreadTeam team(2);
  const auto card = std::make_shared<SimulatedDevice>(weight_bytes() + (64 << 10), kBusGbS);
  EXPECT_TRUE(Residency::load(model_, team, &budget, {}, {.placement = p.placed.placement, .device = card}));
  const auto without = Residency::load(model_, team, &budget);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, "memory.over_budget");
}

TEST_P(OnADevice, ACardThatIsFullOrLostSaysSoAndKeepsNothing) {
  const Plan p = plan(weight_bytes());
  ThreadTeam team(2);
  const auto load = [&](const std::shared_ptr<SimulatedDevice>& card) {
    return Residency::load(model_, team, nullptr, {}, {.placement = p.placed.placement, .device = card});
  };
  const auto small = std::make_shared<SimulatedDevice>(p.placed.vram_bytes / 2, kBusGbS);
  const auto full = load(small);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "device.full");
  EXPECT_EQ(small->free_bytes(), small->capacity_bytes());
  for (const int64_t n : {0, 1, 7}) {
    const auto card = std::make_shared<SimulatedDevice>(weight_bytes() + (64 << 10), kBusGbS);
    card->lose_after(n);
    const auto lost = load(card);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, "device.lost");
    EXPECT_EQ(card->free_bytes(), card->capacity_bytes());
  }
  const auto none = Residency::load(model_, team, nullptr, {}, {.placement = p.placed.placement});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, "placement.invalid");
}

TEST_P(OnADevice, NothingComputesThereYet) {
  const Plan p = plan(weight_bytes() / 2);
  const auto team = std::make_shared<ThreadTeam>(1);
  const auto card = std::make_shared<SimulatedDevice>(weight_bytes(), kBusGbS);
  std::shared_ptr<const Residency> weights =
      must(Residency::load(model_, *team, nullptr, {}, {.placement = p.placed.placement, .device = card}));
  const auto forward = Forward::create(model_, weights, team, *must(kernels::select("")), {.n_ctx = 128});
  ASSERT_FALSE(forward);
  EXPECT_EQ(forward.error().code, "forward.no_executor");
  EXPECT_NE(forward.error().message.find("simulated card"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Architectures, OnADevice, testing::Values("llama", "phi3"),
                         [](const auto& a) { return std::string(a.param); });

}  // namespace
}  // namespace watra::engine
