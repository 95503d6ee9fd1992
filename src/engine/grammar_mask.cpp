#include "engine/grammar_mask.h"

namespace watra::engine {

Status GrammarMask::advance(text::TokenId token) {
  if (matcher_.advance(token)) return {};
  return fail("engine.token_refused", fmt::format("the grammar does not allow token {} here", token));
}

}  // namespace watra::engine
