// The one event stream (docs/api.md, section 4): GET /watra/v1/events.
//
// A page is told by reading the event log from where it is: whoever reads slowly costs a cursor, no memory. Waking
// comes from the log after each commit. Streams end when the server stops, and when the session they came by ends.
#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "home/events.h"
#include "server/entrance.h"
#include "server/hearth.h"
#include "server/limits.h"
#include "server/router.h"

namespace watra::server {

class EventStreams {
 public:
  // All of it outlives this object; `entrance` may be null.
  EventStreams(home::EventLog& events, Hearth& hearth, Entrance* entrance, const Limits& limits);
  ~EventStreams();

  void add(Router& router);
  void end_all();  // any thread
  int n_open() const;

 private:
  struct Waker;
  void look_at_sessions();  // some have ended; any thread
  bool has_ended(const std::string& session) const;
  Awaitable<void> serve(Exchange& x);

  home::EventLog& events_;
  Hearth& hearth_;
  Entrance* const entrance_;
  const Limits& limits_;
  mutable std::mutex mutex_;
  std::set<std::shared_ptr<Waker>> open_;
  bool ending_ = false;
};

}  // namespace watra::server
