// Url: the part of RFC 3986 that downloads need: http and https, resolved redirects, safe names out of paths.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace watra::hub {

struct Url {
  std::string scheme;     // "http" or "https"
  std::string host;       // lower case; an IPv6 address without its brackets
  std::string port;       // always filled
  std::string target;     // path and query, beginning with '/'; no fragment
  std::string user_info;  // "user:password", decoded; only proxies use it

  bool is_tls() const { return scheme == "https"; }
  bool has_default_port() const { return port == (is_tls() ? "443" : "80"); }
  std::string authority() const;  // "host" or "host:port", as the Host header has it
  std::string path() const;       // target without its query
  std::string to_string() const;  // without user_info
  bool same_origin(const Url& o) const { return scheme == o.scheme && host == o.host && port == o.port; }
  bool is_loopback() const;
};

// Errors: "hub.bad_url".
Result<Url> parse_url(std::string_view text);

// A Location header against the URL that answered with it.
Result<Url> resolve_url(const Url& base, std::string_view reference);

// %XX for everything outside RFC 3986's unreserved characters; '/' kept when `keep_slash`.
std::string percent_encode(std::string_view text, bool keep_slash);
std::string percent_decode(std::string_view text);

// A name that came from outside as a file name: one component, no control characters, no leading dot, <= 200 bytes.
bool is_safe_file_name(std::string_view name);

// The file name of a Content-Disposition header (filename* before filename); empty when there is none.
std::string disposition_file_name(std::string_view header);

// True when `text` equals `other` but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view text, std::string_view other);
std::string to_lower(std::string_view text);

}  // namespace watra::hub
