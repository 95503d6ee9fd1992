// GrammarMask: a grammar as the engine's LogitMask. Grammars know nothing of engines, and the engine nothing of
// grammars.
#pragma once

#include "engine/logit_mask.h"
#include "text/grammar.h"

namespace watra::engine {

class GrammarMask final : public LogitMask {
 public:
  explicit GrammarMask(std::shared_ptr<const text::Grammar> grammar) : matcher_(std::move(grammar)) {}

  bool fill(std::span<uint32_t> bits) override { return matcher_.fill(bits); }
  Status advance(text::TokenId token) override;  // error "engine.token_refused"
  void rollback(size_t n) override { matcher_.rollback(n); }
  std::unique_ptr<LogitMask> fork() const override {
    return std::unique_ptr<LogitMask>(new GrammarMask(matcher_.fork()));
  }

 private:
  explicit GrammarMask(text::GrammarMatcher matcher) : matcher_(std::move(matcher)) {}
  text::GrammarMatcher matcher_;
};

}  // namespace watra::engine
