#include "engine/forgetting.h"

#include <algorithm>

#include "kernels/ops.h"

namespace watra::engine {
namespace {

constexpr int64_t kParts = 4, kPage = kernels::kKvPage;

}  // namespace

Result<Forgetting> Forgetting::create(const Endless& asked, int64_t n_prompt, int64_t n_ctx) {
  const int64_t most_kept = n_ctx - kLeastBehind;
  if (asked.n_keep < -1 || asked.n_keep > most_kept)
    return fail("engine.bad_parameter",
                fmt::format("n_keep: needs -1 to {} in a context of {}, found {}", most_kept, n_ctx, asked.n_keep),
                "keep less, or a larger --ctx");
  if (asked.n_discard < 0)
    return fail("engine.bad_parameter", fmt::format("n_discard: needs 0 or more, found {}", asked.n_discard));
  // A prompt that is kept whole leaves room for an answer that is not forgotten at once.
  const int64_t wanted = asked.n_keep < 0 ? std::min(n_prompt, n_ctx - n_ctx / kParts) : asked.n_keep;
  const int64_t kept = std::clamp(wanted, std::min({kPage, n_ctx / kParts, most_kept}), most_kept);
  const int64_t behind = n_ctx - kept, quarter = behind / kParts;
  const int64_t whole = quarter >= kPage ? quarter / kPage * kPage : quarter;
  // What stays is read again each time: fewer than a page at once would read thousands of tokens for a few.
  const int64_t step = asked.n_discard > 0 ? std::clamp(asked.n_discard, std::min(kPage, quarter), behind - 1) : whole;
  return Forgetting(n_ctx, kept, step);
}

int64_t Forgetting::n_to_forget(int64_t n_tokens) const {
  const int64_t over = n_tokens - (n_ctx_ - 1);
  return over <= 0 ? 0 : (over + n_step_ - 1) / n_step_ * n_step_;
}

}  // namespace watra::engine
