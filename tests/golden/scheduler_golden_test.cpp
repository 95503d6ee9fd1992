// Every family through the scheduler: requests that run together, share prefixes, lose their pages and read again write
// what Session writes for each of them alone. Windows, soft caps and stretched RoPE must survive all that.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "engine/scheduler.h"
#include "engine/session.h"
#include "source_folder.h"
#include "workshop/convert.h"

namespace watra::engine {
namespace {

const fs::path kGolden = fs::path(kSourceFolder) / "tests/golden";

struct Asked {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  int64_t max_tokens;
};

// Two conversations, each in several versions that part somewhere, greedy and with seeds.
std::vector<Asked> requests() {
  std::vector<Asked> out;
  for (int i = 0; i < 10; ++i) {
    Asked a;
    const int n_shared = 30 + 17 * i, n = n_shared + 11;
    for (int t = 0; t < n; ++t) a.prompt.push_back(10 + (t * 29 + (t < n_shared ? i % 2 : i) * 57) % 300);
    a.sampling.temperature = i % 3 == 0 ? 0 : 1.1;
    a.sampling.seed = i;
    a.max_tokens = 70 - 3 * i;
    out.push_back(std::move(a));
  }
  return out;
}

class SchedulerGolden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("watra-scheduled-{}-{}", GetParam(), ::getpid());
    fs::create_directories(folder_);
    const auto made = workshop::convert(
        {.source = kGolden / GetParam(), .target = folder_ / "model.gguf", .out_type = workshop::OutType::f32});
    ASSERT_TRUE(made) << made.error().to_string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  LoadedModel load(int64_t kv_positions, int64_t max_rows) {
    auto m = load_model(
        folder_ / "model.gguf",
        {.threads = 1, .n_ctx = 320, .kv_positions = kv_positions, .max_rows = max_rows, .max_logit_rows = 6});
    EXPECT_TRUE(m) << m.error().to_string();
    return std::move(*m);
  }

  fs::path folder_;
};

TEST_P(SchedulerGolden, AnswersAreThoseOfASessionAlone) {
  const std::vector<Asked> asked = requests();
  std::vector<std::vector<TokenId>> alone;
  {
    const LoadedModel m = load(0, 512);
    for (const Asked& a : asked) {
      Session session(m);
      auto sampler = Sampler::create(a.sampling, static_cast<size_t>(m.model->hparams().n_vocab));
      ASSERT_TRUE(sampler && sampler->accept_prompt(a.prompt) && session.prefill(a.prompt));
      alone.push_back(session.generate(*sampler, {.max_tokens = a.max_tokens, .ignore_end = true})->ids);
    }
  }
  for (const int64_t kv_positions : {2560, 640}) {
    auto scheduler = Scheduler::create(load(kv_positions, 48)).value();
    std::vector<RequestHandle> handles;
    for (const Asked& a : asked) {
      Request r{.prompt = a.prompt, .sampling = a.sampling};
      r.generate = {.max_tokens = a.max_tokens, .ignore_end = true};
      handles.push_back(scheduler->submit(std::move(r)).value());
      for (int i = 0; i < 3; ++i) scheduler->step();
    }
    while (scheduler->step()) {
    }
    for (size_t i = 0; i < asked.size(); ++i)
      EXPECT_EQ(handles[i].wait().ids, alone[i]) << "request " << i << ", " << kv_positions << " positions";
    EXPECT_GT(scheduler->stats().n_from_cache, 100);
    EXPECT_EQ(scheduler->stats().n_dropped > 0, kv_positions == 640);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SchedulerGolden,
                         testing::Values("llama", "llama3", "mistral-window", "qwen2", "qwen2-yarn", "qwen3", "gemma2",
                                         "gemma3", "phi3-longrope", "phi4-mini"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace watra::engine
