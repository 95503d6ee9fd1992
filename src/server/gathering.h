// Gathering: when what was told goes out to a listener that wants it in few, larger pieces (GET /events?gather_ms=).
//
// A page that the processor draws shows words a few times a second; each piece that comes in between wakes two or three
// of the browser's processes on the cores that the model speaks with. What changes goes out at once, with all before
// it. Words wait until `most` after the words before them went out, figures until `most` after the last figures: the
// first ones after a silence wait for nothing. Order is never changed: whatever goes out takes along all that came
// before it.
//
// Pure arithmetic on a clock that is handed in. Not thread-safe.
#pragma once

#include <chrono>
#include <vector>

#include "home/events.h"

namespace watra::server {

class Gathering {
 public:
  using Clock = std::chrono::steady_clock;

  // most = 0: nothing waits.
  explicit Gathering(std::chrono::milliseconds most) : most_(most) {}

  // The least urgent that goes out at `now`, and the moment from which on everything does.
  home::Urgency hears(Clock::time_point now) const { return now < until_ ? hears_ : home::Urgency::figures; }
  Clock::time_point until() const { return until_; }

  bool is_due(const std::vector<home::Event>& events, Clock::time_point now) const;  // those that wait, not empty
  void went_out(const std::vector<home::Event>& events, Clock::time_point now);

 private:
  const std::chrono::milliseconds most_;
  home::Urgency hears_ = home::Urgency::figures;  // until then
  Clock::time_point until_{};
};

}  // namespace watra::server
