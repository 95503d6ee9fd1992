// After create() a pass allocates nothing (forward.h): neither memory of the language's nor buffers of ours.
#include <gtest/gtest.h>

#include "base/fault.h"
#include "engine/allocation_count_test.h"
#include "engine/forward.h"
#include "engine/sampling.h"
#include "engine/tiny_model_test.h"

namespace watra::engine {
namespace {

// Counts calls of operator new on all threads, and of Buffer::allocate (every one passes "memory.take").
class AllocationWatch {
 public:
  AllocationWatch() : buffers_("memory.take", UINT64_MAX), before_(allocation_count()) {}
  long n_allocations() const { return allocation_count() - before_; }
  uint64_t n_buffers() const { return buffers_.passages(); }

 private:
  fault::Arm buffers_;
  long before_;
};

struct Loaded {
  MemoryBudget budget;
  std::unique_ptr<Forward> forward;
};

std::unique_ptr<Loaded> load(const TestFolder& folder, const kernels::Kernels& k, int n_threads, bool interleave) {
  auto out = std::make_unique<Loaded>();
  const auto opened = [&]() -> Status {
    WATRA_ASSIGN(const auto m, model::Model::open(write_tiny_model(folder.path(), {})));
    auto team = std::make_shared<ThreadTeam>(n_threads);
    WATRA_ASSIGN(std::shared_ptr<const Residency> weights,
                 Residency::load(m, *team, &out->budget, {}, {.interleave = interleave}));
    WATRA_ASSIGN(out->forward,
                 Forward::create(m, weights, team, k, {.n_ctx = 2048, .max_rows = 64, .budget = &out->budget}));
    return {};
  }();
  if (!opened) {
    ADD_FAILURE() << opened.error().to_string();
    return nullptr;
  }
  return out;
}

TEST(ForwardAllocations, TheWatchSeesBothKinds) {
  AllocationWatch watch;
  auto v = std::make_unique<std::vector<int>>(100);
  MemoryBudget budget;
  const auto b = Buffer::allocate(&budget, "test", 100);
  EXPECT_GE(watch.n_allocations(), 2);
  EXPECT_EQ(watch.n_buffers(), 1u);
}

TEST(ForwardAllocations, DecodingAllocatesNothing) {
  constexpr int kSteps = 80;  // past the end of a cache page
  for (const kernels::Kernels* k : kernels::available()) {
    if (kernels::is_truth(*k)) continue;  // the scalar truth: made to be read
    for (const int n_threads : {1, 3})
      for (size_t n_sequences = 1; n_sequences <= 4; ++n_sequences) {
        SCOPED_TRACE(fmt::format("{} {} threads {} sequences", k->isa, n_threads, n_sequences));
        TestFolder folder;
        const auto loaded = load(folder, *k, n_threads, false);
        ASSERT_TRUE(loaded);
        Forward& f = *loaded->forward;
        std::vector<SequenceId> sequences;
        std::vector<Sampler> samplers;
        SamplingParams params;
        params.seed = 1;
        Batch batch;
        batch.rows.reserve(64);
        for (size_t s = 0; s < n_sequences; ++s) {
          sequences.push_back(f.kv().add());
          auto sampler = Sampler::create(params, 100);
          ASSERT_TRUE(sampler);
          samplers.push_back(std::move(*sampler));
        }
        std::vector<TokenId> last(n_sequences, 1);
        bool good = true;
        const auto step = [&](uint64_t position) {
          batch.clear();
          for (size_t s = 0; s < n_sequences; ++s) batch.add_chain(sequences[s], &last[s], 1, true);
          good = good && f.run(batch);
          for (size_t s = 0; s < n_sequences && good; ++s) {
            const auto sampled = samplers[s].sample(f.logits(static_cast<int64_t>(s)), position);
            good = sampled && samplers[s].accept(sampled->token);
            if (good) last[s] = sampled->token;
          }
        };
        for (uint64_t i = 0; i < 5; ++i) step(i);
        AllocationWatch watch;
        for (uint64_t i = 5; i < kSteps; ++i) step(i);
        EXPECT_TRUE(good);
        EXPECT_EQ(watch.n_allocations(), 0);
        EXPECT_EQ(watch.n_buffers(), 0u);
      }
  }
}

TEST(ForwardAllocations, PrefillAndTreesAllocateNothing) {
  TestFolder folder;
  const auto loaded = load(folder, *kernels::available().back(), 2, false);
  ASSERT_TRUE(loaded);
  Forward& f = *loaded->forward;
  const SequenceId s = f.kv().add();
  std::vector<TokenId> prompt(64, 7);
  Batch chain, tree;
  chain.add_chain(s, prompt.data(), 64, true);
  for (int32_t parent : {kFromCache, 0, 0, 1, 2})
    tree.rows.push_back({.token = 3, .sequence = s, .parent = parent, .wants_logits = true});
  const std::vector<int32_t> path = {0, 2, 4};
  const auto round = [&] {
    if (!f.run(chain) || !f.run(tree)) return false;
    f.kv().keep_path(s, path);
    return true;
  };
  ASSERT_TRUE(round());
  AllocationWatch watch;
  bool good = true;
  for (int i = 0; i < 10; ++i) good = good && round();
  EXPECT_TRUE(good);
  EXPECT_EQ(watch.n_allocations(), 0);
  EXPECT_EQ(watch.n_buffers(), 0u);
}

}  // namespace
}  // namespace watra::engine
