#include "server/request_check.h"

#include <algorithm>
#include <cctype>

namespace watra::server {
namespace {

ApiError foreign(std::string message) {
  return {.status = 403, .code = "origin_foreign", .message = std::move(message)};
}

class Check {
 public:
  Check(Exchange& x, const Shared& shared) : x_(x), shared_(shared) {}

  CheckedRequest all(const RequestHead& head) {
    const bool is_named_otherwise =
        !head.target_host.empty() && !shared_.door.knows_host(head.target_host, head.local_address);
    if (head.n_hosts != 1 || is_named_otherwise || !shared_.door.knows_host(x_.header("Host"), head.local_address))
      throw ApiError{.status = 421,
                     .code = "host_unknown",
                     .message = "this server does not answer to the name in Host; --allow-host NAME adds one"};
    if (!x_.path.starts_with('/'))
      throw ApiError{.status = 400, .code = "bad_request", .message = "the request target must begin with /"};
    auto found = shared_.router.find(x_.method, x_.path);
    if (found.route) x_.dialect = found.route->dialect;
    if (shared_.programs_only) {
      check_is_program();
    } else if (is_preflight_of_friend()) {
      return {.is_preflight = true};
    } else {
      check_caller(found.route);
    }
    if (!found.route && !found.allow.empty()) {
      x_.extra_head += fmt::format("Allow: {}\r\n", found.allow);
      throw ApiError{
          .status = 405, .code = "method_not_allowed", .message = fmt::format("{} takes {}", x_.path, found.allow)};
    }
    if (!found.route) throw nothing_there();
    if (shared_.state.draining) throw server_stopping();
    if (head.content_length && *head.content_length > found.route->max_body_bytes) throw body_too_large(*found.route);
    check_encoding();
    x_.params = std::move(found.params);
    return {.route = found.route};
  }

 private:
  ApiError nothing_there() const {
    ApiError error{.status = 404, .code = "route_unknown", .message = fmt::format("there is nothing at {}", x_.path)};
    if (!shared_.router.inner(x_.path)) error.message += "; all of it lies under " + shared_.router.prefix();
    return error;
  }

  void check_is_program() const {
    for (const char* name : {"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"})
      if (!x_.header(name).empty()) throw foreign("this port is for programs; no browser's request is taken");
  }

  void check_encoding() const {
    const std::string given = x_.header("Content-Encoding");
    constexpr std::string_view kPlain = "identity";
    if (!given.empty() &&
        !std::ranges::equal(given, kPlain, {}, [](unsigned char c) { return static_cast<char>(std::tolower(c)); }))
      throw ApiError{.status = 415, .code = "unsupported_encoding", .message = "bodies are taken uncompressed only"};
  }

  Witness where_from() const {
    return shared_.door.where_from(x_.header("Host"), x_.header("Origin"), x_.header("Sec-Fetch-Site"),
                                   x_.header("Referer"));
  }

  bool is_read() const { return x_.method == "GET" || x_.method == "HEAD"; }

  // A page whose origin is on the list may read answers; it still needs the token. True when this was its preflight,
  // which comes without one.
  bool is_preflight_of_friend() {
    const std::string origin = x_.header("Origin");
    if (origin.empty()) return false;
    if (!shared_.door.knows_origin(origin)) {
      if (!shared_.door.needs_token() && where_from() == Witness::elsewhere)
        throw foreign("requests from other pages are not taken");
      return false;
    }
    x_.extra_head += fmt::format("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n", origin);
    if (x_.method != "OPTIONS") return false;
    x_.extra_head +=
        "Access-Control-Allow-Methods: GET, POST, DELETE\r\n"
        "Access-Control-Allow-Headers: authorization, content-type, x-api-key, anthropic-version, "
        "anthropic-beta\r\nAccess-Control-Max-Age: 600\r\n";
    return true;
  }

  // May this one ask that? Throws 401 and 403 (HOUSE section 1). Paths are not told to strangers: the token comes
  // first, but for the open routes and for addresses that people type.
  void check_caller(const Route* route) {
    const Access access = route ? route->access : Access::token;
    if (access == Access::open) return;
    x_.caller.has_token = shared_.door.knows_token(x_.header("Authorization"), x_.header("x-api-key"));
    if (access == Access::entrance) {
      if (where_from() == Witness::elsewhere || x_.header("X-Watra") != "1")
        throw foreign("coming in is this server's own page's; it sends X-Watra: 1");
      return;
    }
    if (x_.caller.has_token) return;
    const bool is_house = route ? access == Access::house : x_.dialect == Dialect::watra;
    if (is_house && shared_.entrance) return check_person();
    const std::string_view inner = shared_.router.inner(x_.path).value_or(x_.path);
    if (!route && is_read() && dialect_of(inner) == Dialect::openai && !inner.starts_with("/v1")) return;
    x_.extra_head += "WWW-Authenticate: Bearer\r\n";
    throw ApiError{.status = 401,
                   .code = "invalid_api_key",
                   .message = "this needs the server's token, as Authorization: Bearer or x-api-key"};
  }

  // The cookie counts only for requests of this very origin; writes carry X-Watra, which no form and no page from
  // elsewhere can send.
  void check_person() {
    const Witness from = where_from();
    if (from == Witness::elsewhere) throw foreign("this request comes from another page");
    x_.caller.session = shared_.entrance->session_of(x_.header("Cookie"));
    if (x_.caller.session.empty())
      throw ApiError{.status = 401,
                     .code = "session.needed",
                     .message = "come in first: with the password, or by the address `watra open` gives",
                     .beside = {{"password", shared_.entrance->has_password()}}};
    if (from != Witness::own_page) throw foreign("neither Origin nor Sec-Fetch-Site says where this comes from");
    if (!is_read() && x_.header("X-Watra") != "1") throw foreign("a write needs the header X-Watra: 1");
  }

  Exchange& x_;
  const Shared& shared_;
};

}  // namespace

CheckedRequest check_request(Exchange& x, const Shared& shared, const RequestHead& head) {
  return Check(x, shared).all(head);
}

ApiError body_too_large(const Route& route) {
  return {.status = 413,
          .code = "request_too_large",
          .message = fmt::format("the body is longer than {} bytes", route.max_body_bytes)};
}

ApiError server_stopping() {
  return {.status = 503, .code = "stopping", .message = "the server is stopping", .retry_after_s = 5};
}

}  // namespace watra::server
