// Entrance: how people come in: codes of addresses that open the page, tries of the password, and the cookie that
// carries a session. What is kept of it: home/people.h.
//
// A code is good once and for a minute; it is what `watra serve --open` and `watra open` put behind the # of an
// address. The cookie is named after the port, because cookies ignore ports and another program of this machine has its
// own. Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "home/people.h"

namespace watra::server {

class Entrance {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    bool secure_cookie = false;  // behind TLS
    std::chrono::seconds code_life{60};
    std::chrono::seconds tries_per{60};
    size_t tries_of_one = 5;  // of an address, and of all together
    size_t tries_of_all = 30;
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
  };
  Entrance(home::People& people, Options options);

  void set_port(uint16_t port) { cookie_name_ = "watra_" + std::to_string(port); }

  std::string make_code();
  bool take_code(const std::string& code);  // true once

  // Counts a try of the password from `address`; the seconds to wait when there were too many.
  std::optional<int> count_try(const std::string& address);
  void forget_tries(const std::string& address);

  // The id of the session whose cookie a Cookie header carries; "" = none.
  std::string session_of(std::string_view cookies) const;
  std::string set_cookie(const std::string& secret) const;  // the line of the reply's head; "" takes it away
  bool has_password() const;

  home::People& people() { return people_; }

 private:
  home::People& people_;
  const Options options_;
  std::string cookie_name_;
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> codes_;              // until when
  std::map<std::string, std::deque<Clock::time_point>> tries_;  // by address
};

}  // namespace watra::server
