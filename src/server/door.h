// Door: who may ask. The token for programs, the list of Host names (against DNS rebinding), the list of foreign
// origins (none by default), and where a request comes from. People and their sessions: people.h. Immutable after
// create(); any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace watra::server {

struct DoorOptions {
  std::string host = "127.0.0.1";         // what is listened on
  std::vector<std::string> allow_hosts;   // further names for Host
  std::vector<std::string> cors_origins;  // exactly as browsers send them
  fs::path token_file;                    // made at first start
  std::string token;                      // given on the command line; replaces the file
  std::vector<std::string> more_tokens;   // which open as well
  bool lan = false;                       // other machines are let in; `host` is then what they reach
  bool has_password = false;              // which that needs
  bool tls = false;
  bool key_alone = false;  // there is no page: a token given here is the only door, and no password is asked for
  bool no_auth = false;    // for tests, on loopback only
};

// "127.0.0.1", "::1", "localhost": nothing outside this machine can reach it.
bool is_loopback(std::string_view host);
// The same of the value of a Host header, with a port or without.
bool is_loopback_host(std::string_view host);

// The token of the file, or a new random one written there with mode 0600. Error "server.bad_token_file".
Result<std::string> read_or_make_token(const fs::path& file);

// Where a request comes from, as its browser says: a program says nothing at all.
enum class Witness : uint8_t { own_page, elsewhere, nothing };

class Door {
 public:
  // Errors: "server.lan_needs_password", "server.lan_needs_key", "server.not_loopback" (they say what to do), those of
  // the token file, "server.bad_origin".
  static Result<Door> create(const DoorOptions& options);

  // The value of a Host header, port or not: one of ours? `local_address`: the address the client reached us at, which
  // is a name of ours too (rebinding needs a domain).
  bool knows_host(std::string_view host, std::string_view local_address = {}) const;
  // May this request in? Either header may carry the token.
  bool knows_token(std::string_view authorization, std::string_view x_api_key) const;
  // The origin may read answers (CORS).
  bool knows_origin(std::string_view origin) const;
  bool needs_token() const { return needs_token_; }
  bool is_tls() const { return is_tls_; }
  bool is_lan() const { return is_lan_; }

  // From the headers of a request whose Host is known. Origin and Sec-Fetch-Site must both say this very origin where
  // they are sent; browsers leave both out of a GET over plain HTTP from another machine, so Referer counts then.
  Witness where_from(std::string_view host, std::string_view origin, std::string_view fetch_site,
                     std::string_view referer) const;

 private:
  std::vector<std::string> hosts_, origins_;
  std::vector<std::string> tokens_;
  bool needs_token_ = true, is_tls_ = false, is_lan_ = false;
};

}  // namespace watra::server
