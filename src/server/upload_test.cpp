// Bodies that go into files: whole, gone with who held them, and written where a disk that hangs stops nobody else.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <future>

#include "base/await_test.h"
#include "base/fault.h"
#include "base/folder.h"
#include "base/must_test.h"
#include "server/server.h"

namespace watra::server {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

constexpr size_t kMost = size_t{32} << 20;
constexpr auto kBodyTime = 6s;  // more than a busy machine stands still for

// A server of one thread: what that waits for, everybody waits for.
class UploadTest : public testing::Test {
 protected:
  UploadTest() {
    ServerOptions options{.port = 0, .threads = 1};
    options.door.no_auth = true;
    options.limits.body = kBodyTime;
    options.limits.body_bytes_per_s = kMost;
    server_ = must(Server::create(options));
    server_->router().add({.method = "POST",
                           .pattern = "/up",
                           .handler = [this](Exchange& x) { return took(x); },
                           .access = Access::open,
                           .max_body_bytes = kMost,
                           .body_folder = folder_});
    server_->router().add({.method = "GET",
                           .pattern = "/ping",
                           .handler = [](Exchange& x) { return x.reply(200, "text/plain", "pong"); },
                           .access = Access::open});
    must(server_->start());
  }
  ~UploadTest() override {
    server_.reset();
    fs::remove_all(folder_);
  }

  Awaitable<void> took(Exchange& x) {
    const auto read = [&] { return must(read_text_file(x.body_file->path())); };
    kept_ = co_await server_->slow().run(read);
    std::string reply = std::to_string(kept_.size());
    co_await x.reply(200, "text/plain", std::move(reply));
  }

  class Client {
   public:
    explicit Client(uint16_t port) { socket_.connect({asio::ip::make_address("127.0.0.1"), port}); }
    void send(std::string_view text) { asio::write(socket_, asio::buffer(text)); }
    // The status of the answer.
    int answer() {
      asio::streambuf buffer;
      asio::read_until(socket_, buffer, "\r\n\r\n");
      std::string head(9, '\0');
      std::istream(&buffer).read(head.data(), 9);
      int status = 0;
      std::istream(&buffer) >> status;
      return status;
    }
    void leave() { socket_.close(); }

   private:
    asio::io_context io_;
    tcp::socket socket_{io_};
  };

  static std::string head(const char* method, const char* path, size_t n_bytes) {
    return fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", method, path, n_bytes);
  }
  bool is_empty_soon() const {
    return comes_about([this] { return fs::is_empty(folder_); });
  }

  const fs::path folder_ = fs::temp_directory_path() / ("watra-upload-" + name_of_our_own());
  std::unique_ptr<Server> server_;
  std::string kept_;
};

TEST_F(UploadTest, ArrivesWhole) {
  std::string body;
  for (size_t i = 0; body.size() < 3'000'000; ++i) body += std::to_string(i);
  Client client(server_->port());
  client.send(head("POST", "/up", body.size()) + body);
  EXPECT_EQ(client.answer(), 200);
  EXPECT_EQ(kept_, body);
  client.send(head("POST", "/up", 0));
  EXPECT_EQ(client.answer(), 200);
  EXPECT_EQ(kept_, "");
  client.send(head("POST", "/up", kMost + 1));
  EXPECT_EQ(client.answer(), 413);
  client.leave();
  EXPECT_TRUE(is_empty_soon());
}

TEST_F(UploadTest, ADiskThatHangsStopsNobodyElse) {
  Client sender(server_->port());
  std::atomic<size_t> n_sent{0};
  std::future<int> status;
  {
    const fault::Stall stall("file.write");
    status = std::async(std::launch::async, [&] {
      sender.send(head("POST", "/up", kMost));
      const std::string piece(1 << 20, 'x');
      for (; n_sent < kMost; n_sent += piece.size()) sender.send(piece);
      return sender.answer();
    });
    ASSERT_TRUE(comes_about([&] { return stall.waiting() == 1; }));
    auto asked = std::async(std::launch::async, [this] {
      Client client(server_->port());
      client.send(head("GET", "/ping", 0));
      return client.answer();
    });
    EXPECT_EQ(asked.wait_for(kPatience), std::future_status::ready) << "the thread that serves waits for the disk";
    std::this_thread::sleep_for(kBodyTime + 500ms);  // the disk's time is not the client's
    EXPECT_LT(n_sent, kMost / 2) << "what cannot be written is not taken either";
  }
  EXPECT_EQ(status.get(), 200);
  EXPECT_EQ(kept_.size(), kMost);
}

TEST_F(UploadTest, WhatCannotBeWrittenIsTold) {
  const fault::Arm full("file.write", 1);
  Client client(server_->port());
  client.send(head("POST", "/up", 1'000'000) + std::string(1'000'000, 'x'));
  EXPECT_EQ(client.answer(), 507);
  client.leave();
  EXPECT_TRUE(is_empty_soon());
}

TEST_F(UploadTest, WhoLeavesLeavesNothing) {
  Client client(server_->port());
  client.send(head("POST", "/up", 1'000'000) + std::string(600'000, 'x'));
  EXPECT_TRUE(comes_about([this] { return fs::exists(folder_) && !fs::is_empty(folder_); }));
  client.leave();
  EXPECT_TRUE(is_empty_soon());
}

}  // namespace
}  // namespace watra::server
