#include "engine/sampling_row.h"

#include <algorithm>
#include <array>
#include <functional>

namespace watra::engine {

namespace {

struct RunScan {
  float max;
  bool has_nan;
};

// Largest value of 128, and whether there is a NaN (which never counts as larger). Lane by lane and then halved, so
// that the compiler can use vector registers without reordering anything: a maximum does not care.
RunScan scan_run(const float* x) {
  constexpr size_t kLanes = 16;
  static_assert(LogitRow::kRun == 8 * kLanes);
  float max[kLanes];
  uint32_t nan[kLanes];
  const auto larger = [](float a, float b) { return a > b ? a : b; };
  for (size_t i = 0; i < kLanes; ++i) {
    // NaN is on the left wherever it enters, so that it loses.
    float m = larger(x[i], LogitRow::kForbidden);
    for (size_t row = 1; row < 8; ++row) m = larger(x[i + row * kLanes], m);
    max[i] = m;
  }
  for (size_t i = 0; i < kLanes; ++i) {
    uint32_t found = 0;
    for (size_t row = 0; row < 8; ++row) {
      const float v = x[i + row * kLanes];
      found |= v == v ? 0u : ~0u;
    }
    nan[i] = found;
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) {
      max[i] = larger(max[i], max[i + half]);
      nan[i] |= nan[i + half];
    }
  }
  return {max[0], nan[0] != 0};
}

}  // namespace

void LogitRow::reserve(size_t n_vocab) {
  edited_.reserve(n_vocab);
  maxima_.reserve((n_vocab + kRun - 1) / kRun);
  selection_.reserve((n_vocab + kRun - 1) / kRun);
}

bool LogitRow::scan() {
  stale_ = false;
  maxima_.resize((view_.size() + kRun - 1) / kRun);
  bool good = true;
  const auto take = [&](size_t run, const float* values) {
    const RunScan found = scan_run(values);
    maxima_[run] = found.max;
    good = good && !found.has_nan && found.max != std::numeric_limits<float>::infinity();
  };
  const size_t n_whole = view_.size() / kRun;
  for (size_t run = 0; run < n_whole; ++run) take(run, view_.data() + run * kRun);
  if (n_whole < maxima_.size()) {
    std::array<float, kRun> last;
    last.fill(kForbidden);
    std::copy(view_.begin() + n_whole * kRun, view_.end(), last.begin());
    take(n_whole, last.data());
  }
  return good;
}

void LogitRow::refresh() {
  if (stale_) scan();
}

Status LogitRow::load(std::span<const float> logits) {
  view_ = logits;
  owned_ = false;
  if (scan()) return {};
  const auto bad = std::find_if(logits.begin(), logits.end(),
                                [](float x) { return std::isnan(x) || x == std::numeric_limits<float>::infinity(); });
  return fail(
      "engine.bad_logits",
      fmt::format("the model's logits must be numbers below infinity; token {} has {}", bad - logits.begin(), *bad),
      "the model file may be damaged: `watra eval perplexity` shows whether its output makes sense");
}

std::span<float> LogitRow::own() {
  if (!owned_) {
    edited_.assign(view_.begin(), view_.end());
    view_ = edited_;
    owned_ = true;
  }
  stale_ = true;
  return edited_;
}

void LogitRow::forbid(std::span<const uint32_t> allowed_bits) {
  const std::span<float> logits = own();
  for (size_t word = 0; word * 32 < logits.size(); ++word) {
    const uint32_t bits = allowed_bits[word];
    if (bits == ~uint32_t{0}) continue;
    const size_t begin = word * 32, end = std::min(logits.size(), begin + 32);
    for (size_t i = begin; i < end; ++i) logits[i] = bits >> (i - begin) & 1 ? logits[i] : kForbidden;
  }
}

void LogitRow::add_bias(TokenId token, float bias) {
  if (bias == kForbidden) {
    own()[token] = kForbidden;
  } else {
    edit(token, [&](double logit) { return logit + bias; });
  }
}

float LogitRow::max() {
  refresh();
  float best = kForbidden;
  for (const float m : maxima_) best = m > best ? m : best;
  return best;
}

TokenId LogitRow::argmax() {
  const float best = max();
  if (best == kForbidden) return text::kNoToken;
  const size_t run = std::find(maxima_.begin(), maxima_.end(), best) - maxima_.begin();
  return static_cast<TokenId>(std::find(view_.begin() + run * kRun, view_.end(), best) - view_.begin());
}

float LogitRow::floor_of_top(size_t k) {
  refresh();
  // Beyond a few values a run the maxima say little, and reading nearly all of them costs more than one pass.
  if (k == 0 || k > maxima_.size() / 4) return kForbidden;
  selection_.assign(maxima_.begin(), maxima_.end());
  std::nth_element(selection_.begin(), selection_.begin() + (k - 1), selection_.end(), std::greater<>());
  return selection_[k - 1];  // k runs hold a value at least this large
}

}  // namespace watra::engine
