// Scheduler: many answers at once from one loaded model: one pass after the other over rows of all of them.
//
// Every pass holds one row for each decoding sequence, where it pays also the rows of its draft, and a slice of the
// prompts being read, no longer than keeps the others' words flowing. Classes are served in strict order; impulses and
// jobs rest while anybody else has a request, and a pass of theirs is given up when somebody comes. Prefixes that are
// cached are not read again, whoever read them.
//
// Inside a class there is a line. Places in the batch and pages go to its head; when pages run out, unused prefixes go
// first, then the sequences at the end of the least urgent class's line, which read again later. The line begins in
// order of arrival; whoever has written its turn while somebody waits goes to its end, so that long answers do not keep
// others waiting for ever, and of many that do not fit at once all get on alike.
//
// Nothing of this changes an answer: a request's tokens are those that Session::generate gives it alone, greedy or with
// a seed, whatever runs beside it (DESIGN, Exactness; scheduler_test.cpp).
//
// A request that wants it goes on where its context is full: it gives up its sequence, forgets a part of its tokens
// (forgetting.h), and is admitted again with what is left, like one that made room.
//
// An encoder's requests want no tokens, only RequestEvents::prompt_hidden: a pass reads whole prompts, as many as suit,
// and they are finished with it. max_batch is then kEncoderTexts (memory_needs.h).
//
// The scheduler is the only user of the model's Forward and thread team while it lives. submit(), stats() and handles
// may be used from any thread. Either start() runs passes on a thread of its own, or the owner calls step(). After a
// request has been admitted, decoding it allocates nothing (beyond a context that has no end, the answer's list grows).
#pragma once

#include <functional>
#include <memory>

#include "engine/loaded_model.h"
#include "engine/request.h"
#include "engine/scheduler_stats.h"
#include "engine/suffix_proposer.h"

namespace watra::engine {

struct SchedulerOptions {
  int64_t max_batch = 0;  // sequences in a pass; 0 = as many as the Forward gives logits for, which is also the most
  int64_t max_waiting = 256;  // requests beyond the batch, of a class and those above it; more are refused
  double decode_gap_s = 0.1;  // what a slice of reading may add to a decode step
  double read_pass_s = 1.0;   // how long a pass of reading alone may take
  int64_t slice_tokens = 0;   // 0 = found out by measuring, from the two above
  int64_t turn_tokens = 256;  // written before a request makes way for those of its class that wait; 0 = never
  bool reuse_prefixes = true;
  // Called when a request starts; its answer is then speculated on with what comes back. n_tokens: as many as prompt
  // and answer may become. Null = no drafts.
  std::function<std::vector<std::unique_ptr<Proposer>>(int64_t n_tokens)> make_proposers;
  SpeculationOptions speculation;  // without an experience the requests share one of the scheduler's own
  // Called again and again while nobody wants anything, with the tokens of the answer that was finished last and its
  // prompt, on the thread that steps: something short, for a newcomer waits for it. False: there is nothing left to do.
  std::function<bool(std::span<const TokenId>)> use_idle_time;
  std::shared_ptr<SuffixHistory> history;  // finished answers are added to it, on the thread that steps
};

class Scheduler {
 public:
  // Error "model.no_vocabulary"; those of reading the model's file.
  static Result<std::unique_ptr<Scheduler>> create(LoadedModel model, SchedulerOptions options = {});
  // Gives up the pass under way; requests that are left finish with error "scheduler.stopped".
  ~Scheduler();

  // Errors: "model.is_encoder" for tokens asked of one; "context.empty_prompt"; "context.overflow" (both numbers) for
  // what can never fit, also of an endless request whose prompt is to be told; "engine.bad_parameter",
  // "engine.bad_stop", "engine.bad_token"; "scheduler.full" when too many wait; "scheduler.stopped" from an event of
  // the destructor's.
  Result<RequestHandle> submit(Request request);

  Status start();  // error "system.no_thread"
  // One pass, or where nobody wants one a little of use_idle_time. False when there is nothing to do.
  bool step();

  SchedulerStats stats() const;
  const LoadedModel& model() const;

 private:
  struct Impl;
  explicit Scheduler(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::engine
