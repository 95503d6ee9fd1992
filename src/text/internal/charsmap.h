// Charsmap: SentencePiece's normalizer table ("precompiled_charsmap"): a double-array trie of character sequences, each
// with what it becomes. Reads a table that may come from anywhere: every index is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace watra::text {

class Charsmap {
 public:
  Charsmap() = default;  // maps nothing
  // Errors: "text.bad_vocab".
  static Result<Charsmap> parse(const std::vector<uint8_t>& table);

  struct Match {
    size_t length;
    std::string_view replacement;
  };
  // The longest sequence at the start of `text` that the table replaces.
  std::optional<Match> longest(std::string_view text) const;

 private:
  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

}  // namespace watra::text
