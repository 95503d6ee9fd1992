// Generation: what happens to one answer between a row of logits and the next token to run: choose, accept, turn into
// text, look for the end. The one truth for Session (one conversation) and Scheduler (many).
//
// Runs no passes and keeps no tokens; the caller feeds logits and runs what comes back. One thread. Nothing is
// allocated per token once buffers have seen the longest piece.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampling.h"
#include "engine/stop_strings.h"
#include "text/tokenizer.h"

namespace watra::engine {

enum class FinishReason { stop, length, cancelled, error };
std::string_view finish_reason_name(FinishReason r);  // "stop", "length", "cancelled", "error"

struct GenerateOptions {
  int64_t max_tokens = -1;  // -1 = until the model ends or the context is full
  std::vector<std::string> stop;
  bool ignore_end = false;  // tokens that end an answer do not (the sampler must forbid them if they shall not appear)
};

class Generation {
 public:
  // n_prompt positions are taken, n_ctx there are. `sampler` (prompt accepted, mask set) and `tokenizer` are borrowed.
  // Error "engine.bad_stop".
  static Result<Generation> create(const text::Tokenizer& tokenizer, Sampler& sampler, const GenerateOptions& options,
                                   int64_t n_prompt, int64_t n_ctx);

  struct Step {
    TokenId token = text::kNoToken;  // the next of the answer; kNoToken when the one chosen ended it
    std::string_view text;           // whole characters that are certain now; valid until the next call
    std::optional<double> logprob;   // of `token`, and `top`: as SampleResult has them
    std::span<const TokenLogprob> top = {};
    bool finished = false;  // finish_reason() says why; the token need not be run
  };
  // Takes the logits [n_vocab] that follow everything so far. Not after finished(). Errors: those of the sampler.
  Result<Step> next(std::span<const float> logits);
  // Ends the answer from outside. Gives the text held back until now.
  std::string_view end(FinishReason reason);

  // From the start when nothing may be written (max_tokens 0).
  bool finished() const { return finish_.has_value(); }
  FinishReason finish_reason() const { return *finish_; }
  std::optional<size_t> stop_string() const { return stops_.stopped(); }  // index of the one that was met
  int64_t n_tokens() const { return n_tokens_; }
  int64_t max_tokens() const { return limit_; }

 private:
  Generation(const text::Tokenizer& tokenizer, Sampler& sampler, StopMatcher stops, int64_t limit, bool ignore_end);

  const text::Tokenizer& tokenizer_;
  Sampler& sampler_;
  text::Detokenizer detokenizer_;
  StopMatcher stops_;
  std::string text_;
  int64_t limit_;
  int64_t n_tokens_ = 0;
  bool ignore_end_;
  std::optional<FinishReason> finish_;
};

}  // namespace watra::engine
