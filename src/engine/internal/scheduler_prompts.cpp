// What a pass says of the prompts it read: hidden states and probabilities, to those who ask (request.h).
#include <algorithm>

#include "engine/internal/scheduler_core.h"

namespace watra::engine::internal {

// Projecting hidden rows overwrites the pass's logits, so those are made again afterwards: the same bits.
Status SchedulerCore::tell_prompts() {
  if (std::ranges::none_of(members_, [](const Member& m) { return m.request->tells_prompt(); })) return {};
  const int64_t n_logits = forward_.n_logit_rows();
  int64_t with_logits = 0, hidden = n_logits;
  bool projected = false;
  for (const Member& m : members_) {
    LiveRequest& r = *m.request;
    const int64_t end = room_.n_cached(r), begin = std::max(end - m.n_rows, r.n_told);
    const int64_t n = std::min(end, r.n_prompt) - begin;
    if (r.tells_prompt() && n > 0) {
      // The row that wants logits stands among the first ones, the others follow.
      const int64_t n_hidden = n - (m.n_logits > 0 ? 1 : 0);
      WATRA_TRY(tell_prompt(r, hidden, n_hidden));
      hidden += n_hidden;
      if (m.n_logits > 0 && r.request.events.prompt_hidden)
        r.request.events.prompt_hidden(r.n_prompt - 1, forward_.hidden(with_logits));
      projected = projected || (r.request.events.prompt_token && n_hidden > 0);
      r.n_told = begin + n;
    }
    with_logits += m.n_logits;
  }
  if (projected && n_logits > 0) return forward_.project(0, n_logits);
  return {};
}

// Positions from n_told on, whose hidden rows are [first_hidden, first_hidden + n).
Status SchedulerCore::tell_prompt(LiveRequest& r, int64_t first_hidden, int64_t n) {
  const RequestEvents& events = r.request.events;
  if (events.prompt_hidden)
    for (int64_t i = 0; i < n; ++i) events.prompt_hidden(r.n_told + i, forward_.hidden(first_hidden + i));
  if (!events.prompt_token) return {};
  const int64_t n_most = forward_.options().max_logit_rows;
  for (int64_t i = 0; i < n; i += n_most) {
    const int64_t m = std::min(n - i, n_most);
    WATRA_TRY(forward_.project(first_hidden + i, m));
    for (int64_t j = 0; j < m; ++j) {
      const int64_t position = r.n_told + i + j + 1;
      if (position >= r.n_prompt) break;
      const TokenId token = r.tokens[static_cast<size_t>(position)];
      const auto seen = prompt_probs_.look(forward_.logits(j), token, r.request.n_prompt_probs);
      events.prompt_token({position, token, seen.logprob, seen.rank, seen.top});
    }
  }
  return {};
}

}  // namespace watra::engine::internal
