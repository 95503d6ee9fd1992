// must(): a Result's value, or the test ends here with the error's words. For tests alone.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include "base/result.h"

namespace watra {

template <class T>
T must(Result<T> r) {
  if (!r) {
    ADD_FAILURE() << r.error().to_string();
    std::abort();
  }
  return std::move(*r);
}
inline void must(const Status& s) {
  if (!s) ADD_FAILURE() << s.error().to_string();
}

}  // namespace watra
