#include "server/house_session.h"

#include "home/ids.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

constexpr int64_t kLongestCode = 200, kLongestPassword = 256;

ApiError wrong(std::string message) { return {.status = 401, .code = "session.wrong", .message = std::move(message)}; }

// A text field of at most so many bytes of UTF-8 characters; absent is empty.
std::string text_field(const Fields& fields, std::string_view name, int64_t most) {
  std::string text = fields.text(name).value_or("");
  if (text.size() > static_cast<size_t>(4 * most))
    throw request_invalid(std::string(name), fmt::format("at most {} characters", most));
  return text;
}

// Throws 429 when `address` has tried too often, 401 when the password is not the one.
Awaitable<void> check_password(Entrance& entrance, SlowWork& slow, std::string password, std::string address) {
  if (const auto wait_s = entrance.count_try(address))
    throw ApiError{.status = 429,
                   .code = "session.wait",
                   .message = fmt::format("too many tries; the next one in {} s", *wait_s),
                   .retry_after_s = *wait_s};
  const auto compare = [&] { return house_value(entrance.people().is_password(password)); };
  const bool is_right = co_await slow.run(compare);
  if (!is_right) throw wrong("this is not the password");
  entrance.forget_tries(address);
}

Awaitable<void> come_in(Exchange& x, Entrance& entrance, SlowWork& slow) {
  const Json body = x.json();
  const Fields f(body);
  const std::string code = text_field(f, "code", kLongestCode), password = text_field(f, "password", kLongestPassword);
  if (code.empty() == password.empty()) throw request_invalid("code", "a code or a password, one of the two");
  if (!code.empty()) {
    if (!entrance.take_code(code)) throw wrong("this code was used, or is older than a minute");
  } else {
    co_await check_password(entrance, slow, password, x.caller.address);
  }
  // Who comes in again leaves the old session behind.
  const std::string before = entrance.session_of(x.header("Cookie"));
  if (!before.empty()) house_value(entrance.people().end_session(before));
  const auto begun = house_value(entrance.people().begin_session(device_name(x.header("User-Agent"))));
  x.extra_head += entrance.set_cookie(begun.secret);
  Json reply = {{"ok", true}};
  co_await x.reply_json(std::move(reply));
}

Awaitable<void> tell_session(Exchange& x, Entrance& entrance) {
  const auto session = house_value(entrance.people().session(x.caller.session));
  Json reply = {{"id", session ? session->id : "token"},
                {"since_ms", session ? session->since_ms : home::now_ms()},
                {"device", session ? session->device : "token"},
                {"password", entrance.has_password()},
                {"sessions", house_value(entrance.people().n_sessions())}};
  co_await x.reply_json(std::move(reply));
}

Awaitable<void> choose_password(Exchange& x, Entrance& entrance, SlowWork& slow) {
  const Json body = x.json();
  const Fields f(body);
  const std::string current = text_field(f, "current", kLongestPassword), password = f.required_text("password");
  if (house_value(entrance.people().has_password())) co_await check_password(entrance, slow, current, x.caller.address);
  const auto set = [&] { return entrance.people().set_password(password, x.caller.session); };
  const Status done = co_await slow.run(set);
  if (!done && done.error().code == "home.bad_password") throw request_invalid("password", "8..256 characters");
  house_value(done);
  co_await x.reply(204, "", "");
}

}  // namespace

std::string device_name(std::string_view user_agent) {
  static constexpr std::pair<std::string_view, std::string_view> kBrowsers[] = {
      {"Edg", "Edge"},          {"OPR/", "Opera"},    {"Vivaldi", "Vivaldi"},
      {"Firefox", "Firefox"},   {"FxiOS", "Firefox"}, {"CriOS", "Chrome"},
      {"Chromium", "Chromium"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}};
  static constexpr std::pair<std::string_view, std::string_view> kSystems[] = {
      {"iPhone", "iPhone"},   {"iPad", "iPad"},     {"Android", "Android"}, {"Windows", "Windows"},
      {"Macintosh", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}};
  const auto named = [&](const auto& list) {
    for (const auto& [part, name] : list)
      if (user_agent.find(part) != std::string_view::npos) return std::string(name);
    return std::string();
  };
  const std::string browser = named(kBrowsers), system = named(kSystems);
  if (!browser.empty() && !system.empty()) return browser + ", " + system;
  if (!browser.empty() || !system.empty()) return browser + system;
  return std::string(user_agent.substr(0, std::min(user_agent.find_first_of("/ "), size_t{60})));
}

void add_house_session(Router& router, Entrance& entrance, SlowWork& slow) {
  const auto add = [&router](const char* method, const char* path, Handler handler, Access access = Access::house) {
    router.add({.method = method,
                .pattern = std::string("/watra/v1") + path,
                .handler = std::move(handler),
                .dialect = Dialect::watra,
                .access = access,
                .max_body_bytes = 16 << 10});
  };
  add(
      "POST", "/session", [&entrance, &slow](Exchange& x) { return come_in(x, entrance, slow); }, Access::entrance);
  add("GET", "/session", [&entrance](Exchange& x) { return tell_session(x, entrance); });
  add("DELETE", "/session", [&entrance](Exchange& x) -> Awaitable<void> {
    house_value(entrance.people().end_session(x.caller.session));
    x.extra_head += entrance.set_cookie("");
    co_await x.reply(204, "", "");
  });
  add("DELETE", "/sessions", [&entrance](Exchange& x) -> Awaitable<void> {
    house_value(entrance.people().end_all_sessions());
    x.extra_head += entrance.set_cookie("");
    co_await x.reply(204, "", "");
  });
  add("PUT", "/password", [&entrance, &slow](Exchange& x) { return choose_password(x, entrance, slow); });
  // For `watra open`: who has the token may let a browser in.
  add(
      "POST", "/codes",
      [&entrance](Exchange& x) -> Awaitable<void> {
        Json reply = {{"code", entrance.make_code()}};
        co_await x.reply_json(std::move(reply), 201);
      },
      Access::token);
}

}  // namespace watra::server
