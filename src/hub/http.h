// HttpClient: blocking HTTP/1.1 requests over TCP or TLS, through a proxy where the environment names one.
//
// One client = at most one open connection, kept alive between requests to the same host; one thread at a time.
// Certificates are verified against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR count). Every wait ends at
// a timeout or, within a tenth of a second, when the caller cancels. Bodies are handed over in pieces as they come,
// never collected.
//
// Errors: "hub.unreachable" (no such host, nothing listens, no network), "hub.timeout", "hub.cut" (the connection ended
// early), "hub.tls", "hub.protocol", "hub.proxy", "hub.not_public", "hub.cancelled", "system.no_thread", and whatever
// the caller's functions return.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "hub/url.h"

namespace watra::hub {

struct ProxySettings {
  std::string http, https;  // addresses of proxies; empty = direct
  std::string none_for;     // comma-separated host suffixes that are reached directly; "*" = all

  static ProxySettings from_environment();  // HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY in either case
  // The proxy for a request to `url`; empty = none.
  std::string choose(const Url& url) const;
};

struct HttpSettings {
  ProxySettings proxy;
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds idle_timeout{30'000};  // no byte for so long
  // Where somebody else names the address: this machine and its network are never asked ("hub.not_public"). A proxy is
  // trusted to look names up.
  bool public_only = false;
  std::function<bool()> cancelled;
};

struct HttpRequest {
  std::string method = "GET";
  Url url;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<uint64_t> body_bytes;  // Content-Length

  std::string header(std::string_view name) const;  // any case; "" when missing
};

// Called once with the head of the answer; false = the body is not wanted.
using OnReply = std::function<Result<bool>(const HttpReply&)>;
using OnBody = std::function<Status(std::span<const std::byte>)>;

// An answer and the addresses that led to it.
struct Followed {
  struct Hop {
    Url url;
    HttpReply reply;
  };
  std::vector<Hop> hops;  // the redirects, in order; the last is the answer itself
  const Url& url() const { return hops.back().url; }
  const HttpReply& reply() const { return hops.back().reply; }
};

class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // One request, one answer.
  Result<HttpReply> exchange(const HttpRequest& request, const OnReply& on_reply, const OnBody& on_body);

  // Follows redirects: at most ten, never from https to http, and `Authorization` goes to the first origin only. The
  // functions are called for the last answer alone. Errors besides those above: "hub.redirect".
  Result<Followed> follow(const HttpRequest& request, const OnReply& on_reply, const OnBody& on_body);

  // A small body as text; "hub.too_large" beyond max_bytes. Any status is an answer.
  Result<std::pair<HttpReply, std::string>> get_text(const HttpRequest& request, size_t max_bytes);

 private:
  struct Connection;
  Result<std::unique_ptr<Connection>> connect(const Url& url);

  HttpSettings settings_;
  std::unique_ptr<Connection> connection_;
};

// True when trying again may help.
bool is_transient(const Error& error);

}  // namespace watra::hub
