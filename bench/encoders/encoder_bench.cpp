// Texts an encoder turns into vectors each second, as a server would ask for them: through the scheduler, many at once.
//
//   encoder_bench MODEL.gguf [THREADS]
//
// For each length random tokens between [CLS] and [SEP], 4 times 8,192 tokens; medians, and one short text alone.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "engine/pooled_vector.h"
#include "engine/scheduler.h"

namespace {

using namespace watra;
using namespace watra::engine;
using Clock = std::chrono::steady_clock;

constexpr int64_t kTokens = 8192;
constexpr int kRounds = 4;

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return (v[(v.size() - 1) / 2] + v[v.size() / 2]) / 2;
}

// Seconds until all of them are vectors.
double encode(Scheduler& scheduler, int64_t n_texts, int64_t length, std::mt19937& random) {
  const auto& spec = scheduler.model().tokenizer->spec();
  std::uniform_int_distribution<TokenId> any(1000, scheduler.model().tokenizer->n_vocab() - 1);
  std::vector<Request> requests;
  std::vector<std::shared_ptr<PooledVector>> vectors;
  for (int64_t i = 0; i < n_texts; ++i) {
    vectors.push_back(std::make_shared<PooledVector>(scheduler.model().model->hparams().pooling, length));
    Request r{.generate = {.max_tokens = 0}};
    r.prompt.push_back(spec.bos);
    while (static_cast<int64_t>(r.prompt.size()) < length - 1) r.prompt.push_back(any(random));
    r.prompt.push_back(spec.sep);
    r.events.prompt_hidden = [v = vectors.back()](int64_t p, std::span<const float> hidden) { v->add(p, hidden); };
    requests.push_back(std::move(r));
  }
  const auto begin = Clock::now();
  for (Request& r : requests)
    if (const auto asked = scheduler.submit(std::move(r)); !asked) {
      std::fprintf(stderr, "%s\n", asked.error().to_string().c_str());
      std::exit(1);
    }
  while (scheduler.step()) {
  }
  for (const auto& v : vectors) v->normalized();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "encoder_bench MODEL.gguf [THREADS]\n"), 2;
  auto model = load_model(argv[1], {.threads = argc > 2 ? std::atoi(argv[2]) : 0});
  if (!model) return std::fprintf(stderr, "%s\n", model.error().to_string().c_str()), 1;
  std::printf("%s, %s, %d threads\n", argv[1], model->forward->kernels().isa.data(), model->team->size());
  const int64_t n_ctx = model->forward->options().n_ctx;
  auto made = Scheduler::create(std::move(*model));
  if (!made) return std::fprintf(stderr, "%s\n", made.error().to_string().c_str()), 1;
  Scheduler& scheduler = **made;
  std::mt19937 random(1);
  encode(scheduler, 64, 64, random);
  for (const int64_t length : {16, 64, 256, 512}) {
    if (length > n_ctx) break;
    std::vector<double> seconds;
    for (int i = 0; i < kRounds; ++i) seconds.push_back(encode(scheduler, kTokens / length, length, random));
    const double s = median(seconds);
    std::printf("%4d tokens: %8.1f texts/s  %8.0f tokens/s\n", static_cast<int>(length),
                static_cast<double>(kTokens / length) / s, static_cast<double>(kTokens) / s);
  }
  std::vector<double> alone;
  for (int i = 0; i < 50; ++i) alone.push_back(encode(scheduler, 1, 16, random));
  std::printf("one text of 16 tokens alone: %.2f ms\n", 1e3 * median(alone));
}
