// What the routes of /watra/v1 share: values of home/ or their error as the page knows it, and what a query says.
//
// Pure functions of what they are given; any thread may call, on an Exchange only its own strand. Errors are thrown as
// ApiError, with the codes of docs/api.md, section 1.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/router.h"

namespace watra::server {

// An error of home/ or hub/ as an answer: what is unknown is 404, what is in the way 409, a broken store 500.
ApiError house_error(const Error& error);

template <class T>
T house_value(Result<T> result) {
  if (!result) throw house_error(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// 400 that names the field and says what it takes.
ApiError request_invalid(std::string param, std::string allowed);
// 404 "<kind>.unknown".
ApiError unknown(std::string_view kind, const std::string& id);
// 409.
ApiError in_the_way(std::string code, std::string message, std::string hint = {});

// A value of the query, decoded; nothing when it is not there.
std::optional<std::string> query_text(const Exchange& x, std::string_view name);
// Throws 400 for what is no integer from `least` to `most`.
std::optional<int64_t> query_integer(const Exchange& x, std::string_view name, int64_t least,
                                     int64_t most = std::numeric_limits<int64_t>::max());

// A route of the page's own API; `path` begins behind /watra/v1.
Route house_route(std::string method, std::string_view path, Handler handler);

}  // namespace watra::server
