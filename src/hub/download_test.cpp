// What a download refuses before it asks anybody for a byte. How it behaves on a network: tests/hub_peer.
#include "hub/download.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <limits>
#include <thread>

#include "base/fault.h"
#include "hub/sha256.h"

namespace watra::hub {
namespace {

// Answers requests for ranges of one file, each connection on a thread of its own; as little of HTTP as that takes.
class RangeServer {
 public:
  explicit RangeServer(std::string content) : content_(std::move(content)) {
    acceptor_ = std::thread([this] {
      for (;;) {
        boost::system::error_code ec;
        tcp::socket socket(io_);
        door_.accept(socket, ec);
        if (ec || ending_) return;
        served_.emplace_back([this, s = std::move(socket)]() mutable { serve(s); });
      }
    });
  }
  ~RangeServer() {
    ending_ = true;
    boost::system::error_code ec;
    tcp::socket(io_).connect(door_.local_endpoint(), ec);
    acceptor_.join();
    for (auto& t : served_) t.join();
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/m.gguf", door_.local_endpoint().port()); }

 private:
  using tcp = boost::asio::ip::tcp;
  void serve(tcp::socket& socket) const {
    boost::system::error_code ec;
    for (std::string head; boost::asio::read_until(socket, boost::asio::dynamic_buffer(head), "\r\n\r\n", ec) > 0;
         head.clear()) {
      unsigned long long begin = 0, end = 0;
      const size_t range = head.find("Range: bytes=");
      if (range == std::string::npos || std::sscanf(&head[range], "Range: bytes=%llu-%llu", &begin, &end) != 2) return;
      const std::string_view body = std::string_view(content_).substr(begin, end + 1 - begin);
      std::string answer =
          fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{}/{}\r\nContent-Length: {}\r\n\r\n",
                      begin, end, content_.size(), body.size());
      answer += body;
      boost::asio::write(socket, boost::asio::buffer(answer), ec);
      if (ec) return;
    }
  }

  const std::string content_;
  boost::asio::io_context io_;
  tcp::acceptor door_{io_, tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0)};
  std::atomic<bool> ending_{false};
  std::vector<std::thread> served_;
  std::thread acceptor_;
};

// What a request names is not asked for where it leads to this machine or its network, however it is written.
TEST(HttpClient, AsksOnlyTheInternetWhereItIsTold) {
  const auto refused = [](const char* host, HttpSettings settings) {
    settings.public_only = true;
    settings.connect_timeout = std::chrono::milliseconds(300);
    HttpRequest request;
    request.url = *parse_url(fmt::format("https://{}:9/m.gguf", host));
    HttpClient client(settings);
    const auto reply = client.exchange(
        request, [](const HttpReply&) -> Result<bool> { return false; }, [](auto) -> Status { return {}; });
    return reply ? std::string("answered") : reply.error().code;
  };
  const char* inside[] = {"127.0.0.1",       "localhost",  "2130706433",         "0x7f000001",      "0.0.0.0",
                          "10.1.2.3",        "100.64.0.1", "169.254.169.254",    "172.31.0.1",      "192.168.1.1",
                          "[::1]",           "[::]",       "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
                          "[2002:7f00:1::]", "[fe80::1]",  "[fd00::1]",          "224.0.0.1"};
  for (const char* host : inside) EXPECT_EQ(refused(host, {}), "hub.not_public") << host;
  HttpSettings by_proxy;
  by_proxy.proxy.https = "http://127.0.0.1:9";
  for (const char* host : {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254"})
    EXPECT_EQ(refused(host, by_proxy), "hub.not_public") << host;
  EXPECT_EQ(refused("example.org", by_proxy), "hub.unreachable") << "the proxy itself may be near";
}

TEST(Download, ASizeThatNoDiskHasIsRefused) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("watra-download-{}", ::getpid());
  const DownloadJob job{
      .origin = {}, .label = "big.gguf", .part = folder / "big.part", .state = folder / "big.state", .sha256 = {}};
  DownloadSettings settings;
  settings.free_space = [](const fs::path&) -> Result<uint64_t> { return uint64_t{1} << 40; };
  for (const uint64_t claimed : {uint64_t{1} << 41, uint64_t{1} << 62, std::numeric_limits<uint64_t>::max()}) {
    RemoteFile remote;
    remote.bytes = claimed;
    remote.ranges = true;
    remote.identity = "etag";
    const auto done = download(job, remote, settings, {});
    ASSERT_FALSE(done) << claimed;
    EXPECT_EQ(done.error().code, "hub.no_space") << claimed;
    EXPECT_FALSE(fs::exists(job.state)) << claimed;
  }
  fs::remove_all(folder);
}

// One of the threads that a download would have is refused, each in turn: others do its work.
TEST(Download, GoesOnWithFewerThreads) {
  std::string content(20 << 20, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 13);
  Sha256 sha;
  sha.add(std::as_bytes(std::span(content)));
  const std::string wanted = sha.hex();
  const RangeServer server(content);
  const fs::path folder = fs::temp_directory_path() / fmt::format("watra-download-{}", ::getpid());
  bool refused = true;
  for (uint64_t nth = 0; refused && nth < 100; ++nth) {
    const DownloadJob job{.origin = {.url = *parse_url(server.url())},
                          .label = "m.gguf",
                          .part = folder / "m.part",
                          .state = folder / "m.state",
                          .sha256 = wanted};
    RemoteFile remote;
    remote.final_url = job.origin.url;
    remote.bytes = content.size();
    remote.ranges = true;
    remote.identity = "etag";
    DownloadSettings settings;
    settings.free_space = [](const fs::path&) -> Result<uint64_t> { return uint64_t{1} << 40; };
    settings.retry.first_wait = std::chrono::milliseconds(1);
    const fault::Arm arm("thread.start", nth);
    const auto done = download(job, remote, settings, {});
    ASSERT_TRUE(done) << nth << ": " << done.error().message;
    EXPECT_EQ(done->sha256, wanted);
    refused = arm.fired();
    EXPECT_TRUE(refused || nth > 3) << "each connection has its thread";
    fs::remove_all(folder);
  }
}

}  // namespace
}  // namespace watra::hub
