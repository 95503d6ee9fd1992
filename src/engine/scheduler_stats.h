// SchedulerStats: what a Scheduler is doing and has done, as plain data.
#pragma once

#include <cstdint>

namespace watra::engine {

struct SchedulerStats {
  // now
  int64_t n_running = 0;  // accepted, not finished, and with a place in the batch (or one free for them)
  int64_t n_waiting = 0;  // accepted, and none
  int64_t kv_pages = 0, kv_pages_free = 0, kv_pages_cached = 0;
  // since the start
  int64_t n_requests = 0;
  int64_t n_passes = 0;
  int64_t n_aborted = 0;              // passes given up for a cancellation or a person
  int64_t n_read = 0, n_decoded = 0;  // rows of passes, drafts apart
  int64_t n_drafted = 0;              // rows that were guesses
  int64_t n_accepted = 0;             // guesses that came true: tokens without a pass of their own
  int64_t n_from_cache = 0;           // tokens that need not be read
  int64_t n_restored = 0;             // of them from the disk
  int64_t n_dropped = 0;              // times a sequence lost its pages to another
  int64_t n_evicted = 0;              // cached pages given up
  double pass_s = 0;                  // time inside passes
  // of the requests that have finished, summed: started to first token, and from there to the last
  double reading_s = 0, writing_s = 0;
  int64_t n_tokens_most = 0;  // the longest of them, prompt and answer
};

}  // namespace watra::engine
