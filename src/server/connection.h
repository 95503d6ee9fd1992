// serve_connection: speaks HTTP/1.1 with one client until it leaves: reads requests under limits, checks the door,
// finds the route, runs its handler, and watches the socket meanwhile.
//
// While a handler runs, one read stays pending: when the client goes, the handler is cancelled at once. Requests that
// are pipelined wait in the buffer. Runs on the strand of `socket`; what it borrows outlives it.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "server/door.h"
#include "server/entrance.h"
#include "server/last_call.h"
#include "server/limits.h"
#include "server/router.h"
#include "server/slow_work.h"
#include "server/tls.h"

namespace watra::server {

struct ServerState {                  // of all doors of one server
  std::atomic<bool> draining{false};  // the server is stopping: answers that are being made are the last
  std::atomic<int> n_busy{0};         // requests being answered
  LastCall last_call;                 // ... that are not waited for any longer
};

struct Shared {  // by all connections of one door
  const Router& router;
  const Door& door;
  const Limits& limits;
  ServerState& state;
  SlowWork& slow;
  Entrance* entrance = nullptr;     // null: no people, the token alone
  std::shared_ptr<TlsContext> tls;  // null: as it is
  bool programs_only = false;       // --ollama-port: no token, and nothing that a browser sends
};

Awaitable<void> serve_connection(asio::ip::tcp::socket socket, Shared& shared);

}  // namespace watra::server
