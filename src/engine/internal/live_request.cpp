#include "engine/internal/live_request.h"

#include <algorithm>

namespace watra::engine::internal {

int64_t LiveRequest::forget() {
  const int64_t n = forgetting ? forgetting->n_to_forget(n_tokens()) : 0;
  if (n == 0) return 0;
  const int64_t n_kept = forgetting->n_kept();
  const auto first = tokens.begin() + n_kept;
  tokens.erase(first, first + n);
  keys.resize(std::min(keys.size(), static_cast<size_t>(n_kept / kernels::kKvPage)));
  n_run = std::max<int64_t>(n_run - n, 0);
  outcome.stats.n_forgotten += n;
  return n;
}

}  // namespace watra::engine::internal
