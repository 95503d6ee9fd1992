// Server: the socket, the threads that serve it, and the orderly end. Routes are added before start(); what the
// handlers use outlives the server.
#pragma once

#include <memory>

#include "server/door.h"
#include "server/limits.h"
#include "server/router.h"

namespace watra::server {

struct ServerOptions {
  DoorOptions door;
  uint16_t port = 8686;  // 0 = any
  int threads = 2;       // for HTTP, templates, tokenizing; the model has its own
  Limits limits;
};

class Server {
 public:
  // Opens the socket; connections wait until start(). Errors: those of Door::create; "server.no_address",
  // "server.port_taken".
  static Result<std::unique_ptr<Server>> create(const ServerOptions& options);
  ~Server();

  Router& router();
  void start();
  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8686"

  // Until SIGTERM, SIGINT or stop(). Then no new requests are taken, answers that are being written have
  // limits.drain to finish, and the threads end.
  void wait();
  void stop();  // from any thread

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::server
