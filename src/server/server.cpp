#include "server/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "base/log.h"
#include "base/thread_start.h"
#include "server/connection.h"

namespace watra::server {

using asio::ip::tcp;
using boost::system::error_code;

// One socket that is listened on, and who may come in by it.
struct Listener {
  Listener(asio::io_context& io, const Router& router, const Door& door, const Limits& limits, ServerState& state,
           SlowWork& slow)
      : acceptor(asio::make_strand(io)), shared{router, door, limits, state, slow, nullptr, nullptr, false} {}
  tcp::acceptor acceptor;
  Shared shared;

  Status open(const std::string& host, uint16_t port);
};

Status Listener::open(const std::string& host, uint16_t port) {
  error_code ec;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
  if (ec)
    return fail("server.no_address", fmt::format("--host needs an address of this machine, found {}", host),
                "--host 127.0.0.1");
  const tcp::endpoint endpoint(address, port);
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec)
    return fail("server.port_taken", fmt::format("{} port {} cannot be listened on: {}", host, port, ec.message()),
                "another port, or 0 for any that is free");
  return {};
}

struct Server::Impl {
  ServerOptions options;
  Door door, programs_door;
  Router router, programs_router;
  ServerState state;
  std::atomic<size_t> n_connections{0};
  SlowWork slow;  // before the connections, whose files end there
  asio::io_context io;
  Listener main{io, router, door, options.limits, state, slow};
  Listener programs{io, programs_router, programs_door, options.limits, state, slow};
  asio::signal_set signals{io, SIGTERM, SIGINT};
  std::vector<std::thread> threads;
  std::vector<std::function<void()>> on_stop;
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);

  Impl(const ServerOptions& o, Door d, Door p) : options(o), door(std::move(d)), programs_door(std::move(p)) {
    router.set_prefix(o.path_prefix);
  }

  void serve();
  Awaitable<void> accept_all(Listener& listener);
  void answer(tcp::socket socket, Listener& listener);
  Awaitable<void> quiet_until(std::chrono::steady_clock::time_point end, int least_looks = 0);
  Awaitable<void> drain();
};

Result<std::unique_ptr<Server>> Server::create(const ServerOptions& options) {
  WATRA_ASSIGN(Door door, Door::create(options.door));
  // Nobody's token is asked for there, and nothing outside this machine reaches it.
  WATRA_ASSIGN(Door programs_door, Door::create({.allow_hosts = options.door.allow_hosts, .no_auth = true}));
  auto impl = std::make_unique<Impl>(options, std::move(door), std::move(programs_door));
  if (impl->slow.n_threads() == 0) return no_thread("the server", EAGAIN);
  impl->main.shared.entrance = options.entrance;
  if (!options.tls_certificate.empty()) {
    WATRA_ASSIGN(impl->main.shared.tls, tls_context(options.tls_certificate, options.tls_key));
  }
  WATRA_TRY(impl->main.open(options.door.host, options.port));
  if (options.programs_port) {
    impl->programs.shared.programs_only = true;
    WATRA_TRY(impl->programs.open("127.0.0.1", *options.programs_port));
  }
  auto server = std::unique_ptr<Server>(new Server(std::move(impl)));
  if (options.entrance) options.entrance->set_port(server->port());
  return server;
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  stop();
  wait();
}

Router& Server::router() { return impl_->router; }
SlowWork& Server::slow() { return impl_->slow; }
Router& Server::programs_router() { return impl_->programs_router; }
const Door& Server::door() const { return impl_->door; }
void Server::on_stop(std::function<void()> call) { impl_->on_stop.push_back(std::move(call)); }

uint16_t Server::port() const {
  error_code ec;
  return impl_->main.acceptor.local_endpoint(ec).port();
}

std::string Server::url() const {
  const std::string& host = impl_->options.door.host;
  const bool needs_brackets = host.find(':') != std::string::npos;  // IPv6
  return fmt::format("{}://{}{}{}:{}", impl_->main.shared.tls ? "https" : "http", needs_brackets ? "[" : "", host,
                     needs_brackets ? "]" : "", port());
}

Status Server::start() {
  Impl& s = *impl_;
  for (Listener* listener : {&s.main, &s.programs})
    if (listener->acceptor.is_open())
      asio::co_spawn(listener->acceptor.get_executor(), s.accept_all(*listener), asio::detached);
  s.signals.async_wait([this](error_code ec, int signal) {
    if (ec) return;
    log::info("the server ends signal={} connections={}", signal == SIGTERM ? "SIGTERM" : "SIGINT",
              impl_->n_connections.load());
    stop();
  });
  s.threads.reserve(static_cast<size_t>(s.options.threads));
  for (int i = 0; i < s.options.threads; ++i) {
    auto thread = start_thread("the server", [&s] { s.serve(); });
    if (!thread && s.threads.empty()) return fail(std::move(thread).error());
    if (!thread) {
      log::warn("{}: {} of {} are here", thread.error().message, i, s.options.threads);
      break;
    }
    s.threads.push_back(std::move(*thread));
  }
  return {};
}

// What a handler of Asio's throws must end neither the thread nor the program.
void Server::Impl::serve() {
  for (;;) {
    try {
      io.run();
      return;
    } catch (const std::exception& e) {
      log::error("an unexpected exception on a thread of the server: {}", e.what());
    }
  }
}

Awaitable<void> Server::Impl::accept_all(Listener& listener) {
  static constexpr std::string_view kFullBody =
      R"({"error":{"code":503,"message":"too many connections at once","type":"unavailable_error"}})";
  static const std::string kFull = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      kFullBody.size(), kFullBody);
  for (;;) {
    error_code ec;
    tcp::socket socket(asio::make_strand(io));
    co_await listener.acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, ec));
    if (ec == asio::error::operation_aborted || !listener.acceptor.is_open()) co_return;
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
    try {
      answer(std::move(socket), listener);
    } catch (const std::bad_alloc&) {  // no memory for this one; the next one may find some
      log::warn("a connection could not be taken: there is no memory for it");
    }
  }
}

void Server::Impl::answer(tcp::socket socket, Listener& listener) {
  const auto executor = socket.get_executor();
  auto connection = serve_connection(std::move(socket), listener.shared);
  // Counted until whatever holds this has gone: also where the connection cannot begin.
  ++n_connections;
  auto counted = std::shared_ptr<void>(nullptr, [this](void*) { --n_connections; });
  asio::co_spawn(executor, std::move(connection), [counted](std::exception_ptr e) {
    if (e) log::error("a connection ended with an unexpected exception");
  });
}

// Until nothing is being answered, or no longer than that; where so many looks are not over by then, until they are.
Awaitable<void> Server::Impl::quiet_until(std::chrono::steady_clock::time_point end, int least_looks) {
  for (; state.n_busy > 0 && (std::chrono::steady_clock::now() < end || least_looks > 0); --least_looks) {
    asio::steady_timer pause(io, std::chrono::milliseconds(20));
    co_await pause.async_wait(asio::use_awaitable);
  }
}

Awaitable<void> Server::Impl::drain() {
  state.draining = true;
  for (Listener* listener : {&main, &programs})
    asio::post(listener->acceptor.get_executor(), [listener] {
      error_code ignored;
      listener->acceptor.close(ignored);
    });
  for (const auto& call : on_stop) {
    try {
      call();
    } catch (const std::exception& e) {  // the server ends all the same
      log::error("an end of the server: {}", e.what());
    }
  }
  const auto end = std::chrono::steady_clock::now() + options.limits.drain;
  co_await quiet_until(end - options.limits.last_word);
  state.last_call.ring();
  // A machine that stood still for the time there was does not take the last word from those who are cut: what tells it
  // runs between the looks.
  constexpr int kLooksForLastWord = 10;
  co_await quiet_until(end, kLooksForLastWord);
  io.stop();
}

void Server::stop() {
  if (impl_->state.draining.exchange(true)) return;
  asio::co_spawn(impl_->main.acceptor.get_executor(), impl_->drain(), asio::detached);
  if (impl_->threads.empty()) impl_->io.stop();
}

void Server::wait() {
  for (std::thread& t : impl_->threads)
    if (t.joinable()) t.join();
  impl_->slow.close();  // handlers that were cut may have left work there
}

}  // namespace watra::server
