// People: the one password of the house and the browsers that have come in. What a door does with them: server/.
//
// The password is kept as scrypt's hash, a session's secret (its cookie) as SHA-256: whoever reads the file can come in
// with neither. A session ends when told to, or when nobody used it for 90 days. Any thread may call; checking or
// setting a password takes about 0.1 s of a processor and 32 MiB.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "home/database.h"

namespace watra::home {

// 64 hex digits that nobody can guess. Throws Failure "home.no_randomness".
std::string random_secret();

struct Session {
  std::string id;  // opaque, may be shown
  int64_t since_ms = 0;
  std::string device;  // what its browser called itself
};

class People {
 public:
  explicit People(Database& db) : db_(db) {}

  Result<bool> has_password() const;
  Result<bool> is_password(std::string_view password) const;  // false when none is set
  // 8 to 256 characters (error "home.bad_password"). All sessions but `keep` end: who knew the old one is out.
  Status set_password(std::string_view password, std::string_view keep = {});

  struct Begun {
    Session session;
    std::string secret;  // for the cookie; told this once
  };
  Result<Begun> begin_session(std::string_view device);
  Result<std::optional<Session>> find_session(std::string_view secret) const;  // and marks it as used
  Result<std::optional<Session>> session(std::string_view id) const;
  Result<int64_t> n_sessions() const;
  Status end_session(std::string_view id);
  Status end_all_sessions();

  // Called after sessions have ended, by the thread that ended them; it must not block. One at a time; null = nobody.
  void on_end(std::function<void()> told);

 private:
  void tell_end() const;

  Database& db_;
  mutable std::mutex mutex_;  // of told_
  std::function<void()> told_;
};

}  // namespace watra::home
