// Tokenizer: text to token ids and back, exactly as the model's own tokenizer does it.
//
// Immutable after create(); every function may be called from any thread. Linear in the length of the text.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/vocab_spec.h"

namespace watra::text {

struct EncodeOptions {
  bool add_special = true;     // BOS/EOS (CLS/SEP) as the file says
  bool parse_special = true;   // control tokens written in the text become those tokens; false = they are plain text
};

class Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> create(VocabSpec spec);
  virtual ~Tokenizer() = default;

  // Bytes that are not UTF-8 are encoded as the reference does (byte tokens, or U+FFFD).
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  // The bytes one token stands for when it is not the first of a text. Control tokens: their spelling if `special`, else nothing.
  virtual std::string token_bytes(TokenId id, bool special = false) const = 0;
  // The whole text of `ids`, with what the tokenizer added in front (a space prefix) taken away again. Invalid UTF-8 stays as it is.
  virtual std::string decode(std::span<const TokenId> ids, bool special = false) const = 0;

  const VocabSpec& spec() const { return spec_; }
  int32_t n_vocab() const { return static_cast<int32_t>(spec_.pieces.size()); }
  bool is_valid(TokenId id) const { return id >= 0 && id < n_vocab(); }
  bool is_control(TokenId id) const;
  bool ends_generation(TokenId id) const;
  TokenId find_piece(std::string_view piece) const;  // exact spelling in the file, kNoToken if none

 protected:
  explicit Tokenizer(VocabSpec spec);
  VocabSpec spec_;
};

// Streaming detokenizer: feed tokens, get whole UTF-8 characters. What may still become a character is held back; what can no
// longer become one leaves as U+FFFD. One per answer; not thread-safe.
class Detokenizer {
 public:
  // `at_start`: the text begins here, so a SentencePiece space prefix is dropped from the first token.
  Detokenizer(const Tokenizer& tokenizer, bool at_start, bool special = false);
  std::string feed(TokenId id);  // the characters that are complete now
  std::string finish();          // whatever was held back, invalid bytes as U+FFFD

 private:
  const Tokenizer& tokenizer_;
  bool at_start_;
  bool special_;
  std::string pending_;
};

}  // namespace watra::text
