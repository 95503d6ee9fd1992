// GrammarDesk: compiles grammars for one model, away from the threads that decode and serve. Any strand may ask.
//
// One is compiled at a time. Each gets a short look first, the shortest shape before the others; what takes longer
// waits behind those that have had none yet. What nobody waits for any more is not begun.
#pragma once

#include <memory>

#include "server/exchange.h"
#include "text/grammar.h"

namespace watra::server {

class GrammarDesk {
 public:
  // `visible` and `memory` as GrammarCompiler has them.
  GrammarDesk(std::shared_ptr<const text::Tokenizer> tokenizer, std::vector<text::TokenId> visible,
              std::shared_ptr<MemoryBudget> memory);
  ~GrammarDesk();

  // Kept ones come at once. Throws ApiError, 400, naming `field`. The desk must outlive the waiting.
  Awaitable<std::shared_ptr<const text::Grammar>> compile(text::Shape shape, std::string field);

  size_t n_begun() const;  // compilations so far, first looks among them

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::server
