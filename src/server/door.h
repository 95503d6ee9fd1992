// Door: who may ask. The token for programs, the list of Host names (against DNS rebinding), the list of foreign
// origins (none by default). Immutable after create(); any thread.
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
  bool lan = false;
  bool no_auth = false;  // for tests, on loopback only
};

// "127.0.0.1", "::1", "localhost": nothing outside this machine can reach it.
bool is_loopback(std::string_view host);

// The token of the file, or a new random one written there with mode 0600. Error "server.bad_token_file".
Result<std::string> read_or_make_token(const fs::path& file);

class Door {
 public:
  // Errors: "server.lan_needs_password", "server.not_loopback" (both say what to do), those of the token file,
  // "server.bad_origin".
  static Result<Door> create(const DoorOptions& options);

  // The value of a Host header, port or not: one of ours?
  bool knows_host(std::string_view host) const;
  // May this request in? Either header may carry the token.
  bool knows_token(std::string_view authorization, std::string_view x_api_key) const;
  // The origin may read answers (CORS).
  bool knows_origin(std::string_view origin) const;
  bool needs_token() const { return needs_token_; }

 private:
  std::vector<std::string> hosts_, origins_;
  std::string token_;
  bool needs_token_ = true;
};

}  // namespace watra::server
