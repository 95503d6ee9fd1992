// AskedMask: a grammar's mask that knows which field of the request asked for it, for errors that come while the answer
// is written.
#pragma once

#include <string>

#include "engine/grammar_mask.h"

namespace watra::server {

class AskedMask final : public engine::LogitMask {
 public:
  AskedMask(std::shared_ptr<const text::Grammar> grammar, std::string field)
      : mask_(std::make_unique<engine::GrammarMask>(std::move(grammar))), field_(std::move(field)) {}

  bool fill(std::span<uint32_t> bits) override { return mask_->fill(bits); }
  Status advance(text::TokenId token) override { return mask_->advance(token); }
  void rollback(size_t n) override { mask_->rollback(n); }
  std::unique_ptr<LogitMask> fork() const override {
    return std::unique_ptr<LogitMask>(new AskedMask(mask_->fork(), field_));
  }
  const std::string& field() const { return field_; }

 private:
  AskedMask(std::unique_ptr<engine::LogitMask> mask, std::string field)
      : mask_(std::move(mask)), field_(std::move(field)) {}
  std::unique_ptr<engine::LogitMask> mask_;
  std::string field_;
};

}  // namespace watra::server
