// Candidates: the tokens still in play, and the steps that narrow them down. One method of the literature per function.
//
// Candidates always stand in token-id order and every sum (softmax, entropy, the final draw) runs in that order, in
// double: the result depends on the set and its logits alone, not on how it was found, and near-equal probabilities
// that swap ranks between two machines do not change what a given random number draws. Steps that rank (top-k, top-p,
// typical) select a cut and keep what lies above it: nothing is sorted as a whole. Equal values rank by id, lowest
// first.
//
// At first the candidates are the whole row (nothing copied); the first step that needs more than maxima makes a list.
// Not thread-safe. Memory is reserved once for a vocabulary; no step allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampling_row.h"

namespace watra::engine {

// e^x for x <= 0, relative error below 4e-16; 0 from about -707.8 down. Own arithmetic instead of libm's, whose last
// bit differs between CPUs (and which does not vectorize): a seed then draws the same token everywhere the logits are
// the same.
void exp_nonpositive(double* x, size_t n);

struct Candidate {
  double logit;
  double weight;  // e^(logit - largest logit when weighed), valid while weights are
  double key;     // rank of the step at work: smaller is better
  TokenId id;
};

class Candidates {
 public:
  void reserve(size_t n_vocab);

  // All tokens of the row that are not forbidden. The row must stay as it is while the candidates are the whole row.
  void begin(LogitRow& row);
  bool is_whole_row() const { return row_ != nullptr; }
  LogitRow* whole_row() const { return row_; }
  size_t size() const { return items_.size(); }  // once listed
  std::span<const Candidate> list();             // in id order

  // logit := new_logit(id, logit), double in and out, for every listed candidate.
  template <class F>
  void edit(F new_logit) {
    for (Candidate& c : items_) c.logit = new_logit(c.id, c.logit);
    weighted_ = false;
  }

  // Each keeps at least max(1, min_keep) candidates (or all), best first by its own ranking.
  void top_k(size_t k);
  void top_p(double p, size_t min_keep);
  void min_p(double p, size_t min_keep);
  void typical_p(double p, size_t min_keep);
  void top_n_sigma(double n, size_t min_keep);
  void xtc(double threshold, size_t min_keep);
  void max_surprise(double bits, size_t min_keep);  // Mirostat's truncation

  void temperature(double t);
  void dynamic_temperature(double low, double high, double exponent);

  struct Drawn {
    TokenId id;
    double probability;  // among the candidates left
  };
  // Inverse of the cumulative distribution in id order; u in [0, 1). There must be a candidate.
  Drawn draw(double u);

 private:
  void list_at_least(double floor);  // from the row
  void listed();                     // makes the list if there is none
  void weighted();                   // weights and total_ for the logits as they are
  void keep_only_best();
  // Keeps the n best by key; the best of them by key and id, the rest of the order is unspecified.
  void keep_count(size_t n);
  // Keeps the smallest set of best keys whose weight reaches `mass`, and at least min_keep.
  void keep_mass(double mass, size_t min_keep);
  // Keeps key <= cut, and at least min_keep.
  void keep_at_most(double cut, size_t min_keep);
  template <class Predicate>
  void keep_if(Predicate keep);
  void keys_by_logit();

  LogitRow* row_ = nullptr;
  std::vector<Candidate> items_, ranked_;
  bool weighted_ = false;
  double max_logit_ = 0, total_ = 0;
};

// log of the row's sum of e^logit, in id order. Needs one token that is not forbidden.
double log_sum_exp(LogitRow& row);
// best := the n largest logits of the row (fewer if forbidden), largest first. Needs n >= 1 and room for the vocabulary
// in best.
void select_most_probable(LogitRow& row, size_t n, std::vector<Candidate>& best);

}  // namespace watra::engine
