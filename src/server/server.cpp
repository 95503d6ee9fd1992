#include "server/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "base/log.h"
#include "server/connection.h"

namespace watra::server {

using asio::ip::tcp;
using boost::system::error_code;

struct Server::Impl {
  ServerOptions options;
  Door door;
  Router router;
  Shared shared{router, door, options.limits};
  std::atomic<size_t> n_connections{0};
  asio::io_context io;
  tcp::acceptor acceptor{asio::make_strand(io)};
  asio::signal_set signals{io, SIGTERM, SIGINT};
  std::vector<std::thread> threads;
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);

  Impl(const ServerOptions& o, Door d) : options(o), door(std::move(d)) {}

  Awaitable<void> accept_all();
  Awaitable<void> drain();
};

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options) {
  WATRA_ASSIGN(Door door, Door::create(options.door));
  auto impl = std::make_unique<Impl>(options, std::move(door));
  error_code ec;
  const std::string host = options.door.host == "localhost" ? "127.0.0.1" : options.door.host;
  const auto address = asio::ip::make_address(host, ec);
  if (ec)
    return fail("server.no_address", fmt::format("--host needs an address of this machine, found {}", host),
                "--host 127.0.0.1");
  const tcp::endpoint endpoint(address, options.port);
  impl->acceptor.open(endpoint.protocol(), ec);
  if (!ec) impl->acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) impl->acceptor.bind(endpoint, ec);
  if (!ec) impl->acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return fail("server.port_taken",
                fmt::format("{} port {} cannot be listened on: {}", host, options.port, ec.message()),
                "another --port, or --port 0 for any that is free");
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  stop();
  wait();
}

Router& Server::router() { return impl_->router; }
uint16_t Server::port() const {
  error_code ec;
  return impl_->acceptor.local_endpoint(ec).port();
}

std::string Server::url() const {
  const std::string& host = impl_->options.door.host;
  const bool needs_brackets = host.find(':') != std::string::npos;  // IPv6
  return needs_brackets ? fmt::format("http://[{}]:{}", host, port()) : fmt::format("http://{}:{}", host, port());
}

void Server::start() {
  Impl& s = *impl_;
  asio::co_spawn(s.acceptor.get_executor(), s.accept_all(), asio::detached);
  s.signals.async_wait([this](error_code ec, int) {
    if (!ec) stop();
  });
  for (int i = 0; i < s.options.threads; ++i) s.threads.emplace_back([&s] { s.io.run(); });
}

Awaitable<void> Server::Impl::accept_all() {
  static constexpr std::string_view kFull =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  for (;;) {
    error_code ec;
    tcp::socket socket(asio::make_strand(io));
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
    if (ec == asio::error::operation_aborted || !acceptor.is_open()) co_return;
    if (ec) {  // out of descriptors, as a rule: those that are open will end
      log::warn("a connection could not be accepted: {}", ec.message());
      asio::steady_timer pause(io, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable);
      continue;
    }
    if (n_connections >= options.limits.max_connections) {
      socket.non_blocking(true, ec);
      asio::write(socket, asio::buffer(kFull), ec);
      continue;
    }
    ++n_connections;
    const auto executor = socket.get_executor();
    asio::co_spawn(executor, serve_connection(std::move(socket), shared), [this](std::exception_ptr e) {
      --n_connections;
      if (e) log::error("a connection ended with an unexpected exception");
    });
  }
}

Awaitable<void> Server::Impl::drain() {
  shared.draining = true;
  error_code ignored;
  acceptor.close(ignored);
  const auto end = std::chrono::steady_clock::now() + options.limits.drain;
  while (shared.n_busy > 0 && std::chrono::steady_clock::now() < end) {
    asio::steady_timer pause(io, std::chrono::milliseconds(20));
    co_await pause.async_wait(asio::use_awaitable);
  }
  io.stop();
}

void Server::stop() {
  if (impl_->shared.draining.exchange(true)) return;
  asio::co_spawn(impl_->acceptor.get_executor(), impl_->drain(), asio::detached);
  if (impl_->threads.empty()) impl_->io.stop();
}

void Server::wait() {
  for (std::thread& t : impl_->threads)
    if (t.joinable()) t.join();
}

}  // namespace watra::server
