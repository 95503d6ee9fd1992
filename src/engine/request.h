// Request: one answer asked of the Scheduler, what is told about it while it is made, and the handle to it.
//
// Events are called by the scheduler's thread, one at a time, in the order started, reading*, token*, finished (exactly
// once, also for a request that never started); forgot* and reading_again* between them. They must not block, throw or
// wait for a request: every sequence waits for them. They may submit and cancel. Views in an event are valid during the
// call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/forgetting.h"
#include "engine/generation.h"
#include "engine/logit_mask.h"
#include "engine/speculation.h"

namespace watra::engine {

// Who asks, most urgent first. Impulses and jobs are background: they rest while anybody else has a request.
enum class Priority : uint8_t { person, api, compare, impulse, job };
inline constexpr int kPriorities = 5;
constexpr bool is_background(Priority p) { return p >= Priority::impulse; }

struct RequestStats {
  int64_t n_prompt = 0;     // tokens of the prompt, as it was asked
  int64_t n_left_out = 0;   // of them forgotten before they were read (Request::endless)
  int64_t n_forgotten = 0;  // of prompt and answer, those included
  int64_t n_cached = 0;     // of them taken from the cache
  int64_t n_restored = 0;   // of n_cached: from the disk
  int64_t n_generated = 0;  // tokens of the answer
  int64_t n_reread = 0;     // read a second time, because their pages had to make room
  int64_t n_beside = 0;     // passes between its first token and its last in which others had a part
  SpeculationCounts speculation;
  double queue_s = 0;    // accepted to started
  double prefill_s = 0;  // started to first token
  double ttft_s = 0;     // accepted to first token
  double decode_s = 0;   // first token to last
  double prefill_tokens_per_s() const {
    return prefill_s > 0 ? static_cast<double>(n_prompt - n_left_out - n_cached) / prefill_s : 0;
  }
  double decode_tokens_per_s() const {
    return decode_s > 0 && n_generated > 1 ? static_cast<double>(n_generated - 1) / decode_s : 0;
  }
};

struct Started {
  int64_t n_prompt, n_cached;
  uint64_t seed;  // the one in use
};
struct Reading {
  int64_t n_read, n_prompt;  // cached ones and those left out included
};
struct ReadingAgain {
  int64_t n_read, n_tokens;  // of prompt and answer, as far as they are still seen; cached ones included
};
struct Forgot {
  int64_t n_now, n_in_all;  // tokens of prompt and answer
};
struct TokenEvent {
  TokenId token;          // kNoToken: only text that was held back comes with the end of the answer
  std::string_view text;  // whole characters, maybe none yet; no part of a stop string
  std::optional<double> logprob;
  std::span<const TokenLogprob> top;
};
struct PromptToken {
  int64_t position;  // in the prompt, from 1: nothing predicts the first
  TokenId token;
  double logprob;
  int64_t rank;  // 1 = the most probable
  std::span<const TokenLogprob> top;
};
struct Finished {
  FinishReason reason = FinishReason::stop;
  std::optional<size_t> stop_string;  // index of the one that was met
  std::optional<Error> error;         // with FinishReason::error
  std::vector<TokenId> ids;           // as sampled; the end token is not among them
  uint64_t seed = 0;                  // the one in use; 0 for what never started
  RequestStats stats;
};

struct RequestEvents {
  std::function<void(const Started&)> started;
  std::function<void(const Reading&)> reading;  // after each slice but the last
  std::function<void(const TokenEvent&)> token;
  // The context was full: so much of the text is not seen any more, and what is left will be read again. Before the
  // first token (then "started" has gone before): the prompt was too long.
  std::function<void(const Forgot&)> forgot;
  // An answer under way, after it forgot or after its pages had to make room: after each slice but the last.
  std::function<void(const ReadingAgain&)> reading_again;
  // What the model thought of each token of the prompt, and the final normed hidden state [d_model] at each position of
  // it: in order, each once, before the first token. Either makes the request read its whole prompt, cached or not.
  std::function<void(const PromptToken&)> prompt_token;
  std::function<void(int64_t position, std::span<const float> hidden)> prompt_hidden;
  std::function<void(const Finished&)> finished;
};

struct Request {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  GenerateOptions generate;
  Priority priority = Priority::api;
  std::unique_ptr<LogitMask> mask;  // null = none
  bool speculate = true;            // where the scheduler has proposers (same answer either way)
  bool reuse_prefix = true;         // false: its prompt is read whole, cached or not
  int32_t n_prompt_probs = 0;       // most probable tokens told with each PromptToken
  // What a full context does: nothing = the answer ends there ("length"). Otherwise a part of the text is forgotten and
  // the answer goes on. Sampling sees all that was read and written, forgotten or not.
  std::optional<Endless> endless;
  RequestEvents events;
};

namespace internal {
struct LiveRequest;
struct SchedulerDoor;
}  // namespace internal

// May be copied, outlive the scheduler, and be used from any thread. Dropping it cancels nothing.
class RequestHandle {
 public:
  // Takes effect before the next pass, and within the present one when nobody else is in it. The tokens so far stand;
  // "finished" comes with FinishReason::cancelled.
  void cancel();
  // Until the request has finished (its event has returned). Not from an event, nor from the thread that steps.
  const Finished& wait() const;
  bool finished() const;

 private:
  friend class Scheduler;
  RequestHandle(std::shared_ptr<internal::LiveRequest> request, std::shared_ptr<internal::SchedulerDoor> door)
      : request_(std::move(request)), door_(std::move(door)) {}
  std::shared_ptr<internal::LiveRequest> request_;
  std::shared_ptr<internal::SchedulerDoor> door_;
};

}  // namespace watra::engine
