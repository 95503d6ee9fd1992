// Server: the sockets, the threads that serve them, and the orderly end. Routes are added before start(); what the
// handlers use outlives the server.
#pragma once

#include <memory>

#include "server/door.h"
#include "server/entrance.h"
#include "server/limits.h"
#include "server/router.h"
#include "server/slow_work.h"

namespace watra::server {

struct ServerOptions {
  DoorOptions door;
  uint16_t port = 8686;  // 0 = any
  int threads = 2;       // for HTTP, templates, tokenizing; the model has its own
  Limits limits;
  std::string path_prefix;                // in front of every route: "/llm"; empty = none
  Entrance* entrance = nullptr;           // for people; null: programs alone
  fs::path tls_certificate, tls_key;      // both or neither
  std::optional<uint16_t> programs_port;  // a second socket, on loopback: Ollama's routes without a token
};

class Server {
 public:
  // Opens the sockets; connections wait until start(). Errors: those of Door::create and tls_context;
  // "server.no_address", "server.port_taken", "system.no_thread".
  static Result<std::unique_ptr<Server>> create(const ServerOptions& options);
  ~Server();

  Router& router();
  Router& programs_router();  // of programs_port
  SlowWork& slow();           // of all handlers; ends with wait()
  // With fewer threads where the system refuses some. Error "system.no_thread" when there is none.
  Status start();
  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8686"
  const Door& door() const;

  // Until SIGTERM, SIGINT or stop(). Then no new requests are taken, answers that are being written have
  // limits.drain to finish, those that do not are ended with the error "stopping", and the threads end.
  void wait();
  void stop();  // from any thread
  // Called when the server begins to stop, for answers that would never end by themselves. Before start().
  void on_stop(std::function<void()> call);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::server
