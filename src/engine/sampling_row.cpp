#include "engine/sampling_row.h"

#include <algorithm>
#include <cstring>

namespace watra::engine {

namespace {

// Independent lanes, so that the compiler may use vector registers without reordering anything: max does not care.
constexpr size_t kLanes = 16;

struct RunScan {
  float max;
  bool has_nan;
};

RunScan scan_run(const float* x, size_t n) {
  float max[kLanes];
  uint32_t nan[kLanes] = {};
  std::fill_n(max, kLanes, LogitRow::kForbidden);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float v = x[i + lane];
      max[lane] = v > max[lane] ? v : max[lane];
      nan[lane] |= v == v ? 0u : ~0u;
    }
  }
  for (size_t lane = 0; i < n; ++i, ++lane) {
    max[lane] = x[i] > max[lane] ? x[i] : max[lane];
    nan[lane] |= x[i] == x[i] ? 0u : ~0u;
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) {
      max[lane] = max[lane + half] > max[lane] ? max[lane + half] : max[lane];
      nan[lane] |= nan[lane + half];
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
  for (size_t run = 0; run < maxima_.size(); ++run) {
    const size_t begin = run * kRun;
    const RunScan found = scan_run(view_.data() + begin, std::min(kRun, view_.size() - begin));
    maxima_[run] = found.max;
    good = good && !found.has_nan && found.max != std::numeric_limits<float>::infinity();
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
