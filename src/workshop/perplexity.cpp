#include "workshop/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace watra::workshop {
namespace {

using engine::Batch;
using engine::Forward;
using engine::LoadedModel;
using Clock = std::chrono::steady_clock;

// log(sum(exp(row))), in double.
double log_sum_exp(std::span<const float> row) {
  float top = row[0];
  for (float v : row) top = std::max(top, v);
  double sum = 0;
  for (float v : row) sum += std::exp(static_cast<double>(v) - top);
  return top + std::log(sum);
}

// Runs one window and calls score(first_position, logits of consecutive positions) for those that predict a scored
// target.
template <class Score>
Status run_window(Forward& f, std::span<const TokenId> window, const std::atomic<bool>* cancel, Score&& score) {
  const auto n = static_cast<int64_t>(window.size());
  const int64_t first = n / 2;  // position n/2 predicts target n/2 + 1
  const engine::SequenceId sequence = f.kv().add();
  Batch batch;
  Status done;
  for (int64_t at = 0; done && at < n;) {
    const int64_t rows = std::min(n - at, f.options().max_rows);
    batch.clear();
    batch.add_chain(sequence, window.data() + at, rows, false);
    int64_t wanted_from = std::max(first, at);
    int64_t n_wanted = 0;
    for (int64_t p = wanted_from; p < std::min(at + rows, n - 1); ++p, ++n_wanted)
      batch.rows[static_cast<size_t>(p - at)].wants_hidden = true;
    done = f.run(batch, {.cancel = cancel});
    for (int64_t i = 0; done && i < n_wanted;) {
      const int64_t m = std::min(n_wanted - i, f.options().max_logit_rows);
      done = f.project(i, m);
      if (done) score(wanted_from + i, m);
      i += m;
    }
    at += rows;
  }
  f.kv().remove(sequence);
  return done;
}

double standard_error(double sum, double sum_squares, int64_t n) {
  if (n < 2) return 0;
  const double mean = sum / static_cast<double>(n);
  const double variance = sum_squares / static_cast<double>(n) - mean * mean;
  return variance > 0 ? std::sqrt(variance / static_cast<double>(n - 1)) : 0;
}

}  // namespace

Result<std::vector<std::vector<TokenId>>> evaluation_windows(const text::Tokenizer& tokenizer, std::string_view text,
                                                             const PerplexityOptions& options) {
  constexpr int64_t kFewest = 3;  // the second half of a window is scored, each token by those before it
  if (options.n_ctx < kFewest)
    return fail("eval.window_too_short",
                fmt::format("a window of {} scores nothing; it takes {} and more", options.n_ctx, kFewest),
                "a larger --ctx; others score by 512");
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto& spec = tokenizer.spec();
  std::vector<TokenId> ids = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  const int64_t n = options.n_ctx;
  int64_t n_windows = static_cast<int64_t>(ids.size()) / n;
  if (n_windows == 0)
    return fail("eval.text_too_short", fmt::format("the text has {} tokens, one window takes {}", ids.size(), n),
                "a longer text, or a smaller --ctx");
  if (options.max_chunks > 0) n_windows = std::min(n_windows, options.max_chunks);
  std::vector<std::vector<TokenId>> windows;
  for (int64_t w = 0; w < n_windows; ++w) {
    windows.emplace_back(ids.begin() + w * n, ids.begin() + (w + 1) * n);
    if (spec.add_bos && spec.bos >= 0) windows.back()[0] = spec.bos;
  }
  return windows;
}

Result<PerplexityReport> perplexity(const LoadedModel& model, std::string_view text, const PerplexityOptions& options) {
  if (!model.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so a text cannot be read",
                "use a complete model file");
  WATRA_ASSIGN(const auto windows, evaluation_windows(*model.tokenizer, text, options));
  Forward& f = *model.forward;
  const auto begin = Clock::now();
  double sum = 0, sum_squares = 0;
  PerplexityReport report;
  std::vector<double> losses(static_cast<size_t>(f.options().max_logit_rows));
  for (const auto& window : windows) {
    WATRA_TRY(run_window(f, window, options.cancel, [&](int64_t position, int64_t m) {
      model.team->parallel_for(m, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
          const auto row = f.logits(b);
          losses[static_cast<size_t>(b)] =
              log_sum_exp(row) - row[static_cast<size_t>(window[static_cast<size_t>(position + b + 1)])];
        }
      });
      for (int64_t i = 0; i < m; ++i) {
        sum += losses[static_cast<size_t>(i)];
        sum_squares += losses[static_cast<size_t>(i)] * losses[static_cast<size_t>(i)];
      }
      report.n_tokens += m;
    }));
    ++report.n_chunks;
    if (options.progress)
      options.progress(report.n_chunks, static_cast<int64_t>(windows.size()),
                       std::exp(sum / static_cast<double>(report.n_tokens)));
  }
  report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  report.perplexity = std::exp(sum / static_cast<double>(report.n_tokens));
  report.stderr_ = standard_error(sum, sum_squares, report.n_tokens) * report.perplexity;
  report.tokens_per_s = static_cast<double>(report.n_chunks * options.n_ctx) / report.seconds;
  return report;
}

Result<DivergenceReport> divergence(const LoadedModel& model, const LoadedModel& reference, std::string_view text,
                                    const PerplexityOptions& options) {
  if (!model.tokenizer || !reference.tokenizer)
    return fail("model.no_vocabulary", "both files need a vocabulary", "use complete model files");
  if (model.tokenizer->spec().pieces != reference.tokenizer->spec().pieces)
    return fail("eval.other_vocabulary",
                "the two models have different vocabularies, so their predictions cannot be compared token by token",
                "compare two files of the same model");
  WATRA_ASSIGN(const auto windows, evaluation_windows(*model.tokenizer, text, options));
  Forward& f = *model.forward;
  Forward& g = *reference.forward;
  const auto n_vocab = static_cast<size_t>(f.model().hparams().n_vocab);
  std::vector<float> expected;  // reference logits of one window's scored positions
  std::vector<double> klds;
  double loss = 0, reference_loss = 0;
  int64_t same = 0, n_done = 0;
  for (const auto& window : windows) {
    expected.clear();
    WATRA_TRY(run_window(g, window, options.cancel, [&](int64_t, int64_t m) {
      for (int64_t i = 0; i < m; ++i) expected.insert(expected.end(), g.logits(i).begin(), g.logits(i).end());
    }));
    const auto first = static_cast<int64_t>(window.size()) / 2;
    const size_t before = klds.size();
    klds.resize(before + expected.size() / n_vocab);
    std::vector<std::array<double, 3>> per_row(klds.size() - before);  // loss, reference loss, same top
    WATRA_TRY(run_window(f, window, options.cancel, [&](int64_t position, int64_t m) {
      model.team->parallel_for(m, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
          const auto at = static_cast<size_t>(position + b - first);
          const std::span<const float> p(expected.data() + at * n_vocab, n_vocab);
          const std::span<const float> q = f.logits(b);
          const double log_p = log_sum_exp(p), log_q = log_sum_exp(q);
          double kld = 0;
          for (size_t v = 0; v < n_vocab; ++v) kld += std::exp(p[v] - log_p) * ((p[v] - log_p) - (q[v] - log_q));
          klds[before + at] = std::max(0.0, kld);
          const auto target = static_cast<size_t>(window[static_cast<size_t>(position + b + 1)]);
          per_row[at] = {
              log_q - q[target], log_p - p[target],
              std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin()
                  ? 1.0
                  : 0.0};
        }
      });
    }));
    for (const auto& r : per_row) loss += r[0], reference_loss += r[1], same += r[2] > 0;
    if (options.progress)
      options.progress(++n_done, static_cast<int64_t>(windows.size()), loss / static_cast<double>(klds.size()));
  }
  DivergenceReport report;
  report.n_tokens = static_cast<int64_t>(klds.size());
  double sum = 0, sum_squares = 0;
  for (double k : klds) sum += k, sum_squares += k * k;
  std::sort(klds.begin(), klds.end());
  const auto n = static_cast<double>(klds.size());
  report.mean_kld = sum / n;
  report.stderr_ = standard_error(sum, sum_squares, report.n_tokens);
  report.median_kld = klds[klds.size() / 2];
  report.p99_kld = klds[klds.size() * 99 / 100];
  report.max_kld = klds.back();
  report.same_top = static_cast<double>(same) / n;
  report.perplexity = std::exp(loss / n);
  report.reference_perplexity = std::exp(reference_loss / n);
  return report;
}

}  // namespace watra::workshop
