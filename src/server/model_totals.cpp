#include "server/model_totals.h"

#include <algorithm>

namespace watra::server {
namespace {

void add_counters(engine::SchedulerStats& sum, const engine::SchedulerStats& s) {
  sum.n_requests += s.n_requests;
  sum.n_passes += s.n_passes;
  sum.n_aborted += s.n_aborted;
  sum.n_read += s.n_read;
  sum.n_decoded += s.n_decoded;
  sum.n_drafted += s.n_drafted;
  sum.n_accepted += s.n_accepted;
  sum.n_from_cache += s.n_from_cache;
  sum.n_restored += s.n_restored;
  sum.n_dropped += s.n_dropped;
  sum.n_evicted += s.n_evicted;
  sum.pass_s += s.pass_s;
  sum.reading_s += s.reading_s;
  sum.writing_s += s.writing_s;
  sum.n_tokens_most = std::max(sum.n_tokens_most, s.n_tokens_most);
}

void add_now(engine::SchedulerStats& sum, const engine::SchedulerStats& s) {
  sum.n_running += s.n_running;
  sum.n_waiting += s.n_waiting;
  sum.kv_pages += s.kv_pages;
  sum.kv_pages_free += s.kv_pages_free;
  sum.kv_pages_cached += s.kv_pages_cached;
}

}  // namespace

engine::SchedulerStats ModelTotals::sum() const {
  const std::lock_guard lock(mutex_);
  engine::SchedulerStats out = past_;
  for (const auto& [model, ask] : here_) {
    const engine::SchedulerStats s = ask();
    add_counters(out, s);
    add_now(out, s);
  }
  return out;
}

void ModelTotals::begin(const void* model, Ask ask) {
  const std::lock_guard lock(mutex_);
  here_.insert_or_assign(model, std::move(ask));
}

void ModelTotals::end(const void* model) {
  const std::lock_guard lock(mutex_);
  const auto it = here_.find(model);
  add_counters(past_, it->second());
  here_.erase(it);
}

}  // namespace watra::server
