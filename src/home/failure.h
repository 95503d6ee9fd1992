// Failure: how errors travel inside home/. Every step of a transaction can fail; a thrown Failure rolls it back on the
// way out. guarded() stands at the module's edge and turns it into a Result: nothing thrown leaves home/.
#pragma once

#include <exception>
#include <type_traits>

#include "base/result.h"

namespace watra::home {

struct Failure {
  Error error;
};

[[noreturn]] inline void refuse(std::string code, std::string message, std::string hint = {}) {
  throw Failure{{std::move(code), std::move(message), std::move(hint)}};
}

// What a Result holds, or its error thrown.
template <class T>
T value_or_refuse(Result<T> result) {
  if (!result) throw Failure{std::move(result).error()};
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Runs f; what it throws becomes an error ("store.no_memory", "store.broken_row" for what no code of ours wrote).
template <class F>
auto guarded(F&& f) -> Result<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      f();
      return {};
    } else {
      return f();
    }
  } catch (Failure& failure) {
    return fail(std::move(failure.error));
  } catch (const std::bad_alloc&) {
    return fail("store.no_memory", "there is no memory for this");
  } catch (const std::exception& e) {
    return fail("store.broken_row", fmt::format("the store holds something that cannot be read: {}", e.what()));
  }
}

}  // namespace watra::home
