// Hearth: what the fire of the page shows (HOUSE section 5), put together from what the engine does and from the
// answers under way, and told by events, at most four a second. The server's word, never a guess. Any thread may call.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "home/events.h"
#include "server/api_error.h"

namespace watra::server {

class Hearth {
 public:
  explicit Hearth(home::EventLog& events) : events_(events) {}

  // With nobody at work: "asleep" (no model), "idle", "loading" with its progress, "error".
  void rest(const std::string& state, std::optional<double> progress = std::nullopt);

  // Somebody at work: an answer, by its run's id. "reading" with the share read, "thinking" or "speaking" with tokens a
  // second. The liveliest is shown; the rates of those who speak are added up.
  struct Work {
    std::string state;
    std::optional<double> progress, rate;
  };
  void work(const std::string& who, Work work);
  void done(const std::string& who);

  Json now() const;  // {"state", "progress", "rate"}

 private:
  Json shown() const;  // with the lock
  void tell(bool at_once);

  home::EventLog& events_;
  mutable std::mutex mutex_;
  Work rest_{.state = "asleep"};
  std::map<std::string, Work> works_;
  Json told_;
  std::chrono::steady_clock::time_point told_at_{};
};

}  // namespace watra::server
