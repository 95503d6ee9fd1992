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
  bool add_special = true;    // BOS/EOS (CLS/SEP) as the file says
  bool parse_special = true;  // control tokens written in the text become those tokens; false = they are plain text
};

// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin, end;
};

class Tokenizer {
 public:
  // Errors: "text.unknown_pre_tokenizer", "text.bad_vocab".
  static Result<std::unique_ptr<Tokenizer>> create(VocabSpec spec);
  virtual ~Tokenizer();

  // Bytes that are not UTF-8 are read as U+FFFD, one for each maximal subpart, as the reference does after a lossy
  // decoding. User-defined tokens are found in every text, control tokens as `parse_special` says: the leftmost first,
  // of those the longest.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const {
    return encode(text, {}, options);
  }

  // As above, but a control token is only one if it lies wholly outside the ranges `plain` (sorted, disjoint). What
  // lies between two special tokens is encoded as one text, whatever ranges it touches.
  std::vector<TokenId> encode(std::string_view text, std::span<const ByteRange> plain,
                              const EncodeOptions& options) const;

  // The bytes one token stands for when it is not the first of a text. Control tokens: their spelling if `special`,
  // else nothing.
  virtual void append_bytes(TokenId id, bool special, std::string& out) const = 0;
  std::string token_bytes(TokenId id, bool special = false) const {
    std::string bytes;
    append_bytes(id, special, bytes);
    return bytes;
  }
  // The whole text of `ids`, with what the tokenizer added in front (a space prefix) taken away again. Invalid UTF-8
  // stays as it is.
  std::string decode(std::span<const TokenId> ids, bool special = false) const;

  const VocabSpec& spec() const { return spec_; }
  int32_t n_vocab() const { return static_cast<int32_t>(spec_.pieces.size()); }
  bool is_valid(TokenId id) const { return id >= 0 && id < n_vocab(); }
  bool is_control(TokenId id) const;
  bool ends_generation(TokenId id) const;
  TokenId find_piece(std::string_view piece) const;  // exact spelling in the file, kNoToken if none
  // True if texts begin with a space that nobody wrote, so that decoding drops it.
  bool adds_leading_space() const;

 protected:
  explicit Tokenizer(VocabSpec spec);
  // Appends the ids of `text`: valid UTF-8, not empty, without special tokens.
  virtual void encode_fragment(std::string_view text, std::vector<TokenId>& out) const = 0;

  TokenType type(TokenId id) const {
    return spec_.types.empty() ? TokenType::normal : spec_.types[static_cast<size_t>(id)];
  }
  const std::string& piece(TokenId id) const { return spec_.pieces[static_cast<size_t>(id)]; }

  VocabSpec spec_;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

// Streaming detokenizer: feed tokens, get whole UTF-8 characters. What may still become a character is held back; what
// can no longer become one leaves as U+FFFD. One per answer; not thread-safe. Its buffers grow to the longest piece and
// stay: no allocation per token.
class Detokenizer {
 public:
  // `at_start`: the text begins here, so a SentencePiece space prefix is dropped from the first token.
  Detokenizer(const Tokenizer& tokenizer, bool at_start, bool special = false);
  // The characters that are complete now; valid until the next call.
  std::string_view feed(TokenId id);
  std::string_view finish();  // whatever was held back, invalid bytes as U+FFFD

 private:
  const Tokenizer& tokenizer_;
  bool at_start_;
  bool special_;
  std::string pending_;  // bytes that are not yet a whole character
  std::string out_;
};

}  // namespace watra::text
