// A small SentencePiece vocabulary for tests of grammars: control tokens, every byte, and some words.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>

#include "text/vocab_spec.h"

namespace watra::text {

// Ids in this order: controls (the first ends an answer), 256 bytes, words.
inline VocabSpec spm_of_bytes(std::initializer_list<const char*> controls, std::initializer_list<const char*> words) {
  VocabSpec spec;
  spec.kind = VocabKind::spm;
  const auto add = [&](std::string piece, TokenType type) {
    spec.pieces.push_back(std::move(piece));
    spec.types.push_back(type);
    spec.scores.push_back(-static_cast<float>(spec.pieces.size()));
  };
  for (const char* control : controls) add(control, TokenType::control);
  for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), TokenType::byte);
  for (const char* word : words) add(word, TokenType::user_defined);
  spec.eos = 0;
  spec.end_of_generation = {0};
  return spec;
}

}  // namespace watra::text
