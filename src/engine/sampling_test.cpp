// Each sampler against its published definition, written out here over sorted lists and full softmaxes. The random
// number of a position is known (rng.h), so the definition predicts the very token: a wrong set or a wrong probability
// shows.
#include "engine/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include "engine/rng.h"
#include "engine/sampling_candidates.h"

namespace watra::engine {
namespace {

constexpr float kMinusInf = -std::numeric_limits<float>::infinity();

struct Entry {
  TokenId id;
  double logit;
};
using Entries = std::vector<Entry>;

std::vector<double> softmax(const Entries& entries) {
  double max = -std::numeric_limits<double>::infinity(), total = 0;
  for (const Entry& e : entries) max = std::max(max, e.logit);
  std::vector<double> p;
  for (const Entry& e : entries) p.push_back(std::exp(e.logit - max));
  for (const double w : p) total += w;
  for (double& w : p) w /= total;
  return p;
}

// Keeps the first n by ascending key (ties by id), back in id order.
Entries best_by(const Entries& entries, const std::vector<double>& key, size_t n) {
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return key[a] != key[b] ? key[a] < key[b] : entries[a].id < entries[b].id; });
  order.resize(std::min(n, order.size()));
  std::sort(order.begin(), order.end());
  Entries kept;
  for (const size_t i : order) kept.push_back(entries[i]);
  return kept;
}

// Size of the smallest set of best keys with mass >= p.
size_t mass_count(const std::vector<double>& probabilities, const std::vector<double>& key, double p) {
  std::vector<size_t> order(key.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
  double mass = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    mass += probabilities[order[i]];
    if (mass >= p) return i + 1;
  }
  return order.size();
}

std::vector<TokenId> window_of(const std::vector<TokenId>& history, int n) {
  if (n < 0 || static_cast<size_t>(n) > history.size()) return history;
  return {history.end() - n, history.end()};
}

// DRY, by trying every earlier position and every length.
std::map<TokenId, int> dry_lengths(const std::vector<TokenId>& w, const std::vector<std::vector<TokenId>>& breakers) {
  const int n = static_cast<int>(w.size());
  int limit = n;  // tokens after the last breaker
  for (const auto& b : breakers) {
    for (int end = static_cast<int>(b.size()); end <= n; ++end) {
      if (std::equal(b.begin(), b.end(), w.begin() + end - static_cast<int>(b.size())))
        limit = std::min(limit, n - end);
    }
  }
  std::map<TokenId, int> longest;
  for (int next = 1; next < n; ++next) {
    const bool is_breaker =
        std::any_of(breakers.begin(), breakers.end(), [&](const auto& b) { return b.size() == 1 && b[0] == w[next]; });
    int length = 0;
    while (length < next && length < limit && w[next - 1 - length] == w[n - 1 - length]) ++length;
    if (length > 0 && !is_breaker) longest[w[next]] = std::max(longest[w[next]], length);
  }
  return longest;
}

struct Reference {
  SamplingParams p;
  std::vector<TokenId> history;
  double mu;

  bool is_off(SamplerKind kind) const {
    switch (kind) {
      case SamplerKind::penalties:
        return p.repeat_penalty == 1 && p.frequency_penalty == 0 && p.presence_penalty == 0;
      case SamplerKind::dry:
        return p.dry_multiplier == 0;
      case SamplerKind::temperature:
        return p.temperature == 1 && p.dynatemp_range == 0;
      case SamplerKind::top_n_sigma:
        return p.mirostat != 0 || p.top_n_sigma <= 0;
      case SamplerKind::top_k:
        return p.mirostat != 0 || p.top_k <= 0;
      case SamplerKind::typical_p:
        return p.mirostat != 0 || p.typical_p == 1;
      case SamplerKind::top_p:
        return p.mirostat != 0 || p.top_p == 1;
      case SamplerKind::min_p:
        return p.mirostat != 0 || p.min_p == 0;
      case SamplerKind::xtc:
        return p.mirostat != 0 || p.xtc_probability == 0 || p.xtc_threshold > 0.5;
    }
    return true;
  }

  void apply(SamplerKind kind, Entries& e, uint64_t position) const {
    if (is_off(kind)) return;
    const size_t keep = std::max(1, p.min_keep);
    std::vector<double> by_logit;
    for (const Entry& x : e) by_logit.push_back(-x.logit);
    const std::vector<double> q = softmax(e);
    const double top = e.empty() ? 0 : -*std::min_element(by_logit.begin(), by_logit.end());
    double entropy = 0;
    for (const double x : q) entropy -= x > 0 ? x * std::log(x) : 0;
    const auto keep_where = [&](auto predicate) {
      size_t n = 0;
      for (size_t i = 0; i < e.size(); ++i) n += predicate(i);
      e = best_by(e, by_logit, std::max(n, keep));
    };
    if (kind == SamplerKind::penalties) {
      std::map<TokenId, int> counts;
      for (const TokenId t : window_of(history, p.repeat_last_n)) ++counts[t];
      for (Entry& x : e) {
        if (!counts.contains(x.id)) continue;
        x.logit = x.logit > 0 ? x.logit / p.repeat_penalty : x.logit * p.repeat_penalty;
        x.logit -= counts[x.id] * p.frequency_penalty + p.presence_penalty;
      }
    } else if (kind == SamplerKind::dry) {
      const auto lengths = dry_lengths(window_of(history, p.dry_penalty_last_n), p.dry_breakers);
      for (Entry& x : e) {
        const auto found = lengths.find(x.id);
        if (found != lengths.end() && found->second >= p.dry_allowed_length) {
          x.logit -= p.dry_multiplier * std::pow(p.dry_base, found->second - p.dry_allowed_length);
        }
      }
    } else if (kind == SamplerKind::top_n_sigma) {
      double mean = 0, variance = 0;
      for (const Entry& x : e) mean += x.logit / static_cast<double>(e.size());
      for (const Entry& x : e) variance += (x.logit - mean) * (x.logit - mean) / static_cast<double>(e.size());
      keep_where([&](size_t i) { return e[i].logit >= top - p.top_n_sigma * std::sqrt(variance); });
    } else if (kind == SamplerKind::top_k) {
      e = best_by(e, by_logit, std::max<size_t>(p.top_k, keep));
    } else if (kind == SamplerKind::typical_p) {
      std::vector<double> key;
      for (const double x : q) key.push_back(std::abs(-std::log(x) - entropy));
      e = best_by(e, key, std::max(mass_count(q, key, p.typical_p), keep));
    } else if (kind == SamplerKind::top_p) {
      e = best_by(e, by_logit, std::max(mass_count(q, by_logit, p.top_p), keep));
    } else if (kind == SamplerKind::min_p) {
      const double largest = *std::max_element(q.begin(), q.end());
      keep_where([&](size_t i) { return q[i] >= p.min_p * largest; });
    } else if (kind == SamplerKind::xtc && uniform(*p.seed, position, RngStream::xtc) < p.xtc_probability) {
      const size_t above = std::count_if(q.begin(), q.end(), [&](double x) { return x >= p.xtc_threshold; });
      if (above >= 2 && e.size() - (above - 1) >= keep) {
        std::vector<double> worst_first;
        for (const double x : by_logit) worst_first.push_back(-x);
        e = best_by(e, worst_first, e.size() - (above - 1));
      }
    } else if (kind == SamplerKind::temperature) {
      double t = p.temperature;
      if (p.dynatemp_range > 0 && e.size() > 1) {
        const double low = std::max(0.0, t - p.dynatemp_range), high = t + p.dynatemp_range;
        t = low + (high - low) * std::pow(entropy / std::log(static_cast<double>(e.size())), p.dynatemp_exponent);
      }
      for (Entry& x : e) x.logit /= t;
    }
  }

  // The token, or kNoToken when the random number falls so close to an edge that rounding decides.
  TokenId sample(const std::vector<float>& logits, uint64_t position) {
    Entries e;
    for (size_t i = 0; i < logits.size(); ++i) {
      double logit = logits[i];
      for (const LogitBias& b : p.logit_bias) logit += b.token == static_cast<TokenId>(i) ? b.bias : 0;
      if (std::isfinite(logit)) e.push_back({static_cast<TokenId>(i), logit});
    }
    if (p.greedy()) {
      for (const auto kind : p.order) {
        if (kind == SamplerKind::penalties || kind == SamplerKind::dry) apply(kind, e, position);
      }
      return std::max_element(e.begin(), e.end(), [](const Entry& a, const Entry& b) { return a.logit < b.logit; })->id;
    }
    for (const auto kind : p.order) apply(kind, e, position);
    std::vector<double> q = softmax(e);
    if (p.mirostat == 2) {
      std::vector<double> by_logit;
      for (const Entry& x : e) by_logit.push_back(-x.logit);
      const size_t n = std::count_if(q.begin(), q.end(), [&](double x) { return -std::log2(x) <= mu; });
      e = best_by(e, by_logit, std::max<size_t>({n, 1, static_cast<size_t>(p.min_keep)}));
      q = softmax(e);
    }
    const double u = uniform(*p.seed, position, RngStream::draw);
    double reached = 0;
    size_t chosen = e.size() - 1;
    for (size_t i = 0; i < e.size(); ++i) {
      reached += q[i];
      if (std::abs(reached - u) < 1e-6) return text::kNoToken;
      if (reached > u) {
        chosen = i;
        break;
      }
    }
    if (p.mirostat == 2) mu -= p.mirostat_eta * (-std::log2(q[chosen]) - p.mirostat_tau);
    return e[chosen].id;
  }
};

std::vector<float> random_logits(std::mt19937& rng, size_t n_vocab, double spread) {
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> logits(n_vocab);
  for (float& x : logits) x = static_cast<float>(normal(rng));
  return logits;
}

SamplingParams plain() {  // every step off, temperature 1
  SamplingParams p;
  p.seed = 1234;
  p.temperature = 1;
  p.top_k = 0;
  p.top_p = 1;
  p.min_p = 0;
  return p;
}

// Sampler and definition agree on `n` positions over rows of several sizes and widths, with a history that repeats
// itself.
void expect_as_defined(const SamplingParams& p, int n = 60) {
  std::mt19937 rng(99);
  int compared = 0;
  for (const size_t n_vocab : {2u, 7u, 60u, 1000u, 33000u}) {
    const int n_here = n_vocab > 10000 ? std::max(3, n / 20) : n;
    SamplingParams fitting = p;
    std::erase_if(fitting.logit_bias, [&](const LogitBias& b) { return b.token >= static_cast<TokenId>(n_vocab); });
    std::erase_if(fitting.dry_breakers, [&](const auto& b) {
      return *std::max_element(b.begin(), b.end()) >= static_cast<TokenId>(n_vocab);
    });
    auto sampler = Sampler::create(fitting, n_vocab);
    ASSERT_TRUE(sampler.has_value()) << sampler.error().to_string();
    Reference reference{fitting, {}, 2 * p.mirostat_tau};
    for (int i = 0; i < 40; ++i) {
      const TokenId t = static_cast<TokenId>(rng() % std::min<size_t>(n_vocab, 4));
      reference.history.push_back(t);
    }
    ASSERT_TRUE(sampler->accept_prompt(reference.history).has_value());
    for (int position = 0; position < n_here; ++position) {
      const auto logits = random_logits(rng, n_vocab, std::array{0.3, 2.0, 6.0}[position % 3]);
      const auto got = sampler->sample(logits, position);
      ASSERT_TRUE(got.has_value()) << got.error().to_string();
      TokenId expected = reference.sample(logits, position);
      if (expected == text::kNoToken) {
        expected = got->token;
      } else {
        ASSERT_EQ(got->token, expected) << "n_vocab " << n_vocab << " position " << position;
        ++compared;
      }
      ASSERT_TRUE(sampler->accept(got->token).has_value());
      reference.history.push_back(got->token);
      if (p.mirostat == 2) {
        ASSERT_NEAR(sampler->mirostat_mu(), reference.mu, 1e-6);
        reference.mu = sampler->mirostat_mu();
      }
    }
  }
  EXPECT_GT(compared, n * 7 / 2);
}

TEST(Sampling, PlainDrawFollowsTheSoftmax) { expect_as_defined(plain(), 200); }

TEST(Sampling, Temperature) {
  for (const double t : {0.1, 0.7, 1.0, 1.8, 5.0}) {
    auto p = plain();
    p.temperature = t;
    expect_as_defined(p);
  }
}

TEST(Sampling, DynamicTemperature) {
  for (const double range : {0.3, 0.9, 3.0}) {
    for (const double exponent : {0.5, 1.0, 2.5}) {
      auto p = plain();
      p.dynatemp_range = range;
      p.dynatemp_exponent = exponent;
      expect_as_defined(p, 30);
    }
  }
}

TEST(Sampling, TopK) {
  for (const int k : {1, 2, 5, 40, 300, 5000, 100000}) {
    auto p = plain();
    p.top_k = k;
    expect_as_defined(p);
  }
}

TEST(Sampling, TopKOfLargeRowsIsTheExactSet) {
  // Large rows are cut by the maxima of their runs: the set must be what a sort gives, ties and forbidden tokens
  // included.
  std::mt19937 rng(8);
  LogitRow row;
  Candidates candidates;
  for (const size_t n_vocab : {33000u, 131072u}) {
    for (const bool ties : {false, true}) {
      std::vector<float> logits(n_vocab);
      for (float& x : logits) x = ties ? static_cast<float>(rng() % 200) : static_cast<float>(rng()) * 1e-8f;
      for (int i = 0; i < 1000; ++i) logits[rng() % n_vocab] = kMinusInf;
      std::vector<TokenId> ranked(n_vocab);
      std::iota(ranked.begin(), ranked.end(), 0);
      std::stable_sort(ranked.begin(), ranked.end(), [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
      for (const size_t k : {1u, 2u, 40u, 64u, 65u, 256u, 257u, 20000u}) {
        ASSERT_TRUE(row.load(logits).has_value());
        candidates.begin(row);
        candidates.top_k(k);
        std::vector<TokenId> expected(ranked.begin(), ranked.begin() + static_cast<long>(k)), got;
        std::sort(expected.begin(), expected.end());
        for (const Candidate& c : candidates.list()) got.push_back(c.id);
        ASSERT_EQ(got, expected) << "n_vocab " << n_vocab << " k " << k << " ties " << ties;
      }
    }
  }
}

TEST(Sampling, TopP) {
  for (const double x : {0.0, 0.1, 0.5, 0.9, 0.95, 0.999}) {
    auto p = plain();
    p.top_p = x;
    expect_as_defined(p);
  }
}

TEST(Sampling, TopPOnRowsWhoseLogitsLieUnevenly) {
  // Clusters, ties and outliers: a selection that spreads values evenly must still find the exact set.
  std::mt19937 rng(31);
  for (const double x : {0.05, 0.5, 0.8, 0.99, 0.99999}) {
    auto p = plain();
    p.top_p = x;
    for (int shape = 0; shape < 4; ++shape) {
      std::vector<float> logits(3000);
      for (size_t i = 0; i < logits.size(); ++i) {
        const float noise = static_cast<float>(rng() % 1000) * 1e-5f;
        if (shape == 0) logits[i] = i % 7 == 0 ? noise : -1e30f;
        if (shape == 1) logits[i] = -std::exp2(static_cast<float>(i % 97) - 60);
        if (shape == 2) logits[i] = static_cast<float>(i % 3);
        if (shape == 3) logits[i] = i == 5 ? 6 + noise : i % 2 == 0 ? noise : -1000 + noise;
      }
      auto sampler = Sampler::create(p, logits.size());
      Reference reference{p, {}, 0};
      for (int position = 0; position < 40; ++position) {
        const TokenId expected = reference.sample(logits, position);
        const TokenId got = sampler->sample(logits, position)->token;
        if (expected == text::kNoToken) continue;
        ASSERT_EQ(got, expected) << "shape " << shape << " top_p " << x;
      }
    }
  }
}

TEST(Sampling, MinP) {
  for (const double x : {1e-6, 0.01, 0.05, 0.3, 1.0}) {
    auto p = plain();
    p.min_p = x;
    expect_as_defined(p);
  }
}

TEST(Sampling, LocallyTypical) {
  for (const double x : {0.0, 0.1, 0.5, 0.95, 0.999}) {
    auto p = plain();
    p.typical_p = x;
    expect_as_defined(p);
  }
}

TEST(Sampling, TopNSigma) {
  for (const double n : {0.1, 0.5, 1.0, 2.0, 5.0}) {
    auto p = plain();
    p.top_n_sigma = n;
    expect_as_defined(p);
  }
}

TEST(Sampling, Xtc) {
  for (const double probability : {0.3, 0.5, 1.0}) {
    for (const double threshold : {0.0, 0.02, 0.1, 0.3, 0.5, 0.6}) {
      auto p = plain();
      p.xtc_probability = probability;
      p.xtc_threshold = threshold;
      expect_as_defined(p, 30);
    }
  }
}

TEST(Sampling, MinKeepHoldsForEveryTruncation) {
  for (const int keep : {1, 3, 50}) {
    for (int which = 0; which < 6; ++which) {
      auto p = plain();
      p.min_keep = keep;
      if (which == 0) p.top_k = 2;
      if (which == 1) p.top_p = 0.2;
      if (which == 2) p.min_p = 0.8;
      if (which == 3) p.typical_p = 0.2;
      if (which == 4) p.top_n_sigma = 0.2;
      if (which == 5) p.xtc_probability = 1, p.xtc_threshold = 0.01;
      expect_as_defined(p, 30);
    }
  }
}

TEST(Sampling, Penalties) {
  for (const int last_n : {0, 1, 10, 64, -1}) {
    auto p = plain();
    p.repeat_last_n = last_n;
    p.repeat_penalty = 1.7;
    expect_as_defined(p, 30);
    p.frequency_penalty = 0.4;
    p.presence_penalty = -0.9;
    expect_as_defined(p, 30);
    p.temperature = 0;
    expect_as_defined(p, 30);
  }
}

TEST(Sampling, Dry) {
  const std::vector<std::vector<std::vector<TokenId>>> breaker_sets = {{}, {{3}}, {{2, 1}, {0, 0, 1}}, {{3}, {1, 1}}};
  for (const auto& breakers : breaker_sets) {
    for (const int allowed : {0, 1, 2, 4}) {
      for (const int last_n : {8, 64, -1}) {
        auto p = plain();
        p.dry_multiplier = 0.8;
        p.dry_base = 1.3;
        p.dry_allowed_length = allowed;
        p.dry_penalty_last_n = last_n;
        p.dry_breakers = breakers;
        expect_as_defined(p, 20);
      }
    }
  }
}

TEST(Sampling, Mirostat) {
  for (const double tau : {0.5, 2.0, 5.0}) {
    for (const double eta : {0.05, 0.5}) {
      auto p = plain();
      p.mirostat = 2;
      p.mirostat_tau = tau;
      p.mirostat_eta = eta;
      p.top_k = 3;  // stands aside for Mirostat
      p.min_p = 0.9;
      expect_as_defined(p, 60);
      p.temperature = 0.6;
      p.repeat_penalty = 1.2;
      expect_as_defined(p, 30);
    }
  }
}

TEST(Sampling, MirostatHoldsTheSurpriseAtItsTarget) {
  auto p = plain();
  p.mirostat = 2;
  p.mirostat_tau = 3;
  std::mt19937 rng(5);
  auto sampler = Sampler::create(p, 4000);
  ASSERT_TRUE(sampler.has_value());
  double mu = sampler->mirostat_mu(), surprise = 0;
  EXPECT_EQ(mu, 6);
  constexpr int kTokens = 3000, kWarmUp = 200;
  for (int i = 0; i < kTokens; ++i) {
    const auto token = sampler->sample(random_logits(rng, 4000, 2.5), i)->token;
    ASSERT_TRUE(sampler->accept(token).has_value());
    if (i >= kWarmUp) surprise += (mu - sampler->mirostat_mu()) / p.mirostat_eta + p.mirostat_tau;
    mu = sampler->mirostat_mu();
  }
  EXPECT_NEAR(surprise / (kTokens - kWarmUp), p.mirostat_tau, 0.1);
}

TEST(Sampling, DefaultsAndEverythingTogetherInSeveralOrders) {
  SamplingParams p;
  p.seed = 7;
  expect_as_defined(p, 200);
  p = plain();
  p.top_k = 50;
  p.top_p = 0.9;
  p.min_p = 0.02;
  p.typical_p = 0.9;
  p.top_n_sigma = 3;
  p.xtc_probability = 0.5;
  p.xtc_threshold = 0.05;
  p.temperature = 1.4;
  p.dynatemp_range = 0.5;
  p.repeat_penalty = 1.1;
  p.frequency_penalty = 0.1;
  p.dry_multiplier = 0.5;
  p.logit_bias = {{3, 2.0f}, {50, -1.5f}, {5, kMinusInf}, {3, 1.0f}};
  std::mt19937 rng(3);
  for (int round = 0; round < 25; ++round) {
    expect_as_defined(p, 12);
    std::shuffle(p.order.begin(), p.order.end(), rng);
    if (round % 5 == 4) p.order.pop_back();
  }
}

TEST(Sampling, OrderMatters) {
  // At temperature 4 the second token passes min_p 0.5; at 1 it does not.
  const std::vector<float> logits = {2, 0, -10, -10};
  auto p = plain();
  p.temperature = 4;
  p.min_p = 0.5;
  const auto tokens_seen = [&](std::vector<SamplerKind> order) {
    p.order = std::move(order);
    auto sampler = Sampler::create(p, 4);
    std::map<TokenId, int> seen;
    for (int i = 0; i < 200; ++i) ++seen[sampler->sample(logits, i)->token];
    return seen.size();
  };
  EXPECT_EQ(tokens_seen({SamplerKind::temperature, SamplerKind::min_p}), 2u);
  EXPECT_EQ(tokens_seen({SamplerKind::min_p, SamplerKind::temperature}), 1u);
  EXPECT_EQ(tokens_seen({}), 2u);  // neither step: temperature 1, the last two too rare for 200 draws
}

TEST(Sampling, EqualLogitsRankByLowestId) {
  std::vector<float> logits(5000, 1.0f);
  auto p = plain();
  p.temperature = 0;
  EXPECT_EQ(Sampler::create(p, 5000)->sample(logits, 0)->token, 0);
  for (const bool by_mass : {false, true}) {
    auto q = plain();
    if (by_mass) q.top_p = 3.0 / 5000 - 1e-9;
    if (!by_mass) q.top_k = 3;
    auto sampler = Sampler::create(q, 5000);
    std::map<TokenId, int> seen;
    for (int i = 0; i < 300; ++i) ++seen[sampler->sample(logits, i)->token];
    EXPECT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen.rbegin()->first, 2);
  }
}

TEST(Sampling, GreedyFindsTheMaximumWhereverItIs) {
  std::mt19937 rng(1);
  auto p = plain();
  p.temperature = 0;
  for (const size_t n_vocab : {1u, 15u, 16u, 17u, 127u, 128u, 129u, 1000u, 32003u}) {
    auto sampler = Sampler::create(p, n_vocab);
    for (int i = 0; i < 40; ++i) {
      auto logits = random_logits(rng, n_vocab, 1);
      const size_t at = i == 0 ? 0 : i == 1 ? n_vocab - 1 : rng() % n_vocab;
      logits[at] = 50;
      ASSERT_EQ(sampler->sample(logits, i)->token, static_cast<TokenId>(at));
    }
  }
}

TEST(Sampling, LongDrawsHaveTheRightFrequencies) {
  // The whole default pipeline over 150,000 positions against the distribution the definition gives.
  std::mt19937 rng(17);
  const auto logits = random_logits(rng, 500, 1.2);
  SamplingParams p;
  p.seed = 2024;
  Reference reference{p, {}, 0};
  Entries e;
  for (size_t i = 0; i < logits.size(); ++i) e.push_back({static_cast<TokenId>(i), logits[i]});
  for (const auto kind : p.order) reference.apply(kind, e, 0);
  const auto q = softmax(e);
  auto sampler = Sampler::create(p, logits.size());
  std::map<TokenId, int> seen;
  constexpr int kDraws = 150000;
  for (int i = 0; i < kDraws; ++i) ++seen[sampler->sample(logits, i)->token];
  double chi_square = 0;
  int counted = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    const double expected = q[i] * kDraws;
    chi_square += (seen[e[i].id] - expected) * (seen[e[i].id] - expected) / expected;
    counted += seen[e[i].id];
  }
  EXPECT_EQ(counted, kDraws) << "nothing outside the defined set is ever drawn";
  ASSERT_GT(e.size(), 20u);
  const double freedom = static_cast<double>(e.size()) - 1;
  EXPECT_LT(chi_square, freedom + 4.5 * std::sqrt(2 * freedom));
}

TEST(Sampling, LogprobsComeFromTheRawLogits) {
  std::mt19937 rng(23);
  for (const size_t n_vocab : {5u, 700u, 20000u}) {
    auto logits = random_logits(rng, n_vocab, 3);
    logits[1] = kMinusInf;
    logits[3] = logits[2];
    SamplingParams p;
    p.n_probs = 10;
    p.temperature = 0.3;
    p.logit_bias = {{2, 100.0f}};  // chosen because of its bias, reported without it
    auto sampler = Sampler::create(p, n_vocab);
    const auto got = sampler->sample(logits, 0);
    ASSERT_TRUE(got.has_value());
    Entries e;
    for (size_t i = 0; i < n_vocab; ++i) e.push_back({static_cast<TokenId>(i), logits[i]});
    const auto q = softmax(e);
    EXPECT_EQ(got->token, 2);
    EXPECT_NEAR(*got->logprob, std::log(q[2]), 1e-9);
    std::erase_if(e, [](const Entry& x) { return !std::isfinite(x.logit); });
    std::stable_sort(e.begin(), e.end(), [](const Entry& a, const Entry& b) { return a.logit > b.logit; });
    ASSERT_EQ(got->top.size(), std::min<size_t>(10, e.size()));
    for (size_t i = 0; i < got->top.size(); ++i) {
      EXPECT_EQ(got->top[i].token, e[i].id);
      EXPECT_NEAR(got->top[i].logprob, std::log(q[e[i].id]), 1e-9);
    }
  }
  auto silent = Sampler::create(SamplingParams{}, 5);
  EXPECT_FALSE(silent->sample(std::vector<float>(5), 0)->logprob.has_value());
}

TEST(Sampling, ProbabilitiesOfTheDrawAreOfWhatWasLeft) {
  std::mt19937 rng(29);
  const auto logits = random_logits(rng, 700, 3);
  SamplingParams p;
  p.n_probs = 10;
  p.probs_of_draw = true;
  p.temperature = 0.8;
  p.top_k = 4;
  p.top_p = 1;
  p.min_p = 0;
  p.seed = 1;
  auto sampler = Sampler::create(p, 700);
  const auto got = sampler->sample(logits, 0);
  ASSERT_TRUE(got.has_value());
  ASSERT_EQ(got->top.size(), 4u);
  double total = 0;
  bool is_among = false;
  for (size_t i = 0; i < got->top.size(); ++i) {
    total += std::exp(got->top[i].logprob);
    if (i > 0) EXPECT_GE(got->top[i - 1].logprob, got->top[i].logprob);
    if (got->top[i].token != got->token) continue;
    is_among = true;
    EXPECT_DOUBLE_EQ(got->top[i].logprob, *got->logprob);
  }
  EXPECT_NEAR(total, 1, 1e-12);
  EXPECT_TRUE(is_among);
  const auto& best = got->top;
  const double distance = (logits[best[0].token] - logits[best[1].token]) / 0.8;
  EXPECT_NEAR(best[0].logprob - best[1].logprob, distance, 1e-5);
  p.temperature = 0;
  auto picking = Sampler::create(p, 700);  // owns what its answers show
  const auto greedy = picking->sample(logits, 0);
  ASSERT_EQ(greedy->top.size(), 10u);
  EXPECT_EQ(greedy->top[0].token, greedy->token);
  EXPECT_EQ(greedy->top[0].logprob, 0);
  EXPECT_EQ(*greedy->logprob, 0);
  for (size_t i = 1; i < 10; ++i) {  // the model's likeliest, which were passed over
    EXPECT_EQ(std::exp(greedy->top[i].logprob), 0);
    EXPECT_GE(logits[greedy->top[i - 1].token], logits[greedy->top[i].token]);
  }
}

TEST(Sampling, HugeDistancesAndPenaltiesStayFinite) {
  auto p = plain();
  p.temperature = 0.00001;
  const std::vector<float> extreme = {-3e38f, 3e38f, 0, 2.9e38f};
  EXPECT_EQ(Sampler::create(p, 4)->sample(extreme, 0)->token, 1);
  for (const double top_p : {1.0, 0.5}) {
    auto q = plain();
    q.top_p = top_p;
    EXPECT_EQ(Sampler::create(q, 4)->sample(extreme, 0)->token, 1);
  }
  // A repetition so long that base^n overflows: the token ranks last but is not forbidden.
  auto d = plain();
  d.dry_multiplier = 100;
  d.dry_base = 10;
  d.dry_penalty_last_n = -1;
  auto sampler = Sampler::create(d, 2);
  ASSERT_TRUE(sampler->accept_prompt(std::vector<TokenId>(1000, 1)).has_value());
  EXPECT_EQ(sampler->sample(std::vector<float>{-50, 50}, 0)->token, 0);
  EXPECT_EQ(sampler->sample(std::vector<float>{kMinusInf, 50}, 0)->token, 1);
}

}  // namespace
}  // namespace watra::engine
