// LiveRequest: a Request from the moment it is accepted until it has finished, and the door between the threads that
// ask and the one that computes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "engine/forgetting.h"
#include "engine/prefix_cache.h"
#include "engine/request.h"
#include "engine/scheduler_stats.h"

namespace watra::engine::internal {

using Clock = std::chrono::steady_clock;

struct LiveRequest {
  // Both sides; done under the door's mutex.
  std::atomic<bool> cancelled{false};
  bool done = false;
  bool in_pass = false;
  Finished outcome;  // the scheduler's until done; its ids are those of the answer so far

  // The scheduler's thread alone from here on.
  uint64_t place = 0;    // in the line of its class: order of arrival, then of turns
  int64_t n_served = 0;  // tokens written since it got that place
  Request request;
  // Prompt (moved out of `request`), then the answer, less what was forgotten: what the model sees. Room for all of it.
  std::vector<TokenId> tokens;
  int64_t n_prompt = 0;                  // tokens of the prompt that were, or are to be, read
  std::optional<Forgetting> forgetting;  // where its context is full it goes on; tokens.size() stays below n_ctx then
  std::optional<Sampler> sampler;
  std::optional<Generation> generation;
  std::optional<Speculation> speculation;

  SequenceId sequence = 0;
  bool has_sequence = false;  // admitted: pages for all its tokens so far are taken
  PrefixCache::Anchor anchor;
  bool may_restore = false;   // pages may lie on the disk that were not looked for yet
  std::vector<PageKey> keys;  // of its whole pages, for the disk
  int64_t n_stored = 0;       // of them offered
  int64_t n_run = 0;          // tokens that were cached when it last lost its sequence
  uint64_t turn = 0;          // of reading, inside its class
  int64_t n_told = 0;         // positions of the prompt whose rows were told

  Clock::time_point accepted, started, first_token, last_token;
  bool has_started = false, has_finished = false;

  Priority priority() const { return request.priority; }
  // Rows of the prompt are still to be told, so they must be run.
  bool tells_prompt() const {
    return (request.events.prompt_token || request.events.prompt_hidden) && n_told < n_prompt;
  }
  // What is cached of its tokens may stand for reading them.
  bool takes_cached() const { return (request.reuse_prefix || n_run > 0) && !tells_prompt(); }
  int64_t n_tokens() const { return static_cast<int64_t>(tokens.size()); }
  // Only without a sequence. Returns how many tokens went.
  int64_t forget();
};

struct SchedulerDoor {
  std::mutex mutex;
  std::condition_variable arrived;   // something to do, or stop
  std::condition_variable finished;  // some request is done
  std::vector<std::shared_ptr<LiveRequest>> inbox;
  int64_t n_alive[kPriorities] = {};  // accepted and not finished
  int64_t n_places = 0;               // of the batch, for those of now: fewer than it has where memory is short
  bool stopping = false;

  // The pass under way: aborted when nobody in it wants it any more, or when it is background and somebody else came.
  std::atomic<bool> abort_pass{false};
  int64_t n_wanting = 0;
  bool pass_is_background = false;

  SchedulerStats stats;
};

}  // namespace watra::engine::internal
