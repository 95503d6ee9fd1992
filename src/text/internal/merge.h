// The merge loop that byte-level BPE and SentencePiece BPE share: while any neighbours can merge, merge the pair of the
// best (lowest) rank, the leftmost among equals.
//
// A short word scans for its best pair; a long one keeps a heap over a linked list, so that the cost is n log n for any
// text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "text/internal/piece_map.h"

namespace watra::text {

// Splits "left right" at the space between; the left side may itself begin with a space. Nullopt if there is no such
// space.
std::optional<std::pair<std::string_view, std::string_view>> split_merge(std::string_view merge);

// Scratch memory of one encode call.
class Merger {
 public:
  // Merges `symbols` in place. Negative symbols never merge.
  void merge(const PairMap& pairs, std::vector<int32_t>& symbols);

 private:
  void merge_short(const PairMap& pairs, std::vector<int32_t>& symbols);
  void merge_long(const PairMap& pairs, std::vector<int32_t>& symbols);

  struct Link {
    int32_t previous, next;
    PairMap::Value pair;  // what this symbol and the next would become
  };
  std::vector<Link> links_;
  std::vector<uint64_t> heap_;
};

}  // namespace watra::text
