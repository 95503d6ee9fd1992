#include "server/house_fields.h"

#include <algorithm>
#include <charconv>

#include "home/kept.h"

namespace watra::server {
namespace {

// What somebody else has written of a kept thing since it was read.
bool is_changed_meanwhile(std::string_view code) {
  return std::ranges::any_of(home::kept_kinds(),
                             [&](const home::KeptKind* kind) { return code == fmt::format("{}.changed", kind->name); });
}

}  // namespace

ApiError house_error(const Error& e) {
  ApiError error{.status = 500, .code = e.code, .message = e.message};
  if (e.code == "request.invalid") {  // "FIELD: needs ...", the hint says what is allowed (home/check.h)
    error.status = 400;
    error.param = e.message.substr(0, e.message.find(':'));
    error.more = {{"allowed", e.hint}};
    return error;
  }
  if (!e.hint.empty()) error.more = {{"hint", e.hint}};
  const auto ends = [&](std::string_view end) { return std::string_view(e.code).ends_with(end); };
  if (e.code == "store.busy" || e.code == "job.stopping" || e.code == "server.stopping" || e.code == "system.no_thread")
    error.status = 503;
  else if (e.code == "store.disk_full")
    error.status = 507;
  else if (ends(".unknown"))
    error.status = 404;
  else if (e.code == "request.too_large")
    error.status = 413;
  else if (e.code == "import.unreadable" || e.code == "context.too_long")
    error.status = 400;
  else if (ends(".busy") || ends(".no_room") || ends(".not_ours") || ends(".builtin") || ends(".full") ||
           ends(".empty") || is_changed_meanwhile(e.code))
    error.status = 409;
  return error;
}

ApiError request_invalid(std::string param, std::string allowed) {
  return {.status = 400,
          .code = "request.invalid",
          .message = fmt::format("{} needs {}", param, allowed),
          .param = std::move(param),
          .more = {{"allowed", allowed}}};
}

ApiError unknown(std::string_view kind, const std::string& id) {
  return {
      .status = 404, .code = fmt::format("{}.unknown", kind), .message = fmt::format("there is no {} {}", kind, id)};
}

ApiError in_the_way(std::string code, std::string message, std::string hint) {
  ApiError error{.status = 409, .code = std::move(code), .message = std::move(message)};
  if (!hint.empty()) error.more = {{"hint", std::move(hint)}};
  return error;
}

std::optional<std::string> query_text(const Exchange& x, std::string_view name) {
  std::string_view rest = x.query;
  while (!rest.empty()) {
    const size_t ampersand = rest.find('&');
    const std::string_view pair = rest.substr(0, ampersand);
    rest.remove_prefix(ampersand == std::string_view::npos ? rest.size() : ampersand + 1);
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    std::string raw(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1)), value;
    for (char& c : raw)
      if (c == '+') c = ' ';
    if (!percent_decode(raw, value)) throw request_invalid(std::string(name), "percent-encoded UTF-8");
    return value;
  }
  return std::nullopt;
}

std::optional<int64_t> query_integer(const Exchange& x, std::string_view name, int64_t least, int64_t most) {
  const auto text = query_text(x, name);
  if (!text || text->empty()) return std::nullopt;
  int64_t value = 0;
  const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (ec != std::errc() || end != text->data() + text->size() || value < least || value > most)
    throw request_invalid(std::string(name), most == std::numeric_limits<int64_t>::max()
                                                 ? fmt::format("an integer of at least {}", least)
                                                 : fmt::format("an integer from {} to {}", least, most));
  return value;
}

Route house_route(std::string method, std::string_view path, Handler handler) {
  return {.method = std::move(method),
          .pattern = "/watra/v1" + std::string(path),
          .handler = std::move(handler),
          .dialect = Dialect::watra,
          .access = Access::house};
}

}  // namespace watra::server
