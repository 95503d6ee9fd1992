// The part of HttpClient that needs no sockets: redirects, small texts, which proxy.
#include <cstdlib>

#include "hub/http.h"

namespace watra::hub {
namespace {

constexpr int kMaxRedirects = 10;

std::string environment(const char* upper) {
  for (const std::string& name : {to_lower(upper), std::string(upper)})
    if (const char* value = std::getenv(name.c_str()); value && *value) return value;
  return {};
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// "example.org", ".example.org" and "*.example.org" all mean the host and everything below it.
bool matches_host(std::string_view pattern, const Url& url) {
  if (const size_t colon = pattern.rfind(':'); colon != std::string_view::npos && pattern.find(':') == colon) {
    if (pattern.substr(colon + 1) != url.port) return false;
    pattern = pattern.substr(0, colon);
  }
  if (pattern.starts_with("*.")) pattern.remove_prefix(1);
  if (pattern.starts_with('.')) pattern.remove_prefix(1);
  const std::string wanted = to_lower(pattern);
  return !wanted.empty() && (url.host == wanted || url.host.ends_with("." + wanted));
}

}  // namespace

ProxySettings ProxySettings::from_environment() {
  ProxySettings p;
  const std::string all = environment("ALL_PROXY");
  p.http = environment("HTTP_PROXY");
  p.https = environment("HTTPS_PROXY");
  if (p.http.empty()) p.http = all;
  if (p.https.empty()) p.https = all;
  p.none_for = environment("NO_PROXY");
  return p;
}

std::string ProxySettings::choose(const Url& url) const {
  std::string_view rest = none_for;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(','), rest.size());
    std::string_view pattern = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (pattern.starts_with(' ')) pattern.remove_prefix(1);
    while (pattern.ends_with(' ')) pattern.remove_suffix(1);
    if (pattern == "*" || matches_host(pattern, url)) return {};
  }
  return url.is_tls() ? https : http;
}

std::string HttpReply::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_ignoring_case(key, name)) return value;
  return {};
}

bool is_transient(const Error& error) {
  return error.code == "hub.unreachable" || error.code == "hub.timeout" || error.code == "hub.cut" ||
         error.code == "hub.protocol" || error.code == "hub.busy_server" || error.code == "system.no_thread";
}

Result<Followed> HttpClient::follow(const HttpRequest& first, const OnReply& on_reply, const OnBody& on_body) {
  Followed followed;
  HttpRequest request = first;
  for (;;) {
    bool redirected = false;
    const auto head = [&](const HttpReply& reply) -> Result<bool> {
      redirected = is_redirect(reply.status) && !reply.header("Location").empty();
      if (redirected) return false;
      return on_reply(reply);
    };
    WATRA_ASSIGN(HttpReply reply, exchange(request, head, on_body));
    followed.hops.push_back({request.url, reply});
    if (!redirected) return followed;
    if (followed.hops.size() > kMaxRedirects)
      return fail("hub.redirect",
                  fmt::format("{} leads through more than {} redirects", first.url.to_string(), kMaxRedirects),
                  "the server sends us in a circle; try another source");
    WATRA_ASSIGN(Url next, resolve_url(request.url, reply.header("Location")));
    if (request.url.is_tls() && !next.is_tls())
      return fail("hub.redirect",
                  fmt::format("{} sends us from an encrypted to an open connection ({})", request.url.authority(),
                              next.authority()),
                  "refused: anybody on the way could change the file; try another source");
    request.url = std::move(next);
    if (reply.status == 303 && request.method != "HEAD") request.method = "GET";
    if (!request.url.same_origin(first.url))
      std::erase_if(request.headers, [](const auto& h) { return equal_ignoring_case(h.first, "Authorization"); });
  }
}

Result<std::pair<HttpReply, std::string>> HttpClient::get_text(const HttpRequest& request, size_t max_bytes) {
  std::string text;
  const auto body = [&](std::span<const std::byte> data) -> Status {
    if (data.size() > max_bytes - text.size())
      return fail("hub.too_large",
                  fmt::format("{} answers with more than {} bytes", request.url.authority(), max_bytes));
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
    return {};
  };
  WATRA_ASSIGN(Followed followed, follow(
                                      request, [](const HttpReply&) { return true; }, body));
  return std::pair(followed.reply(), std::move(text));
}

}  // namespace watra::hub
