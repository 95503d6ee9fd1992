// Forgetting: which tokens a request gives up where its context is full, so that it may go on.
//
// The beginning stays (a persona, at least the first page), a quarter of what a context holds behind it goes at a time,
// whole pages of that where it is a page or more. What is left is read as if nothing had ever stood between: the state
// is a function of the tokens that are left, as every other request's is. So they may lose their pages, share them and
// lie on the disk under their own names (docs/decisions/0012).
//
// A prompt that is too long from the start loses as many such steps as it must: a conversation that grows turn by turn
// keeps its beginning in the cache until the next step. Pure arithmetic.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace watra::engine {

// What a request may say of it.
struct Endless {
  int64_t n_keep = 0;     // tokens of the beginning that are never forgotten; -1 = the whole prompt
  int64_t n_discard = 0;  // forgotten at a time; 0 = a quarter of what lies behind the kept ones
};

class Forgetting {
 public:
  // Error "engine.bad_parameter": n_keep leaves less than kLeastBehind tokens of the context, or is below -1; n_discard
  // is negative.
  static Result<Forgetting> create(const Endless& asked, int64_t n_prompt, int64_t n_ctx);
  static constexpr int64_t kLeastBehind = 4;

  int64_t n_kept() const { return n_kept_; }
  int64_t n_step() const { return n_step_; }
  // Tokens [n_kept, n_kept + n) that go from a text of n_tokens, so that at least one more fits; 0 = all of it fits.
  int64_t n_to_forget(int64_t n_tokens) const;

 private:
  Forgetting(int64_t n_ctx, int64_t n_kept, int64_t n_step) : n_ctx_(n_ctx), n_kept_(n_kept), n_step_(n_step) {}
  int64_t n_ctx_, n_kept_, n_step_;
};

}  // namespace watra::engine
