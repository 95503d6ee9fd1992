// LogitRow: one row of logits over the vocabulary, with the largest value of each run of 128 tokens beside it.
//
// The maxima make everything the pipeline asks of a whole row cheap: argmax, "all above a cut", "the k largest" look at
// few runs only; nothing sorts 262,144 numbers. The row borrows the caller's logits until somebody edits them, then it
// owns a copy. NaN and +inf are refused on the way in; -inf is a forbidden token. Edited values are computed in double,
// rounded to float and kept finite, so that only a bias of -inf or a mask forbids.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/result.h"
#include "text/vocab_spec.h"

namespace watra::engine {

using text::TokenId;

class LogitRow {
 public:
  void reserve(size_t n_vocab);

  // Borrows `logits` until the next call. Error "engine.bad_logits" names the first NaN or +inf.
  Status load(std::span<const float> logits);

  size_t size() const { return view_.size(); }
  std::span<const float> values() const { return view_; }

  // -inf where the mask's bit is 0.
  void forbid(std::span<const uint32_t> allowed_bits);
  // logit[token] := new_logit(logit[token]) for a token that is not forbidden. new_logit: double -> double.
  template <class F>
  void edit(TokenId token, F new_logit) {
    float& logit = own()[token];
    if (logit != kForbidden) logit = to_logit(new_logit(static_cast<double>(logit)));
  }
  void add_bias(TokenId token, float bias);

  float max();       // -inf when every token is forbidden
  TokenId argmax();  // lowest id among equals; kNoToken when every token is forbidden
  // A value that at least min(k, tokens not forbidden) logits reach, close below the k-th largest; -inf when the maxima
  // cannot tell.
  float floor_of_top(size_t k);
  // visit(token, logit) in id order for every logit >= cut that is not forbidden.
  template <class F>
  void visit_at_least(double cut, F visit) {
    refresh();
    for (size_t run = 0; run < maxima_.size(); ++run) {
      if (maxima_[run] == kForbidden || maxima_[run] < cut) continue;
      const size_t end = std::min(view_.size(), (run + 1) * kRun);
      for (size_t i = run * kRun; i < end; ++i) {
        if (view_[i] >= cut && view_[i] != kForbidden) visit(static_cast<TokenId>(i), view_[i]);
      }
    }
  }

  // 1,024 maxima for 131,072 tokens: short to select from, and 40 runs are quickly read.
  static constexpr size_t kRun = 128;
  static constexpr float kForbidden = -std::numeric_limits<float>::infinity();

 private:
  static float to_logit(double x) {
    constexpr double kMax = std::numeric_limits<float>::max();
    return static_cast<float>(x < -kMax ? -kMax : x > kMax ? kMax : x);
  }
  std::span<float> own();
  bool scan();     // fills maxima_; false if a value is NaN or +inf
  void refresh();  // scan after edits

  std::span<const float> view_;
  std::vector<float> edited_, maxima_, selection_;
  bool owned_ = false, stale_ = false;
};

}  // namespace watra::engine
