// Context: what of a conversation the model is given: persona, system words, and the newest turns that fit, with the
// reason for each. Pure: tokens are counted by whoever knows the model.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace watra::home {

struct ContextTurn {
  std::string message;  // id
  std::string role, text;
};

struct ContextWish {
  std::string persona, system;
  std::vector<ContextTurn> turns;  // oldest first; the last one is what is answered, or an answer that is gone on with
  size_t n_must = 1;               // so many of the last turns are there, or it is too long
  int64_t n_ctx = 0;
  int64_t reserve_tokens = 0;  // kept free for the answer
  // From where the last answer of this branch saw. It stays there while that fits, so that what is cached of the
  // conversation keeps its beginning; then it moves by a quarter of the room at once.
  std::optional<std::string> sees_from;
};

struct ContextEntry {
  std::string what;  // "persona", "system", "turn"
  std::string role, text;
  std::optional<std::string> message;
  std::string why;  // "persona", "system", "recent", "asked"; "begun": the answer that is gone on with
  int64_t n_tokens = 0;
};

struct DroppedTurn {
  std::string message, why;
  int64_t n_tokens = 0;
};

struct Context {
  std::vector<ContextEntry> entries;
  std::vector<DroppedTurn> dropped;  // the nearest of those that are not seen, newest first
  int64_t used_tokens = 0;
  std::optional<std::string> sees_from;
};

using CountTokens = std::function<int64_t(const std::string&)>;

// Error "context.too_long" (message has both numbers) when not even persona, system and the last turns fit.
Result<Context> choose_context(const ContextWish& wish, const CountTokens& count);

// Room for the answer: what it may be at most, but no more than half; a quarter where there is no limit, up to 1024.
int64_t reserve_for(int64_t n_ctx, int64_t max_tokens);

}  // namespace watra::home
