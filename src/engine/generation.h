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

#include "engine/proposer.h"
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
  bool show_control = false;  // control tokens are text, by their spelling: markers that a mask has let through
};

class Generation {
 public:
  // n_prompt positions are taken, n_ctx there are: prompt and answer are never longer, though the answer's last token
  // need not be run. `sampler` (prompt accepted, mask set) and `tokenizer` are borrowed.
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
  // The same for a pass over the sequence's last token (row 0) and a draft that continues it (node i in row i + 1):
  // chooses in order and goes on as long as the draft has what was chosen, so that the tokens are those of one next()
  // after the other. logits(row) gives a row's logits [n_vocab]; on_step(step) is told each step and may return false
  // to go no further; `path` becomes the nodes that agreed. Errors: those of next().
  template <class Logits, class OnStep>
  Status follow(const Draft& draft, Logits&& logits, std::vector<int32_t>& path, OnStep&& on_step);

  // Ends the answer from outside. Gives the text held back until now.
  std::string_view end(FinishReason reason);

  // From the start when nothing may be written (max_tokens 0).
  bool finished() const { return finish_.has_value(); }
  FinishReason finish_reason() const { return *finish_; }
  std::optional<size_t> stop_string() const { return stops_.stopped(); }  // index of the one that was met
  int64_t n_tokens() const { return n_tokens_; }
  int64_t max_tokens() const { return limit_; }
  const Sampler& sampler() const { return sampler_; }

 private:
  Generation(const text::Tokenizer& tokenizer, Sampler& sampler, StopMatcher stops, int64_t limit,
             const GenerateOptions& options);

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

// The node with this token below `parent` (-1 = the root); -1 = none.
int32_t child_with(const Draft& draft, int32_t parent, TokenId token);

template <class Logits, class OnStep>
Status Generation::follow(const Draft& draft, Logits&& logits, std::vector<int32_t>& path, OnStep&& on_step) {
  path.clear();
  for (int32_t at = -1;;) {
    WATRA_ASSIGN(const Step step, next(logits(at + 1)));
    if (!on_step(step) || step.finished) return {};
    at = child_with(draft, at, step.token);
    if (at < 0) return {};
    path.push_back(at);
  }
}

}  // namespace watra::engine
