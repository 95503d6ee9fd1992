#include "home/context.h"

#include <algorithm>

namespace watra::home {
namespace {

constexpr int64_t kTurnOverhead = 8;      // tokens a template writes around a message; real ones write 4 to 7
constexpr size_t kDroppedTold = 32;       // the rest follows from the tree
constexpr double kKeptWhenMoving = 0.75;  // of the room

}  // namespace

int64_t reserve_for(int64_t n_ctx, int64_t max_tokens) {
  constexpr int64_t kUsual = 1024;
  return max_tokens > 0 ? std::min(max_tokens, n_ctx / 2) : std::min(kUsual, n_ctx / 4);
}

Result<Context> choose_context(const ContextWish& wish, const CountTokens& count) {
  Context out;
  const int64_t room = wish.n_ctx - wish.reserve_tokens;
  const auto cost = [&](const std::string& text) { return count(text) + kTurnOverhead; };
  const auto add_words = [&](const char* what, const std::string& text) {
    if (text.empty()) return;
    out.entries.push_back(
        {.what = what, .role = "system", .text = text, .message = {}, .why = what, .n_tokens = cost(text)});
    out.used_tokens += out.entries.back().n_tokens;
  };
  add_words("persona", wish.persona);
  add_words("system", wish.system);
  if (wish.turns.empty()) return out;

  // Of the last turns all must be there; what comes before them is taken newest first.
  const auto turn = [&](size_t back) -> const ContextTurn& { return wish.turns[wish.turns.size() - 1 - back]; };
  const size_t n_must = std::clamp(wish.n_must, size_t{1}, wish.turns.size());
  std::vector<int64_t> costs;  // newest first
  int64_t used = out.used_tokens;
  bool reached = !wish.sees_from;
  while (costs.size() < n_must) {
    costs.push_back(cost(turn(costs.size()).text));
    used += costs.back();
    reached = reached || turn(costs.size() - 1).message == *wish.sees_from;
  }
  if (used > room)
    return fail("context.too_long",
                fmt::format("persona, system prompt and the last message have {} tokens, {} of the context's {} are "
                            "left for them",
                            used, room, wish.n_ctx),
                "a shorter message, or a model loaded with a longer context");
  while (costs.size() < wish.turns.size() && !(reached && wish.sees_from)) {
    const int64_t next = cost(turn(costs.size()).text);
    if (used + next > room) break;
    used += next;
    costs.push_back(next);
    reached = wish.sees_from && turn(costs.size() - 1).message == *wish.sees_from;
  }
  const bool all = costs.size() == wish.turns.size();
  if (!all && !(reached && wish.sees_from)) {  // the beginning must move
    const auto goal = static_cast<int64_t>(kKeptWhenMoving * static_cast<double>(room));
    while (costs.size() > n_must && used > goal) {
      used -= costs.back();
      costs.pop_back();
    }
  }
  // An answer without its question is no beginning.
  while (costs.size() > n_must && costs.size() < wish.turns.size() && turn(costs.size() - 1).role == "assistant") {
    used -= costs.back();
    costs.pop_back();
  }
  for (size_t back = costs.size(); back-- > 0;)
    out.entries.push_back({.what = "turn",
                           .role = turn(back).role,
                           .text = turn(back).text,
                           .message = turn(back).message,
                           .why = back > 0 && back >= n_must       ? "recent"
                                  : turn(back).role == "assistant" ? "begun"
                                                                   : "asked",
                           .n_tokens = costs[back]});
  for (size_t back = costs.size(); back < wish.turns.size() && out.dropped.size() < kDroppedTold; ++back)
    out.dropped.push_back({turn(back).message, "no_room", cost(turn(back).text)});
  out.used_tokens = used;
  out.sees_from = turn(costs.size() - 1).message;
  return out;
}

}  // namespace watra::home
