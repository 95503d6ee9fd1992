#include "engine/sampling_candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace watra::engine {

namespace {

constexpr size_t kChunk = 256;  // doubles on the stack between gather, exp and scatter

bool better(const Candidate& a, const Candidate& b) { return a.key != b.key ? a.key < b.key : a.id < b.id; }

// Sum of e^(logit - max) over the row, in id order.
double sum_exp(LogitRow& row) {
  const double max = row.max();
  const std::span<const float> logits = row.values();
  std::array<double, kChunk> chunk;
  double total = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kChunk) {
    const size_t n = std::min(kChunk, logits.size() - begin);
    for (size_t i = 0; i < n; ++i) chunk[i] = logits[begin + i] - max;
    exp_nonpositive(chunk.data(), n);
    for (size_t i = 0; i < n; ++i) total += chunk[i];
  }
  return total;
}

}  // namespace

void exp_nonpositive(double* x, size_t n) {
  constexpr double kLog2e = 1.4426950408889634;
  constexpr double kLn2High = 0x1.62e42fee00000p-1,
                   kLn2Low = 0x1.a39ef35793c76p-33;  // high part: product with |k| < 2^11 exact
  constexpr double kRound = 0x1.8p52;                // adding it rounds to an integer and leaves that in the low bits
  constexpr double kSmallest = 4e-308;               // above e^-708
  // Two loops, because GCC 12 makes branches of a clamp and does not vectorize what follows it.
  for (size_t i = 0; i < n; ++i) x[i] = x[i] < -708.0 ? -708.0 : x[i];
  for (size_t i = 0; i < n; ++i) {
    const double v = x[i];
    const double shifted = v * kLog2e + kRound;
    const double k = shifted - kRound;
    const double r = (v - k * kLn2High) - k * kLn2Low;  // |r| <= ln 2 / 2
    // Taylor to r^13: the next term is below 5e-18.
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const double power = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) + 1023) << 52);  // 2^k
    const double y = p * power;
    x[i] = y > kSmallest ? y : 0.0;
  }
}

void Candidates::reserve(size_t n_vocab) {
  items_.reserve(n_vocab);
  ranked_.reserve(n_vocab);
}

void Candidates::begin(LogitRow& row) {
  row_ = &row;
  items_.clear();
  weighted_ = false;
}

std::span<const Candidate> Candidates::list() {
  listed();
  return items_;
}

void Candidates::listed() {
  if (row_ == nullptr) return;
  list_at_least(LogitRow::kForbidden);
  row_ = nullptr;
}

void Candidates::weighted() {
  listed();
  if (weighted_) return;
  max_logit_ = -std::numeric_limits<double>::infinity();
  for (const Candidate& c : items_) max_logit_ = c.logit > max_logit_ ? c.logit : max_logit_;
  total_ = 0;
  std::array<double, kChunk> chunk;
  for (size_t begin = 0; begin < items_.size(); begin += kChunk) {
    const size_t n = std::min(kChunk, items_.size() - begin);
    for (size_t i = 0; i < n; ++i) chunk[i] = items_[begin + i].logit - max_logit_;
    exp_nonpositive(chunk.data(), n);
    for (size_t i = 0; i < n; ++i) {
      items_[begin + i].weight = chunk[i];
      total_ += chunk[i];
    }
  }
  weighted_ = true;
}

void Candidates::keys_by_logit() {
  for (Candidate& c : items_) c.key = -c.logit;
}

// Weights stay as they are, relative to a largest logit that may be gone: no step leaves only tokens so rare that they
// underflow (typical_p's lie within twice the entropy, below 50 nats; XTC spares one above its threshold).
template <class Predicate>
void Candidates::keep_if(Predicate keep) {
  double total = 0;
  size_t out = 0;
  for (const Candidate& c : items_) {
    if (!keep(c)) continue;
    total += c.weight;
    items_[out++] = c;
  }
  items_.resize(out);
  total_ = total;
}

void Candidates::keep_count(size_t n) {
  if (n >= items_.size()) return;
  ranked_.assign(items_.begin(), items_.end());
  std::nth_element(ranked_.begin(), ranked_.begin() + (n - 1), ranked_.end(), better);
  const Candidate last = ranked_[n - 1];
  keep_if([&](const Candidate& c) { return !better(last, c); });
}

void Candidates::keep_at_most(double cut, size_t min_keep) {
  const size_t n_kept = std::count_if(items_.begin(), items_.end(), [&](const Candidate& c) { return c.key <= cut; });
  if (n_kept < std::max<size_t>(1, min_keep)) return keep_count(std::max<size_t>(1, min_keep));
  keep_if([&](const Candidate& c) { return c.key <= cut; });
}

// Weighted selection: spread the keys over buckets, find the bucket in which the mass is reached, go on inside it.
// Masses add up in id order within a bucket, bucket by bucket, and in rank order at the end.
void Candidates::keep_mass(double mass, size_t min_keep) {
  constexpr size_t kBuckets = 1024, kSmall = 256;
  double reached = 0;
  std::span<const Candidate> open = items_;
  // Each round leaves one bucket of the last; keys spread so unevenly that three do not do are sorted.
  for (int round = 0; round < 3 && open.size() > kSmall; ++round) {
    double low = open[0].key, high = low;
    for (const Candidate& c : open) {
      low = c.key < low ? c.key : low;
      high = c.key > high ? c.key : high;
    }
    const double scale = kBuckets / (high - low);
    if (!std::isfinite(scale)) break;  // all equal, or nearly
    const auto bucket_of = [&](const Candidate& c) {
      return std::min(kBuckets - 1, static_cast<size_t>((c.key - low) * scale));
    };
    std::array<double, kBuckets> masses{};
    std::array<uint32_t, kBuckets> counts{};
    for (const Candidate& c : open) {
      const size_t b = bucket_of(c);
      masses[b] += c.weight;
      ++counts[b];
    }
    size_t chosen = kBuckets;
    for (size_t b = 0; b < kBuckets; ++b) {
      if (counts[b] == 0) continue;
      chosen = b;
      if (reached + masses[b] >= mass) break;
      reached += masses[b];
    }
    // When rounding keeps the mass from being reached at all, the last bucket stands for "everything".
    if (round == 0) {
      ranked_.clear();
      for (const Candidate& c : open) {
        if (bucket_of(c) == chosen) ranked_.push_back(c);
      }
    } else {
      std::erase_if(ranked_, [&](const Candidate& c) { return bucket_of(c) != chosen; });
    }
    open = ranked_;
  }
  if (open.data() == items_.data()) ranked_.assign(items_.begin(), items_.end());
  // Equal keys already stand in id order.
  if (!std::is_sorted(ranked_.begin(), ranked_.end(), better)) std::sort(ranked_.begin(), ranked_.end(), better);
  size_t last = 0;
  for (; last + 1 < ranked_.size(); ++last) {
    reached += ranked_[last].weight;
    if (reached >= mass) break;
  }
  const Candidate cut = ranked_[last];
  const auto within = [&](const Candidate& c) { return !better(cut, c); };
  if (min_keep > 1 && static_cast<size_t>(std::count_if(items_.begin(), items_.end(), within)) < min_keep) {
    return keep_count(min_keep);
  }
  keep_if(within);
}

void Candidates::list_at_least(double floor) {
  items_.clear();
  row_->visit_at_least(floor, [&](TokenId id, float logit) { items_.push_back({logit, 0, 0, id}); });
  weighted_ = false;
}

void Candidates::top_k(size_t k) {
  if (row_ != nullptr) {
    list_at_least(row_->floor_of_top(k));
    row_ = nullptr;
  }
  keys_by_logit();
  keep_count(k);
}

void Candidates::top_p(double p, size_t min_keep) {
  double total = 0;
  if (row_ != nullptr && min_keep <= 1) {
    // The nucleus mostly lies within the first few hundred: weigh the whole row, list only those.
    total = sum_exp(*row_);
    for (const size_t k : {32, 256}) {
      list_at_least(row_->floor_of_top(k));
      LogitRow* const row = std::exchange(row_, nullptr);
      weighted();
      if (total_ >= p * total) break;
      row_ = row;  // not enough: go on with more, at last with all
    }
  }
  weighted();
  if (total == 0) total = total_;
  keys_by_logit();
  keep_mass(p * total, min_keep);
}

void Candidates::min_p(double p, size_t min_keep) {
  const double distance = -std::log(p);
  if (row_ != nullptr && min_keep <= 1) {
    list_at_least(row_->max() - distance);
    row_ = nullptr;
    return;
  }
  listed();
  keys_by_logit();
  double best = std::numeric_limits<double>::infinity();
  for (const Candidate& c : items_) best = c.key < best ? c.key : best;
  keep_at_most(best + distance, min_keep);
}

void Candidates::typical_p(double p, size_t min_keep) {
  weighted();
  // H = -sum p ln p = ln total - sum p (logit - max);  |-ln p_i - H| needs ln total on both sides, where it cancels.
  double mean = 0;
  for (const Candidate& c : items_) mean += c.weight * (c.logit - max_logit_);
  mean /= total_;
  for (Candidate& c : items_) c.key = std::abs(mean - (c.logit - max_logit_));
  keep_mass(p * total_, min_keep);
}

void Candidates::top_n_sigma(double n, size_t min_keep) {
  listed();
  if (items_.empty()) return;
  double mean = 0, variance = 0;
  double max = -std::numeric_limits<double>::infinity();
  for (const Candidate& c : items_) {
    mean += c.logit;
    max = c.logit > max ? c.logit : max;
  }
  mean /= static_cast<double>(items_.size());
  for (const Candidate& c : items_) variance += (c.logit - mean) * (c.logit - mean);
  variance /= static_cast<double>(items_.size());
  keys_by_logit();
  keep_at_most(-(max - n * std::sqrt(variance)), min_keep);
}

void Candidates::xtc(double threshold, size_t min_keep) {
  weighted();
  const double cut = threshold * total_;
  size_t n_above = 0;
  const Candidate* least = nullptr;
  for (const Candidate& c : items_) {
    if (c.weight < cut) continue;
    ++n_above;
    if (least == nullptr || c.weight <= least->weight) least = &c;  // of equals the highest id ranks last
  }
  if (n_above < 2 || items_.size() - (n_above - 1) < min_keep) return;
  const TokenId spared = least->id;
  keep_if([&](const Candidate& c) { return c.weight < cut || c.id == spared; });
}

void Candidates::max_surprise(double bits, size_t min_keep) {
  weighted();
  const double log_total = std::log(total_);
  for (Candidate& c : items_) c.key = (log_total - (c.logit - max_logit_)) / std::log(2.0);
  keep_at_most(bits, min_keep);
}

void Candidates::keep_only_best() {
  keys_by_logit();
  keep_count(1);
}

void Candidates::temperature(double t) {
  listed();
  if (t < 1e-6) return keep_only_best();
  edit([&](TokenId, double logit) { return logit / t; });
}

void Candidates::dynamic_temperature(double low, double high, double exponent) {
  weighted();
  if (items_.size() < 2) return;
  double mean = 0;
  for (const Candidate& c : items_) mean += c.weight * (c.logit - max_logit_);
  const double entropy = std::max(0.0, std::log(total_) - mean / total_);
  const double share = std::min(1.0, entropy / std::log(static_cast<double>(items_.size())));
  temperature(low + (high - low) * std::pow(share, exponent));
}

Candidates::Drawn Candidates::draw(double u) {
  weighted();
  const double target = u * total_;
  double reached = 0;
  const Candidate* chosen = nullptr;
  for (const Candidate& c : items_) {
    if (c.weight == 0) continue;
    chosen = &c;  // the last one with weight, should rounding carry the target past the sum
    reached += c.weight;
    if (reached > target) break;
  }
  return {chosen->id, chosen->weight / total_};
}

double log_sum_exp(LogitRow& row) { return row.max() + std::log(sum_exp(row)); }

void select_most_probable(LogitRow& row, size_t n, std::vector<Candidate>& best) {
  best.clear();
  const float floor = row.floor_of_top(n);
  row.visit_at_least(floor, [&](TokenId id, float logit) { best.push_back({logit, 0, -double{logit}, id}); });
  n = std::min(n, best.size());
  std::partial_sort(best.begin(), best.begin() + n, best.end(), better);
  best.resize(n);
}

}  // namespace watra::engine
