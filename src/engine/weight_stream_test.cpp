// Streamed weights: whatever the placement, ring, disk and thread count, the bits are those of weights in RAM; and
// every way in which a disk can fail ends one pass with an error and leaves the next one unharmed.
#include "engine/weight_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <random>
#include <thread>

#include "base/fault.h"
#include "base/must_test.h"
#include "engine/allocation_count_test.h"
#include "engine/forward.h"
#include "engine/outline_placement.h"
#include "engine/tiny_model_test.h"
#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using model::Role;
using tensor::DType;

const kernels::Kernels& best() { return *kernels::available().back(); }

struct Rig {
  std::shared_ptr<const model::Model> model;
  std::shared_ptr<ThreadTeam> team;
  std::shared_ptr<const Residency> weights;
  std::unique_ptr<Forward> forward;
  SequenceId sequence = 0;
};

struct RigOptions {
  ResidencyOptions residency;
  const kernels::Kernels* k = &best();
  int n_threads = 2;
};

std::unique_ptr<Rig> rig(std::shared_ptr<const model::Model> m, RigOptions o) {
  auto r = std::make_unique<Rig>();
  r->model = std::move(m);
  r->team = std::make_shared<ThreadTeam>(o.n_threads);
  o.residency.n_threads = o.n_threads;
  r->weights = must(Residency::load(r->model, *r->team, nullptr, {}, o.residency));
  if (!r->weights) return nullptr;
  r->forward = must(Forward::create(r->model, r->weights, r->team, *o.k, {.n_ctx = 256, .max_rows = 80}));
  if (r->forward) r->sequence = r->forward->kv().add();
  return r->forward ? std::move(r) : nullptr;
}

std::vector<float> copy(std::span<const float> x) { return {x.begin(), x.end()}; }

// A prompt, so much of it in one pass that the rows are interleaved in the ring, and a few steps, from an empty cache:
// all logits, one after the other. Empty after an error.
Result<std::vector<float>> talk(Rig& r, int n_steps = 3) {
  Forward& f = *r.forward;
  f.kv().truncate(r.sequence, 0);
  std::vector<float> out;
  std::vector<TokenId> prompt;
  for (TokenId t = 0; t < 77; ++t) prompt.push_back((t * 37 + 5) % 100);
  Batch batch;
  batch.add_chain(r.sequence, prompt.data(), 70, false);
  WATRA_TRY(f.run(batch));
  batch.clear();
  batch.add_chain(r.sequence, prompt.data() + 70, 7, true);
  for (int step = 0;; ++step) {
    WATRA_TRY(f.run(batch));
    const auto logits = f.logits(0);
    out.insert(out.end(), logits.begin(), logits.end());
    if (step == n_steps) return out;
    const auto token = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    batch.clear();
    batch.add_chain(r.sequence, &token, 1, true);
  }
}

Placement all_on_disk(const model::Model& m, std::span<const double> rates) {
  return place_outline(model::outline_of(m), {.ram_bytes = 0, .disk_rates = rates}).placement;
}
Placement all_on_disk(const model::Model& m) { return all_on_disk(m, std::array{1.0}); }

// Any cut that a placement allows.
Placement random_placement(const model::Model& m, std::mt19937& rng, uint8_t n_disks = 1) {
  Placement p;
  const auto tensors = all_on_disk(m).tensors;
  for (const auto& [name, whole] : tensors) {
    if (rng() % 5 == 0) continue;  // in RAM
    auto& ranges = p.tensors[name];
    const int64_t rows = whole.back().end;
    for (int64_t at = 0; at < rows;) {
      const int64_t n = std::min<int64_t>(rows - at, static_cast<int64_t>(1 + rng() % 12) * tensor::kInterleavedRows);
      const Tier tier = rng() % 2 ? Tier::disk : Tier::ram;
      const auto disk = static_cast<uint8_t>(tier == Tier::disk ? rng() % n_disks : 0);
      ranges.push_back({at, at + n, tier, disk});
      at += n;
    }
  }
  return p;
}

TEST(WeightStream, TheBitsAreThoseOfWeightsInRam) {
  struct Case {
    const char* architecture;
    DType dtype;
    bool tied;
  };
  std::mt19937 rng(3);
  for (const auto& [architecture, dtype, tied] :
       {Case{"llama", DType::q4_k, true}, Case{"llama", DType::q8_0, false}, Case{"llama", DType::iq4_xs, false},
        Case{"phi3", DType::q6_k, false}, Case{"phi3", DType::q8_0, true}, Case{"phi3", DType::f16, true}}) {
    TestFolder folder;
    const auto m = must(model::Model::open(write_tiny_model(folder.path(), {.architecture = architecture,
                                                                            .dtype = dtype,
                                                                            .n_layers = 3,
                                                                            .d_ff = 768,
                                                                            .n_vocab = 119,
                                                                            .tied = tied,
                                                                            .max_split_bytes = tied ? 300'000u : 0u})));
    ASSERT_TRUE(m);
    for (const kernels::Kernels* k : {kernels::available()[1], &best()}) {
      const auto in_ram = rig(m, {.k = k});
      ASSERT_TRUE(in_ram);
      const auto want = must(talk(*in_ram));
      for (int round = 0; round < 3; ++round) {
        RigOptions o{.k = k, .n_threads = 1 + static_cast<int>(rng() % 3)};
        o.residency = {.interleave = round % 2 == 0 && k->layout(dtype) != tensor::Layout::rows,
                       .placement = round == 0 ? all_on_disk(*m) : random_placement(*m, rng),
                       .ring_bytes = rng() % 400'000,
                       .unit_bytes = 1 + rng() % 60'000};
        SCOPED_TRACE(fmt::format("{} {} tied {} {} round {} ring {} unit {} threads {}", architecture,
                                 tensor::dtype_name(dtype), tied, k->isa, round, o.residency.ring_bytes,
                                 o.residency.unit_bytes, o.n_threads));
        const auto streamed = rig(m, o);
        ASSERT_TRUE(streamed);
        ASSERT_TRUE(streamed->weights->stream());
        for (int again = 0; again < 2; ++again) ASSERT_EQ(must(talk(*streamed)), want);
        EXPECT_GT(streamed->weights->stream()->stats().n_bytes, 0u);
      }
    }
  }
}

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = write_tiny_model(folder_.path(), {.dtype = DType::q8_0, .n_layers = 4, .tied = false});
    model_ = must(model::Model::open(path_));
    const auto in_ram = rig(model_, {});
    ASSERT_TRUE(in_ram);
    want_ = must(talk(*in_ram));
  }
  std::unique_ptr<Rig> streamed(int n_threads = 2, std::vector<fs::path> disks = {}) {
    RigOptions o{.n_threads = n_threads};
    o.residency = {.interleave = true, .placement = all_on_disk(*model_), .ring_bytes = 400'000, .unit_bytes = 40'000};
    if (!disks.empty()) {
      const std::vector<double> rates(disks.size() + 1, 1.0);
      o.residency.disks = disks;
      o.residency.placement = all_on_disk(*model_, rates);
    }
    return rig(model_, o);
  }

  TestFolder folder_;
  fs::path path_;
  std::shared_ptr<const model::Model> model_;
  std::vector<float> want_;
};

TEST_F(StreamTest, ReadsAheadAcrossPasses) {
  const auto r = streamed();
  ASSERT_TRUE(r);
  ASSERT_EQ(must(talk(*r, 20)).size(), 21u * 100);
  const StreamStats s = r->weights->stream()->stats();
  EXPECT_EQ(s.n_discarded, 0u) << "every pass began as was foreseen";
  const uint64_t pass = streamed_bytes(*model_, r->weights->placement());
  const uint64_t logits = model_->globals()[static_cast<size_t>(Role::output)].tensor->size_bytes;
  EXPECT_EQ(s.n_bytes, 22 * pass - logits);
}

TEST_F(StreamTest, SubRangesTapsAndProjectionsWork) {
  const auto in_ram = rig(model_, {}), r = streamed();
  ASSERT_TRUE(in_ram && r);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::vector<float>> got;
    for (Rig* x : {in_ram.get(), r.get()}) {
      Forward& f = *x->forward;
      f.kv().truncate(x->sequence, 0);
      std::vector<TokenId> tokens = {4, 8, 15, 16, 23, 42};
      Batch batch;
      batch.add_chain(x->sequence, tokens.data(), 6, false);
      ASSERT_TRUE(f.run(batch, {.last_layer = 2}));
      const std::vector<float> hidden(f.residual(), f.residual() + 6 * 256);
      f.kv().truncate(x->sequence, 0);
      for (Row& row : batch.rows) row.wants_hidden = true;
      ASSERT_TRUE(f.run(batch, {.first_layer = 2, .hidden_in = hidden.data()}));
      ASSERT_TRUE(f.project(2, 3));
      for (int i = 0; i < 3; ++i) got.push_back(copy(f.logits(i)));
      f.kv().truncate(x->sequence, 0);
      batch.rows.back().wants_logits = true;
      int n_taps = 0;
      const std::function<void(const Tap&)> tap = [&](const Tap&) { ++n_taps; };
      ASSERT_TRUE(f.run(batch, {.tap = &tap}));
      EXPECT_GT(n_taps, 20);
      got.push_back(copy(f.logits(0)));
    }
    for (size_t i = 0; i < 4; ++i) ASSERT_EQ(got[i], got[i + 4]) << i;
  }
}

TEST_F(StreamTest, EveryReadMayFailAndTheNextPassWorks) {
  for (const int n_threads : {1, 3}) {
    const auto r = streamed(n_threads);
    ASSERT_TRUE(r);
    int n_failed = 0;
    for (uint64_t nth = 0;; nth += 1 + nth / 16) {
      fault::Arm arm("file.read", nth);
      const auto got = talk(*r);
      if (!arm.fired()) {
        EXPECT_EQ(must(got), want_);
        break;
      }
      if (got) {  // a read ahead for a pass that never came
        EXPECT_EQ(*got, want_);
      } else {
        ++n_failed;
        EXPECT_EQ(got.error().code, "file.io");
        EXPECT_NE(got.error().message.find("tiny.gguf"), std::string::npos) << got.error().message;
      }
    }
    EXPECT_GT(n_failed, 20);
    EXPECT_EQ(must(talk(*r)), want_);
  }
}

TEST_F(StreamTest, WorksWithoutIoUringAndWithoutDirectReads) {
  {
    fault::Arm arm("uring.setup", 0);
    const auto r = streamed();
    ASSERT_TRUE(r);
    EXPECT_TRUE(arm.fired());
    EXPECT_EQ(must(talk(*r)), want_);
  }
  for (const uint64_t nth : {0, 3, 17}) {
    const auto r = streamed();
    ASSERT_TRUE(r);
    fault::Arm arm("direct.read", nth);
    EXPECT_EQ(must(talk(*r)), want_);
  }
  fault::Arm arm("direct.open", 0);
  const auto r = streamed();
  ASSERT_TRUE(r);
  EXPECT_TRUE(arm.fired());
  EXPECT_EQ(must(talk(*r)), want_);
}

TEST_F(StreamTest, AFileThatIsCutStopsTheAnswer) {
  const auto r = streamed();
  ASSERT_TRUE(r);
  ASSERT_EQ(must(talk(*r)), want_);
  const auto size = fs::file_size(path_);
  fs::resize_file(path_, size / 2);
  const auto got = talk(*r);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "file.changed");
  EXPECT_NE(got.error().message.find("tiny.gguf was written to"), std::string::npos) << got.error().message;
  fs::resize_file(path_, size);
  EXPECT_EQ(talk(*r).error().code, "file.changed") << "what lies there now is not what was opened";
}

TEST_F(StreamTest, AFileThatIsReplacedOrTakenAwayStopsTheAnswer) {
  const auto r = streamed();
  ASSERT_TRUE(r);
  const fs::path aside = folder_.path() / "aside";
  fs::copy_file(path_, aside);
  const fs::path kept = folder_.path() / "kept";
  fs::rename(path_, kept);
  auto got = talk(*r);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "file.not_found");
  EXPECT_NE(got.error().message.find("is gone"), std::string::npos) << got.error().message;
  fs::rename(aside, path_);
  got = talk(*r);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "file.changed");
  EXPECT_NE(got.error().message.find("was replaced"), std::string::npos) << got.error().message;
  fs::rename(kept, path_);
  EXPECT_EQ(must(talk(*r)), want_) << "the file that was opened is back";
}

TEST_F(StreamTest, APassThatIsCancelledLeavesNothingBehind) {
  const auto r = streamed(3);
  ASSERT_TRUE(r);
  const std::atomic<bool> cancel{true};
  Batch batch;
  const TokenId token = 7;
  batch.add_chain(r->sequence, &token, 1, true);
  for (int i = 0; i < 5; ++i) {
    const Status ran = r->forward->run(batch, {.cancel = &cancel});
    ASSERT_FALSE(ran);
    EXPECT_EQ(ran.error().code, "forward.cancelled");
    EXPECT_EQ(r->forward->kv().length(r->sequence), 0);
  }
  EXPECT_EQ(must(talk(*r)), want_);
}

TEST_F(StreamTest, SeveralForwardsShareTheStream) {
  const auto r = streamed();
  ASSERT_TRUE(r);
  std::vector<std::thread> threads;
  std::array<std::vector<float>, 3> got;
  for (auto& g : got)
    threads.emplace_back([&] {
      Rig mine{.model = model_, .team = std::make_shared<ThreadTeam>(2), .weights = r->weights};
      mine.forward = must(Forward::create(model_, r->weights, mine.team, best(), {.n_ctx = 256, .max_rows = 80}));
      mine.sequence = mine.forward->kv().add();
      g = must(talk(mine));
    });
  for (auto& t : threads) t.join();
  for (const auto& g : got) EXPECT_EQ(g, want_);
  EXPECT_EQ(must(talk(*r)), want_) << "the others' orders are gone";
}

TEST_F(StreamTest, ReadsFromTwoDisks) {
  const fs::path other = folder_.path() / "other";
  fs::create_directories(other);
  const auto none = must(find_copies(model_->file(), std::array{other, folder_.path()}));
  EXPECT_TRUE(none.folders.empty()) << "no copy there, and the model's own folder is no second disk";
  ASSERT_EQ(none.unused.size(), 1u) << "which is nothing to be warned of";
  EXPECT_EQ(none.unused[0].code, "weights.no_copy");
  EXPECT_EQ(none.unused[0].message, fmt::format("{} holds no copy of {}", other.string(), path_.filename().string()));
  fs::copy_file(path_, other / path_.filename());
  const auto both = must(find_copies(model_->file(), std::array{other, folder_.path(), other}));
  EXPECT_TRUE(both.unused.empty());
  const auto found = both.folders;
  EXPECT_EQ(found, std::vector{other});
  {
    const auto r = streamed(2, found);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->weights->files()->n_disks(), 2u);
    EXPECT_EQ(must(talk(*r)), want_);
    fs::resize_file(other / path_.filename(), 1000);
    const auto got = talk(*r);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message.find("other"), std::string::npos) << got.error().message;
  }
  const auto cut = must(find_copies(model_->file(), found));
  EXPECT_TRUE(cut.folders.empty()) << "no longer a copy";
  ASSERT_EQ(cut.unused.size(), 1u);
  EXPECT_EQ(cut.unused[0].code, "weights.not_a_copy");
  EXPECT_NE(cut.unused[0].message.find("it has 1000 bytes, the model's file"), std::string::npos);
  std::mt19937 rng(5);
  fs::remove(other / path_.filename());
  fs::copy_file(path_, other / path_.filename());
  for (int round = 0; round < 4; ++round) {
    RigOptions o;
    o.residency = {.placement = random_placement(*model_, rng, 2),
                   .disks = found,
                   .ring_bytes = rng() % 300'000,
                   .unit_bytes = 10'000};
    const auto r = rig(model_, o);
    ASSERT_TRUE(r);
    EXPECT_EQ(must(talk(*r)), want_);
  }
}

TEST_F(StreamTest, PlacementsThatAreNotTheModelsAreRefused) {
  const auto refused = [&](const Placement& p) {
    const auto r = Residency::reserve(model_, nullptr, {.placement = p});
    return r ? std::string() : r.error().code;
  };
  const int64_t rows = 512;
  const std::string name = "blk.0.ffn_gate.weight";
  EXPECT_EQ(refused({{{name, {{0, rows, Tier::disk}}}}}), "");
  EXPECT_EQ(refused({{{"blk.9.ffn_gate.weight", {{0, rows, Tier::disk}}}}}), "placement.invalid");
  EXPECT_EQ(refused({{{name, {{0, rows - 1, Tier::disk}}}}}), "placement.invalid");
  EXPECT_EQ(refused({{{name, {{0, 16, Tier::disk}, {32, rows, Tier::ram}}}}}), "placement.invalid");
  EXPECT_EQ(refused({{{name, {{0, rows, Tier::vram}}}}}), "placement.invalid");
  EXPECT_EQ(refused({{{name, {{0, rows, Tier::disk, 1}}}}}), "placement.invalid");
  EXPECT_EQ(refused({{{"blk.0.attn_norm.weight", {{0, 1, Tier::disk}}}}}), "placement.invalid");
}

TEST_F(StreamTest, DecodingAllocatesNothing) {
  for (const int n_threads : {1, 3}) {
    const auto r = streamed(n_threads);
    ASSERT_TRUE(r);
    ASSERT_EQ(must(talk(*r)), want_);
    Batch batch;
    const TokenId token = 3;
    batch.add_chain(r->sequence, &token, 1, true);
    bool good = true;
    for (int i = 0; i < 3; ++i) good = good && r->forward->run(batch);
    const long before = allocation_count();
    for (int i = 0; i < 40; ++i) good = good && r->forward->run(batch);
    EXPECT_TRUE(good);
    EXPECT_EQ(allocation_count() - before, 0);
  }
}

}  // namespace
}  // namespace watra::engine
