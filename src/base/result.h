// Result<T>: every call that can fail for a reason outside the program returns one.
//
// An Error has a stable dotted code ("checkpoint.cut_file"), a message (what, needed, found) and a hint (what to try).
// Codes are part of the contract (`--json` prints them); messages and hints are for people and may change.
// Exceptions never cross a module edge; libraries never print, exit or abort. apps/ decide what to show.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace watra {

struct Error {
  std::string code;     // "module.reason", lower case
  std::string message;  // what was wanted, what was found
  std::string hint;     // what to try; may be empty

  // "error CODE: MESSAGE\n  try     HINT"
  std::string to_string() const;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{std::move(code), std::move(message), std::move(hint)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error e) { return tl::unexpected<Error>(std::move(e)); }

}  // namespace watra

#define WATRA_CONCAT_(a, b) a##b
#define WATRA_CONCAT(a, b) WATRA_CONCAT_(a, b)

// WATRA_TRY(expr): returns the error of a Status (or Result) from the calling function.
#define WATRA_TRY(expr)                                                         \
  do {                                                                          \
    auto watra_status_ = (expr);                                                \
    if (!watra_status_) return ::watra::fail(std::move(watra_status_).error()); \
  } while (0)

// WATRA_ASSIGN(decl, expr): declares `decl` from a Result's value or returns its error.
#define WATRA_ASSIGN(decl, expr) WATRA_ASSIGN_(WATRA_CONCAT(watra_result_, __LINE__), decl, expr)
#define WATRA_ASSIGN_(tmp, decl, expr)                    \
  auto tmp = (expr);                                      \
  if (!tmp) return ::watra::fail(std::move(tmp).error()); \
  decl = std::move(*tmp)
