#include "engine/residency.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>

#include "base/fault.h"
#include "base/must_test.h"
#include "engine/forward.h"
#include "engine/tiny_model_test.h"
#include "model/synthetic.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::engine {
namespace {

using model::BoundWeight;
using model::Role;
using tensor::DType;
using tensor::Layout;

void forget_cached(const model::Model& m) {
  for (uint32_t i = 0; i < m.file().paths().size(); ++i)
    ::posix_fadvise(m.file().file(i).fd(), 0, 0, POSIX_FADV_DONTNEED);
}

// Every row of every weight as the file has it, read the plain way.
void expect_like_the_file(const model::Model& m, const Residency& r) {
  const auto compare = [&](const BoundWeight& b, const LoadedWeight& w) {
    SCOPED_TRACE(b.tensor->name);
    std::vector<std::byte> raw(b.tensor->size_bytes);
    ASSERT_TRUE(m.file().read(*b.tensor, raw));
    if (b.tensor->shape.rank() < 2) {
      std::vector<float> want(static_cast<size_t>(b.tensor->shape.elements()));
      tensor::dequantize_row(b.tensor->dtype, raw.data(), want.data(), b.tensor->shape.elements());
      ASSERT_EQ(std::memcmp(want.data(), w.vector, want.size() * sizeof(float)), 0);
      return;
    }
    ASSERT_EQ(w.matrix.shape.rows(), b.rows());
    const uint64_t row_bytes = w.matrix.row_size_bytes();
    std::vector<std::byte> row(row_bytes);
    for (int64_t i = 0; i < b.rows(); ++i) {
      tensor::copy_row(w.matrix, i, row.data());
      ASSERT_EQ(std::memcmp(row.data(), raw.data() + static_cast<uint64_t>(b.row_begin + i) * row_bytes, row_bytes), 0)
          << "row " << i;
    }
  };
  for (size_t i = 0; i < model::kRoles; ++i) {
    const auto role = static_cast<Role>(i);
    if (m.globals()[i]) compare(m.globals()[i], r.global(role));
    for (int l = 0; l < m.hparams().n_layers; ++l)
      if (m.layer(l)[i]) compare(m.layer(l)[i], r.layer(l, role));
  }
}

TEST(Residency, HoldsTheFilesRowsInEitherLayout) {
  for (const char* architecture : {"llama", "phi3"})
    for (const DType dtype : {DType::q4_k, DType::q6_k, DType::q8_0, DType::iq4_xs, DType::f16, DType::iq3_s})
      for (const uint64_t max_split_bytes : {0, 150'000})
        for (const bool interleave : {false, true})
          for (const int n_threads : {1, 3}) {
            SCOPED_TRACE(fmt::format("{} {} {} {} {}", architecture, tensor::dtype_name(dtype), max_split_bytes,
                                     interleave, n_threads));
            TestFolder folder;
            const auto path = write_tiny_model(folder.path(), {.architecture = architecture,
                                                               .dtype = dtype,
                                                               .tied = n_threads == 1,
                                                               .max_split_bytes = max_split_bytes});
            const auto m = must(model::Model::open(path));
            if (n_threads == 3) forget_cached(*m);
            ThreadTeam team(n_threads);
            MemoryBudget budget;
            const auto r = must(Residency::load(m, team, &budget, {}, {.interleave = interleave}));
            ASSERT_TRUE(r);
            expect_like_the_file(*m, *r);
            const bool mixed = interleave && tensor::can_interleave(dtype);
            EXPECT_EQ(r->layer(0, Role::ffn_down).matrix.layout == Layout::interleaved_16, mixed);
            EXPECT_EQ(r->layer(1, Role::attn_v).matrix.layout == Layout::interleaved_16, mixed);
            EXPECT_EQ(r->global(Role::output).matrix.layout == Layout::interleaved_16, mixed);
            EXPECT_EQ(r->global(Role::token_embd).matrix.layout == Layout::interleaved_16, mixed && n_threads == 1)
                << "a table that is only gathered stays as it is";
            EXPECT_GT(r->report().bytes, 0u);
            EXPECT_EQ(budget.used_bytes() > r->report().bytes / 2, true);
          }
}

TEST(Residency, SlicesThatCutGroupsStayAsTheyLie) {
  TestFolder folder;  // q has 96 rows, k and v 24 each: v begins in the middle of a group
  const auto path = write_tiny_model(
      folder.path(),
      {.architecture = "phi3", .dtype = DType::q8_0, .d_model = 96, .n_heads = 4, .n_kv_heads = 1, .d_head = 24});
  const auto m = must(model::Model::open(path));
  ThreadTeam team(2);
  const auto r = must(Residency::load(m, team, nullptr, {}, {.interleave = true}));
  expect_like_the_file(*m, *r);
  EXPECT_EQ(r->layer(0, Role::attn_q).matrix.layout, Layout::rows);
  EXPECT_EQ(r->layer(0, Role::attn_v).matrix.layout, Layout::rows);
  EXPECT_EQ(r->layer(0, Role::ffn_up).matrix.layout, Layout::interleaved_16);
}

// The gathered table of a tied model is interleaved too: a token's row is put together again.
TEST(Residency, TokensAreEmbeddedFromEitherLayout) {
  TestFolder folder;
  const TinyModel shape{.dtype = DType::q6_k};
  const auto m = must(model::Model::open(write_tiny_model(folder.path(), shape)));
  std::vector<std::vector<float>> embedded;
  for (const bool interleave : {false, true}) {
    auto team = std::make_shared<ThreadTeam>(2);
    std::shared_ptr<const Residency> weights = must(Residency::load(m, *team, nullptr, {}, {.interleave = interleave}));
    const auto f = must(Forward::create(m, weights, team, *kernels::available().back(), {.n_ctx = 256}));
    const SequenceId s = f->kv().add();
    Batch batch;
    for (TokenId t = 0; t < shape.n_vocab; ++t) batch.rows.push_back({.token = t, .sequence = s});
    ASSERT_TRUE(f->run(batch, {.last_layer = 0}));
    embedded.emplace_back(f->residual(), f->residual() + shape.n_vocab * shape.d_model);
  }
  EXPECT_EQ(embedded[0], embedded[1]);
  EXPECT_NE(embedded[0], std::vector<float>(embedded[0].size()));
}

TEST(Residency, WorksWithLittleStaging) {
  TestFolder folder;
  const auto path = write_tiny_model(folder.path(), {.n_layers = 3});
  const auto m = must(model::Model::open(path));
  for (const uint64_t staging : {uint64_t{1}, uint64_t{300'000}, uint64_t{64} << 20}) {
    forget_cached(*m);
    ThreadTeam team(4);
    auto r = must(Residency::reserve(m, nullptr, {.interleave = true}));
    ASSERT_TRUE(r->read(team, {}, staging));
    expect_like_the_file(*m, *r);
  }
}

TEST(Residency, SyntheticWeightsAreTheSameInEitherLayout) {
  const auto m = must(model::Model::from(must(model::synthetic_checkpoint("smollm2-135m:q4_1"))));
  ThreadTeam team(2);
  const auto a = must(Residency::load(m, team, nullptr));
  const auto b = must(Residency::load(m, team, nullptr, {}, {.interleave = true}));
  const auto &raw = a->layer(0, Role::ffn_down).matrix, &mixed = b->layer(0, Role::ffn_down).matrix;
  std::vector<std::byte> row(raw.row_size_bytes());
  for (int64_t i = 0; i < raw.shape.rows(); i += 97) {
    tensor::copy_row(mixed, i, row.data());
    ASSERT_EQ(std::memcmp(row.data(), raw.row(i), row.size()), 0) << i;
  }
}

TEST(Residency, EveryReadMayFailAndNothingLeaks) {
  TestFolder folder;
  const auto path = write_tiny_model(folder.path(), {.max_split_bytes = 150'000});
  const auto m = must(model::Model::open(path));
  ThreadTeam team(2);
  for (const bool cold : {false, true})
    for (uint64_t nth = 0;; ++nth) {
      if (cold) forget_cached(*m);
      MemoryBudget budget;
      fault::Arm arm("file.read", nth);
      const auto r = Residency::load(m, team, &budget, {}, {.interleave = true});
      if (!arm.fired()) {
        EXPECT_TRUE(r);
        EXPECT_GT(nth, 1u);
        break;
      }
      ASSERT_FALSE(r);
      EXPECT_EQ(r.error().code, "file.io");
      EXPECT_NE(r.error().message.find(".gguf"), std::string::npos);
      EXPECT_EQ(budget.used_bytes(), 0u);
    }
}

TEST(Residency, ReadingEndsWhenItIsCancelled) {
  TestFolder folder;
  const auto path = write_tiny_model(folder.path(), {});
  const auto m = must(model::Model::open(path));
  ThreadTeam team(2);
  for (const bool cold : {false, true})
    for (const int after : {0, 1}) {
      if (cold) forget_cached(*m);
      MemoryBudget budget;
      {
        const auto r = must(Residency::reserve(m, &budget, {}));
        std::atomic<int> n_asked{0};
        const Status read = r->read(team, {}, 0, [&] { return n_asked++ >= after; });
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code, "load.cancelled");
      }
      EXPECT_EQ(budget.used_bytes(), 0u);
    }
}

TEST(Residency, AFileThatShrankIsAnErrorWithNumbers) {
  for (const bool cold : {false, true}) {
    TestFolder folder;
    const auto path = write_tiny_model(folder.path(), {});
    const auto m = must(model::Model::open(path));
    fs::resize_file(path, fs::file_size(path) / 2 + 13);
    if (cold) forget_cached(*m);
    ThreadTeam team(2);
    MemoryBudget budget;
    const auto r = Residency::load(m, team, &budget);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, "file.short_read");
    EXPECT_NE(r.error().message.find("tiny.gguf ends early"), std::string::npos) << r.error().message;
    EXPECT_EQ(budget.used_bytes(), 0u);
  }
}

TEST(Residency, ReservesBeforeItReads) {
  TestFolder folder;
  const auto m = must(model::Model::open(write_tiny_model(folder.path(), {})));
  MemoryBudget budget(100'000);
  fault::Arm arm("file.read", 0);
  const auto r = Residency::load(m, *std::make_unique<ThreadTeam>(1), &budget);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, "memory.over_budget");
  EXPECT_FALSE(arm.fired());
}

}  // namespace
}  // namespace watra::engine
