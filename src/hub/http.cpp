// HttpClient over Boost.Beast: the only file that includes it, because it is heavy to compile.
//
// Each connection has an io_context of its own and every operation is started asynchronously and waited for, because
// only asynchronous operations can time out and be cancelled.
#include "hub/http.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <future>
#include <thread>

#include "base/thread_start.h"
#include "watra_version.h"

namespace watra::hub {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

constexpr auto kLookEvery = std::chrono::milliseconds(50);  // at the caller's cancel flag
constexpr size_t kBodyPiece = 128 << 10;
constexpr uint32_t kMaxHeadBytes = 64 << 10;

tl::unexpected<Error> cancelled_error(const std::string& where) {
  return fail("hub.cancelled", fmt::format("the connection to {} was stopped", where));
}

tl::unexpected<Error> connection_error(const error_code& ec, const std::string& where, std::string_view doing) {
  if (ec == beast::error::timeout)
    return fail("hub.timeout", fmt::format("{} did not answer in time while {}", where, doing),
                "check the connection; the same command goes on where this one stopped");
  if (ec.category() == http::make_error_code(http::error::end_of_stream).category() &&
      ec != http::error::end_of_stream && ec != http::error::partial_message)
    return fail("hub.protocol", fmt::format("{} answers in a way that is not HTTP: {}", where, ec.message()));
  return fail("hub.cut", fmt::format("the connection to {} ended while {}: {}", where, doing, ec.message()),
              "the same command goes on where this one stopped");
}

// Names are looked up on a thread of their own: a resolver cannot be interrupted, and must not hold up a cancel.
Result<std::vector<tcp::endpoint>> look_up(const std::string& host, const std::string& port,
                                           const HttpSettings& settings) {
  using Found = std::pair<error_code, std::vector<tcp::endpoint>>;
  auto promise = std::make_shared<std::promise<Found>>();
  auto future = promise->get_future();
  WATRA_ASSIGN(std::thread thread, start_thread("looking up " + host, [promise, host, port] {
                 Found found;
                 try {
                   asio::io_context io;
                   tcp::resolver resolver(io);
                   for (const auto& entry : resolver.resolve(host, port, found.first))
                     found.second.push_back(entry.endpoint());
                 } catch (const std::exception&) {
                   found.first = asio::error::no_memory;
                 }
                 promise->set_value(std::move(found));
               }));
  thread.detach();
  const auto deadline = std::chrono::steady_clock::now() + settings.connect_timeout;
  while (future.wait_for(kLookEvery) != std::future_status::ready) {
    if (settings.cancelled && settings.cancelled()) return cancelled_error(host);
    if (std::chrono::steady_clock::now() > deadline)
      return fail("hub.unreachable", fmt::format("the address of {} could not be found in time", host),
                  "check the network; models already on the shelf need none (watra list)");
  }
  auto [ec, endpoints] = future.get();
  if (ec || endpoints.empty())
    return fail("hub.unreachable", fmt::format("the address of {} could not be found: {}", host, ec.message()),
                "check the network and the name; models already on the shelf need none (watra list)");
  return endpoints;
}

bool is_public(const asio::ip::address_v4& a) {
  const uint32_t n = a.to_uint();
  const auto within = [n](uint32_t net, int bits) { return (n ^ net) >> (32 - bits) == 0; };
  return !(within(0, 8) || within(0x0a000000, 8) || within(0x64400000, 10) || within(0x7f000000, 8) ||
           within(0xa9fe0000, 16) || within(0xac100000, 12) || within(0xc0000000, 24) || within(0xc0a80000, 16) ||
           within(0xc6120000, 15) || within(0xe0000000, 3));
}
// IPv6 has one range for the internet, 2000::/3; in some of the others (mapped, translated, 6to4) lies an IPv4 address.
bool is_public(const asio::ip::address& a) {
  if (a.is_v4()) return is_public(a.to_v4());
  const auto bytes = a.to_v6().to_bytes();
  const auto v4_at = [&](size_t i) {
    return is_public(asio::ip::address_v4({bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]}));
  };
  const auto begins = [&](std::initializer_list<unsigned char> with) {
    return std::equal(with.begin(), with.end(), bytes.begin());
  };
  if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) return v4_at(12);
  if (begins({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return v4_at(12);
  if (begins({0x20, 0x02})) return v4_at(2);
  return bytes[0] >> 5 == 1;
}

tl::unexpected<Error> not_public(const std::string& host) {
  return fail("hub.not_public",
              fmt::format("{} is this machine or lies in its network; only the internet is asked for what a request "
                          "names",
                          host),
              "watra pull ADDRESS in a terminal asks any address");
}

std::string basic_credentials(const std::string& user_info) {
  std::string encoded((user_info.size() + 2) / 3 * 4 + 1, '\0');  // the call ends it with a zero byte
  const int n =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                      reinterpret_cast<const unsigned char*>(user_info.data()), static_cast<int>(user_info.size()));
  encoded.resize(static_cast<size_t>(n));
  return "Basic " + encoded;
}

std::string tls_reason(TlsStream& stream, const error_code& ec) {
  const long verified = SSL_get_verify_result(stream.native_handle());
  return verified != X509_V_OK ? X509_verify_cert_error_string(verified) : ec.message();
}

}  // namespace

struct HttpClient::Connection {
  asio::io_context io;
  std::optional<ssl::context> tls_context;
  std::optional<beast::tcp_stream> plain;
  std::optional<TlsStream> tls;
  beast::flat_buffer buffer;
  Url origin;            // scheme, host and port it leads to
  bool absolute_target;  // an HTTP proxy wants the whole address in the request line
  std::string proxy_credentials;
  bool fresh = true;  // no request has been answered on it yet

  beast::tcp_stream& lowest() { return tls ? beast::get_lowest_layer(*tls) : *plain; }

  // Starts one operation and waits for its end. `start` gets the handler.
  template <class Start>
  error_code wait(const HttpSettings& settings, std::chrono::milliseconds timeout, Start&& start) {
    error_code result;
    bool done = false, stopped = false;
    lowest().expires_after(timeout);
    start([&](const error_code& ec, auto&&...) {
      result = ec;
      done = true;
    });
    io.restart();
    while (!done) {  // NOLINT(bugprone-infinite-loop): the handler ends it
      if (io.run_one_for(kLookEvery) == 0 && io.stopped()) io.restart();
      if (!stopped && settings.cancelled && settings.cancelled()) {
        stopped = true;
        lowest().close();
      }
    }
    return stopped ? error_code(asio::error::operation_aborted) : result;
  }

  template <class F>
  auto on_stream(F&& f) {
    return tls ? f(*tls) : f(*plain);
  }
};

HttpClient::HttpClient(HttpSettings settings) : settings_(std::move(settings)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient::Connection>> HttpClient::connect(const Url& url) {
  auto c = std::make_unique<Connection>();
  c->origin = url;
  c->origin.target.clear();
  const std::string proxy_text = settings_.proxy.choose(url);
  std::optional<Url> proxy;
  if (!proxy_text.empty()) {
    auto parsed = parse_url(proxy_text.find("://") == std::string::npos ? "http://" + proxy_text : proxy_text);
    if (!parsed || parsed->is_tls())
      return fail("hub.proxy", fmt::format("{} is not a proxy Watra can use", proxy_text),
                  "http://host:port in HTTPS_PROXY and HTTP_PROXY, or NO_PROXY=* for none");
    proxy = std::move(*parsed);
    if (!proxy->user_info.empty()) c->proxy_credentials = basic_credentials(proxy->user_info);
  }
  c->absolute_target = proxy && !url.is_tls();
  const Url& peer = proxy ? *proxy : url;
  const std::string where = proxy ? "the proxy " + peer.authority() : peer.authority();

  if (settings_.public_only && proxy) {
    error_code no_address;
    const auto literal = asio::ip::make_address(url.host, no_address);
    if (no_address ? url.is_loopback() : !is_public(literal)) return not_public(url.host);
  }
  WATRA_ASSIGN(auto endpoints, look_up(peer.host, peer.port, settings_));
  if (settings_.public_only && !proxy) {
    std::erase_if(endpoints, [](const tcp::endpoint& e) { return !is_public(e.address()); });
    if (endpoints.empty()) return not_public(url.host);
  }
  c->plain.emplace(c->io);
  error_code ec = c->wait(settings_, settings_.connect_timeout,
                          [&](auto handler) { c->plain->async_connect(endpoints, std::move(handler)); });
  if (settings_.cancelled && settings_.cancelled()) return cancelled_error(where);
  if (ec)
    return fail("hub.unreachable", fmt::format("cannot connect to {}: {}", where, ec.message()),
                "check the network; models already on the shelf need none (watra list)");
  error_code ignored;
  c->plain->socket().set_option(tcp::no_delay(true), ignored);
  if (!url.is_tls()) return c;

  if (proxy) {
    const std::string target =
        (url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]") + ":" + url.port;
    http::request<http::empty_body> tunnel{http::verb::connect, target, 11};
    tunnel.set(http::field::host, target);
    if (!c->proxy_credentials.empty()) tunnel.set(http::field::proxy_authorization, c->proxy_credentials);
    http::response_parser<http::empty_body> answer;
    answer.skip(true);
    ec = c->wait(settings_, settings_.connect_timeout,
                 [&](auto handler) { http::async_write(*c->plain, tunnel, std::move(handler)); });
    if (!ec)
      ec = c->wait(settings_, settings_.connect_timeout,
                   [&](auto handler) { http::async_read_header(*c->plain, c->buffer, answer, std::move(handler)); });
    if (ec) return connection_error(ec, where, fmt::format("asking it for {}", target));
    if (answer.get().result_int() != 200)
      return fail("hub.proxy",
                  fmt::format("{} refuses the way to {}: {} {}", where, target, answer.get().result_int(),
                              std::string(answer.get().reason())),
                  "check HTTPS_PROXY, or put the host into NO_PROXY");
    c->buffer.clear();
  }

  c->tls_context.emplace(ssl::context::tls_client);
  c->tls_context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                              ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  c->tls_context->set_default_verify_paths(ignored);
  c->tls_context->set_verify_mode(ssl::verify_peer);
  c->tls.emplace(std::move(*c->plain), *c->tls_context);
  c->plain.reset();
  c->tls->set_verify_callback(ssl::host_name_verification(url.host));
  asio::ip::make_address(url.host, ec);  // only names are announced, addresses are not (RFC 6066)
  if (ec) SSL_set_tlsext_host_name(c->tls->native_handle(), url.host.c_str());
  ec = c->wait(settings_, settings_.connect_timeout,
               [&](auto handler) { c->tls->async_handshake(ssl::stream_base::client, std::move(handler)); });
  if (settings_.cancelled && settings_.cancelled()) return cancelled_error(where);
  if (ec == beast::error::timeout) return connection_error(ec, url.authority(), "agreeing on encryption");
  if (ec)
    return fail(
        "hub.tls", fmt::format("no trusted connection to {}: {}", url.authority(), tls_reason(*c->tls, ec)),
        "check the clock and the system's certificates (ca-certificates; SSL_CERT_FILE for a private authority)");
  return c;
}

Result<HttpReply> HttpClient::exchange(const HttpRequest& request, const OnReply& on_reply, const OnBody& on_body) {
  const Url& url = request.url;
  const std::string where = url.authority();
  if (connection_ && !connection_->origin.same_origin(url)) connection_.reset();

  for (;;) {
    if (!connection_) {
      WATRA_ASSIGN(connection_, connect(url));
    }
    // Taken out: whatever goes wrong below, a half-read connection is never used again.
    std::unique_ptr<Connection> c = std::move(connection_);

    http::request<http::empty_body> message;
    message.version(11);
    message.method_string(request.method);
    message.target(c->absolute_target ? url.to_string() : url.target);
    message.set(http::field::host, url.authority());
    message.set(http::field::user_agent, fmt::format("watra/{}", kVersion));
    message.set(http::field::accept, "*/*");
    message.set(http::field::accept_encoding, "identity");
    if (c->absolute_target && !c->proxy_credentials.empty())
      message.set(http::field::proxy_authorization, c->proxy_credentials);
    for (const auto& [key, value] : request.headers) message.set(key, value);

    http::response_parser<http::buffer_body> parser;
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(boost::none);
    if (request.method == "HEAD") parser.skip(true);

    error_code ec = c->wait(settings_, settings_.idle_timeout, [&](auto handler) {
      c->on_stream([&](auto& stream) { http::async_write(stream, message, std::move(handler)); });
    });
    if (!ec)
      ec = c->wait(settings_, settings_.idle_timeout, [&](auto handler) {
        c->on_stream([&](auto& stream) { http::async_read_header(stream, c->buffer, parser, std::move(handler)); });
      });
    if (settings_.cancelled && settings_.cancelled()) return cancelled_error(where);
    // A connection kept alive may have been closed by the server meanwhile: that is no fault of anybody's.
    if (ec && !c->fresh && !parser.got_some() && ec != beast::error::timeout) continue;
    if (ec) return connection_error(ec, where, "waiting for its answer");

    HttpReply reply;
    reply.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get())
      reply.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    if (const auto length = parser.content_length()) reply.body_bytes = *length;

    WATRA_ASSIGN(const bool wanted, on_reply(reply));
    // An answer without a wanted body: if it is short, reading it is cheaper than a new connection.
    const bool drain = !wanted && reply.body_bytes && *reply.body_bytes <= kBodyPiece;
    if (wanted || drain) {
      std::vector<std::byte> piece(kBodyPiece);
      while (!parser.is_done()) {
        parser.get().body().data = piece.data();
        parser.get().body().size = piece.size();
        parser.get().body().more = true;
        ec = c->wait(settings_, settings_.idle_timeout, [&](auto handler) {
          c->on_stream([&](auto& stream) { http::async_read(stream, c->buffer, parser, std::move(handler)); });
        });
        const size_t n = piece.size() - parser.get().body().size;
        if (wanted && n > 0) WATRA_TRY(on_body(std::span(piece).first(n)));
        if (settings_.cancelled && settings_.cancelled()) return cancelled_error(where);
        if (ec == http::error::need_buffer) ec = {};
        if (ec) return connection_error(ec, where, "sending the file");
      }
    }
    if (parser.is_done() && parser.keep_alive()) {
      c->fresh = false;
      connection_ = std::move(c);
    }
    return reply;
  }
}

}  // namespace watra::hub
