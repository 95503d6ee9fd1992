// What load_model() does is what its plan says.
#include "engine/loaded_model.h"

#include <gtest/gtest.h>

#include <atomic>

#include "engine/loaded_plan.h"
#include "engine/tiny_model_test.h"
#include "model/outline.h"

namespace watra::engine {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// 52 MiB of weights, so that a limit has something to divide.
fs::path write_wide_model(const fs::path& folder) {
  return write_tiny_model(folder, {.dtype = tensor::DType::q8_0, .n_layers = 4, .d_model = 512, .d_ff = 8192});
}

Result<LoadedModel> load(const fs::path& path, uint64_t ram_bytes, std::optional<KvStoreOptions> store = {}) {
  return load_model(path, {.threads = 2, .n_ctx = 64, .ram_bytes = ram_bytes, .kv_store = std::move(store)});
}

// What a process of this size, with nothing of the model but its weights on disk, takes.
uint64_t limit_for(const fs::path& path, uint64_t weights_in_ram) {
  const auto refused = load(path, kMiB);
  EXPECT_FALSE(refused);
  const std::string& hint = refused.error().hint;
  const size_t at = hint.find("--ram ");
  EXPECT_NE(at, std::string::npos) << refused.error().to_string();
  return *parse_bytes(hint.substr(at + 6, hint.find(',') - at - 6)) + weights_in_ram;
}

TEST(LoadedModel, LiesAsThePlanSays) {
  const TestFolder folder;
  const fs::path path = write_wide_model(folder.path());
  {
    const auto m = load(path, 0);
    ASSERT_TRUE(m) << m.error().to_string();
    ASSERT_TRUE(m->plan);
    EXPECT_TRUE(m->plan->placed.placement.all_in_ram());
    EXPECT_EQ(m->plan->placed.ram_bytes, ram_weight_bytes(*m->model, {}));
    EXPECT_EQ(m->plan->seconds, 0) << "nothing is predicted without rates";
  }
  const uint64_t limit = limit_for(path, 40 * kMiB);
  const auto m = load(path, limit);
  ASSERT_TRUE(m) << m.error().to_string();
  ASSERT_TRUE(m->plan);
  const PlacedOutline& placed = m->plan->placed;
  EXPECT_GT(placed.disk_bytes, 5 * kMiB);
  EXPECT_EQ(m->weights->placement(), placed.placement);
  EXPECT_EQ(m->streamed_bytes, placed.disk_bytes) << "embeddings are tied: all of it is read in every pass";
  EXPECT_EQ(ram_weight_bytes(*m->model, placed.placement), placed.ram_bytes);
  EXPECT_LE(m->budget->used_bytes(), limit);
  EXPECT_GT(m->budget->used_bytes(), limit - 2 * kMiB) << "and nothing is left unused";

  // With a machine's rates the same question has the same places, and a prediction.
  Hardware hw;
  hw.ram = {.bytes = 64'000'000'000, .gb_s = 50};
  hw.disks = {{.path = m->plan->disks.at(0), .gb_s = 2}};
  hw.cpu.cores = 2;
  hw.cpu.int8_gop_s = 500;
  const auto predicted = make_plan(model::outline_of(*m->model), hw, m->plan_options);
  ASSERT_TRUE(predicted) << predicted.error().to_string();
  EXPECT_EQ(predicted->placed.placement, placed.placement);
  EXPECT_GT(predicted->decode_tokens_per_s, 0);
}

TEST(LoadedModel, ConversationsTakeLittleOfATightLimit) {
  const TestFolder folder;
  const fs::path path = write_wide_model(folder.path());
  const uint64_t limit = limit_for(path, 16 * kMiB);
  const auto m = load(path, limit, KvStoreOptions{.folder = folder.path() / "kv"});
  ASSERT_TRUE(m) << m.error().to_string();
  ASSERT_TRUE(m->kv_store);
  EXPECT_LE(m->kv_store->room_bytes(), std::max(limit / 32, 2 * kMiB));
  EXPECT_LE(m->budget->used_bytes(), limit);
}

// Logits of 16 rows are 3 MiB here: the first pass of that width would have to be given them page by page.
TEST(LoadedModel, ThePagesOfNarrowPassesAreThereBeforeTheFirst) {
  const TestFolder folder;
  const fs::path path = write_tiny_model(folder.path(), {.n_vocab = 50'000});
  auto m = load_model(path, {.threads = 2, .n_ctx = 64, .max_logit_rows = 16});
  ASSERT_TRUE(m) << m.error().to_string();
  const SequenceId s = m->forward->kv().add();
  Batch batch;
  batch.rows.push_back({.token = 1, .sequence = s, .wants_logits = true});
  ASSERT_TRUE(m->forward->run(batch));
  const uint64_t before = resident_bytes();
  batch.clear();
  for (int i = 0; i < 16; ++i) batch.rows.push_back({.token = i, .sequence = s, .wants_logits = true});
  ASSERT_TRUE(m->forward->run(batch));
  EXPECT_LT(resident_bytes(), before + kMiB);
}

// Whoever loads may be told to leave off at any of the places where it asks.
TEST(LoadedModel, LoadingEndsWhenItIsCancelled) {
  const TestFolder folder;
  const fs::path path = write_tiny_model(folder.path(), {});
  int n_places = 0;
  for (;; ++n_places) {
    std::atomic<int> n_asked{0};
    const auto m = load_model(
        path, {.threads = 2, .n_ctx = 256, .touch_cache = true, .cancelled = [&] { return n_asked++ >= n_places; }});
    if (m) break;
    ASSERT_EQ(m.error().code, "load.cancelled");
  }
  EXPECT_GT(n_places, 6) << "before, while weights are read, while the cache is touched, after";
}

Hardware machine_with_disk(const std::string& path, double gb_s) {
  Hardware hw;
  hw.ram = {.bytes = 64'000'000'000, .gb_s = 50};
  hw.cpu.cores = 2;
  hw.cpu.int8_gop_s = 500;
  hw.disks = {{.path = path, .gb_s = gb_s}};
  return hw;
}

TEST(LoadedModel, IsPredictedOnDisksThatNobodyMeasured) {
  const TestFolder folder, other;
  const fs::path path = write_wide_model(folder.path());
  fs::copy_file(path, other.path() / path.filename());
  const auto m = load_model(path, {.threads = 2,
                                   .n_ctx = 64,
                                   .ram_bytes = limit_for(path, 20 * kMiB),
                                   .disks = {other.path()},
                                   .disk_rates = {2, 1}});
  ASSERT_TRUE(m) << m.error().to_string();
  ASSERT_GT(m->streamed_bytes, 0u);
  ASSERT_EQ(m->plan_options.disks.size(), 2u);
  const Hardware hw = machine_with_disk("elsewhere", 9);
  const auto plan = plan_as_loaded(*m, hw, 10);
  ASSERT_TRUE(plan);
  EXPECT_NEAR(plan->pass[Part::disk].seconds,
              static_cast<double>(m->streamed_bytes) / 3e9 / Efficiency::expected().disk_read, 1e-3);
}

TEST(LoadedModel, ItsDraftIsPartOfThePrediction) {
  const TestFolder folder;
  const fs::path path = write_wide_model(folder.path());
  const auto m = load(path, limit_for(path, 20 * kMiB));
  ASSERT_TRUE(m) << m.error().to_string();
  const Hardware hw = machine_with_disk("A", 0.1);
  const auto alone = plan_as_loaded(*m, hw, 10);
  const auto words = plan_as_loaded(*m, hw, 10, {.draft = "ngram"});
  model::ModelOutline copy = model::low_bit_copy(model::outline_of(*m->model), tensor::DType::q2_k);
  const auto drafted =
      plan_as_loaded(*m, hw, 10, {.draft = "self:q2_k", .drafts = {{"self", "self:q2_k", std::move(copy), true}}});
  ASSERT_TRUE(alone && words && drafted);
  EXPECT_GT(words->decode_tokens_per_s, alone->decode_tokens_per_s);
  EXPECT_GT(drafted->decode_tokens_per_s, words->decode_tokens_per_s);
  EXPECT_EQ(drafted->placed.disk_bytes, alone->placed.disk_bytes) << "the weights lie where they lie";
}

// A folder mistyped would otherwise cost half of the speed unnoticed.
TEST(LoadedModel, DisksThatGiveNothingAreTold) {
  const TestFolder folder, other;
  const fs::path path = write_wide_model(folder.path());
  const auto load_with = [&](const fs::path& disk) {
    return load_model(path, {.threads = 1, .n_ctx = 64, .disks = {disk}});
  };
  const auto mistyped = load_with(other.path() / "nope");
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().code, "usage.disk");
  EXPECT_NE(mistyped.error().message.find("nope is no folder"), std::string::npos);

  const fs::path copy = other.path() / path.filename();
  const auto reason = [&]() -> std::string {
    const auto m = load_with(other.path());
    EXPECT_TRUE(m);
    if (!m || m->unused_disks.size() != 1) return {};
    return m->unused_disks[0].message;
  };
  EXPECT_NE(reason().find("holds no copy of"), std::string::npos);
  fs::copy_file(path, copy);
  const auto whole = load_with(other.path());
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->unused_disks.empty());
  {
    File file = *File::open(copy, File::Mode::read_write);
    const std::byte other_bytes[256]{};
    const auto& tensors = whole->model->file().tensors();
    ASSERT_TRUE(file.write_at(tensors[3].offset_bytes + tensors[3].size_bytes / 2, other_bytes));
  }
  EXPECT_NE(reason().find("is another there"), std::string::npos) << reason();
  fs::resize_file(copy, 5000);
  EXPECT_NE(reason().find("it has 5000 bytes, the model's file"), std::string::npos) << reason();
}

}  // namespace
}  // namespace watra::engine
