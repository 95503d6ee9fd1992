#include "server/hearth.h"

#include "base/log.h"

namespace watra::server {
namespace {

constexpr auto kLeastPause = std::chrono::milliseconds(250);

int liveliness(const std::string& state) { return state == "speaking" ? 3 : state == "thinking" ? 2 : 1; }

Json as_json(const Hearth::Work& w) {
  return {{"state", w.state},
          {"progress", w.progress ? Json(*w.progress) : Json(nullptr)},
          {"rate", w.rate ? Json(*w.rate) : Json(nullptr)}};
}

}  // namespace

void Hearth::rest(const std::string& state, std::optional<double> progress) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = rest_.state != state;
    rest_ = {.state = state, .progress = progress, .rate = std::nullopt};
  }
  tell(changed);
}

void Hearth::work(const std::string& who, Work work) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    Work& now = works_[who];
    changed = now.state != work.state;
    now = std::move(work);
  }
  tell(changed);
}

void Hearth::done(const std::string& who) {
  {
    const std::lock_guard lock(mutex_);
    if (works_.erase(who) == 0) return;
  }
  tell(true);
}

Json Hearth::now() const {
  const std::lock_guard lock(mutex_);
  return shown();
}

Json Hearth::shown() const {
  const Work* best = nullptr;
  double rate = 0;
  for (const auto& [who, work] : works_) {
    if (!best || liveliness(work.state) > liveliness(best->state)) best = &work;
    if (liveliness(work.state) > 1) rate += work.rate.value_or(0);
  }
  if (!best) return as_json(rest_);
  Work sum = *best;
  if (liveliness(sum.state) > 1 && rate > 0) sum.rate = rate;
  return as_json(sum);
}

// The lock is not held while the event is written: a commit takes milliseconds.
void Hearth::tell(bool at_once) {
  Json state;
  {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    state = shown();
    const bool new_state = told_.is_null() || told_["state"] != state["state"];
    if (state == told_ || (!(at_once && new_state) && now - told_at_ < kLeastPause)) return;
    told_ = state;
    told_at_ = now;
  }
  if (!events_.has_listeners()) return;  // whoever attaches is told the state of then
  if (const Status told = events_.tell("hearth.state", std::nullopt, std::nullopt, state); !told)
    log::warn("the state of the hearth could not be told: {}", told.error().message);
}

}  // namespace watra::server
