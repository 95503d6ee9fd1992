// The server under what should not happen: handlers that throw what nobody knows, threads that are refused, ends that
// fail. Each leaves the others alone.
#include "server/server.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <stdexcept>

#include "base/await_test.h"
#include "base/fault.h"
#include "base/must_test.h"

namespace watra::server {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

std::unique_ptr<Server> server_of(int n_threads = 2, const Limits& limits = {}) {
  ServerOptions options{.port = 0, .threads = n_threads, .limits = limits};
  options.door.no_auth = true;
  auto server = must(Server::create(options));
  const auto route = [&](const char* path, Handler handler) {
    server->router().add({.method = "GET", .pattern = path, .handler = std::move(handler), .access = Access::open});
  };
  route("/ping", [](Exchange& x) { return x.reply(200, "text/plain", "pong"); });
  route("/number", [](Exchange&) -> Awaitable<void> {
    throw 5;
    co_return;
  });
  route("/bug", [](Exchange&) -> Awaitable<void> {
    throw std::logic_error("of a bug");
    co_return;
  });
  route("/memory", [](Exchange&) -> Awaitable<void> {
    throw std::bad_alloc();
    co_return;
  });
  return server;
}

// The status of a GET; 0 when there was no answer.
int status_of(const Server& server, const std::string& path) {
  auto asked = std::async(std::launch::async, [&] {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server.port()});
    asio::write(socket, asio::buffer(fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)));
    asio::streambuf buffer;
    boost::system::error_code ec;
    asio::read_until(socket, buffer, "\r\n\r\n", ec);
    std::string version;
    int status = 0;
    std::istream(&buffer) >> version >> status;
    return status;
  });
  return asked.wait_for(kPatience) == std::future_status::ready ? asked.get() : 0;
}

TEST(Server, WhatAHandlerThrowsIsToldAndEndsNothingElse) {
  const auto server = server_of();
  must(server->start());
  EXPECT_EQ(status_of(*server, "/number"), 500);
  EXPECT_EQ(status_of(*server, "/bug"), 500);
  EXPECT_EQ(status_of(*server, "/memory"), 503);
  EXPECT_EQ(status_of(*server, "/ping"), 200);
}

TEST(Server, ServesWithFewerThreadsAndSaysWhenThereIsNone) {
  {
    const auto server = server_of(3);
    const fault::Arm arm("thread.start", 1);
    must(server->start());
    EXPECT_TRUE(arm.fired());
    EXPECT_EQ(status_of(*server, "/ping"), 200);
  }
  const auto server = server_of(1);
  const fault::Arm arm("thread.start", 0);
  const Status started = server->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, "system.no_thread");
}

TEST(Server, WithoutThreadsForSlowWorkThereIsNoServer) {
  const fault::Arm arm("thread.start", 0);
  ServerOptions options{.port = 0, .threads = 1};
  options.door.no_auth = true;
  const auto server = Server::create(options);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, "system.no_thread");
}

TEST(Server, EndsThoughOneOfItsEndsFails) {
  const auto server = server_of();
  bool is_told = false;
  server->on_stop([] { throw std::runtime_error("of a bug"); });
  server->on_stop([&] { is_told = true; });
  must(server->start());
  server->stop();
  auto ended = std::async(std::launch::async, [&] { server->wait(); });
  EXPECT_EQ(ended.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(is_told);
}

TEST(Server, WhoIsCutHasALastWordThoughTheMachineStoodStill) {
  const auto server = server_of(1, {.drain = 60ms, .last_word = 50ms});
  std::atomic<bool> is_asked = false;
  bool is_ending = false;  // on the server's one thread
  server->router().add({.method = "GET",
                        .pattern = "/endless",
                        .handler = [&](Exchange& x) -> Awaitable<void> {
                          is_asked = true;
                          asio::steady_timer timer(x.executor());
                          const auto pass = [&](auto time) {
                            timer.expires_after(time);
                            return timer.async_wait(asio::use_awaitable);
                          };
                          while (!is_ending) co_await pass(1ms);
                          std::this_thread::sleep_for(300ms);  // longer than all the time that there is
                          co_await pass(kPatience);
                        },
                        .access = Access::open});
  server->on_stop([&] { is_ending = true; });
  must(server->start());
  auto asked = std::async(std::launch::async, [&] { return status_of(*server, "/endless"); });
  while (status_of(*server, "/ping") == 200 && !is_asked) std::this_thread::sleep_for(1ms);
  server->stop();
  EXPECT_EQ(asked.get(), 503);
  server->wait();
}

}  // namespace
}  // namespace watra::server
