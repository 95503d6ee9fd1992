#include "server/entrance.h"

#include <algorithm>

#include "base/log.h"

namespace watra::server {
namespace {

constexpr int64_t kCookieLife_s = int64_t{400} * 24 * 3600;  // as long as browsers keep one
constexpr size_t kOpenCodes = 64;                            // more are given up, the oldest first

}  // namespace

Entrance::Entrance(home::People& people, Options options) : people_(people), options_(std::move(options)) {}

std::string Entrance::make_code() {
  const std::lock_guard lock(mutex_);
  const auto now = options_.now();
  std::erase_if(codes_, [&](const auto& code) { return code.second <= now; });
  while (codes_.size() >= kOpenCodes)
    codes_.erase(std::ranges::min_element(codes_, {}, [](const auto& c) { return c.second; }));
  std::string code = home::random_secret();
  codes_.emplace(code, now + options_.code_life);
  return code;
}

bool Entrance::take_code(const std::string& code) {
  const std::lock_guard lock(mutex_);
  const auto it = codes_.find(code);
  if (it == codes_.end()) return false;
  const bool in_time = options_.now() < it->second;
  codes_.erase(it);
  return in_time;
}

std::optional<int> Entrance::count_try(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto now = options_.now(), since = now - options_.tries_per;
  size_t n_all = 0;
  for (auto it = tries_.begin(); it != tries_.end();) {
    auto& times = it->second;
    while (!times.empty() && times.front() <= since) times.pop_front();
    n_all += times.size();
    it = times.empty() ? tries_.erase(it) : std::next(it);
  }
  auto& own = tries_[address];
  if (own.size() < options_.tries_of_one && n_all < options_.tries_of_all) {
    own.push_back(now);
    return std::nullopt;
  }
  Clock::time_point oldest = own.empty() ? now : own.front();
  if (own.empty()) tries_.erase(address);
  const auto wait = std::chrono::ceil<std::chrono::seconds>(oldest + options_.tries_per - now);
  return std::max(1, static_cast<int>(wait.count()));
}

void Entrance::forget_tries(const std::string& address) {
  const std::lock_guard lock(mutex_);
  tries_.erase(address);
}

std::string Entrance::session_of(std::string_view cookies) const {
  while (!cookies.empty()) {
    const size_t semicolon = cookies.find(';');
    std::string_view pair = cookies.substr(0, semicolon);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    cookies.remove_prefix(semicolon == std::string_view::npos ? cookies.size() : semicolon + 1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != cookie_name_) continue;
    const auto found = people_.find_session(pair.substr(equals + 1));
    if (!found) log::error("sessions cannot be looked up: {}", found.error().message);
    if (found && *found) return (*found)->id;
  }
  return {};
}

std::string Entrance::set_cookie(const std::string& secret) const {
  return fmt::format("Set-Cookie: {}={}; HttpOnly; SameSite=Strict; Path=/watra/v1; Max-Age={}{}\r\n", cookie_name_,
                     secret, secret.empty() ? 0 : kCookieLife_s, options_.secure_cookie ? "; Secure" : "");
}

bool Entrance::has_password() const { return people_.has_password().value_or(false); }

}  // namespace watra::server
