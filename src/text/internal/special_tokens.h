// SpecialTokens: finds control and user-defined tokens written in a text, leftmost first, of those the longest.
#pragma once

#include <span>
#include <string_view>

#include "text/internal/byte_trie.h"
#include "text/tokenizer.h"

namespace watra::text {

class SpecialTokens {
 public:
  explicit SpecialTokens(const VocabSpec& spec);

  struct Match {
    size_t begin, end;
    TokenId id = kNoToken;
  };
  // The first match at or after `from`; id kNoToken if there is none. Control tokens only where they do not touch
  // `plain`.
  Match next(std::string_view text, size_t from, std::span<const ByteRange> plain) const;

 private:
  ByteTrie trie_;
  std::vector<bool> is_user_defined_;  // by id
};

}  // namespace watra::text
