#include "server/gathering.h"

#include <algorithm>

namespace watra::server {

using home::Urgency;

bool Gathering::is_due(const std::vector<home::Event>& events, Clock::time_point now) const {
  const Urgency least = hears(now);
  return std::ranges::any_of(events, [&](const home::Event& e) { return home::urgency_of(e.type) <= least; });
}

void Gathering::went_out(const std::vector<home::Event>& events, Clock::time_point now) {
  const auto holds = [&](Urgency u) {
    return std::ranges::any_of(events, [&](const home::Event& e) { return home::urgency_of(e.type) == u; });
  };
  if (holds(Urgency::words))
    hears_ = Urgency::news;
  else if (holds(Urgency::figures) && hears(now) == Urgency::figures)
    hears_ = Urgency::words;
  else
    return;
  until_ = now + most_;
}

}  // namespace watra::server
