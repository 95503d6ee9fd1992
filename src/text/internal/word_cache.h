// WordCache: the words of one encode call and where their ids lie in its output, so that a word is merged once.
//
// Slots are overwritten, so memory is bounded; one per call, so there is nothing to lock.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocab_spec.h"

namespace watra::text {

class WordCache {
 public:
  // Short texts have few repeated words, and clearing the table would cost more than it saves.
  explicit WordCache(size_t text_bytes) {
    if (text_bytes >= 2048) slots_.resize(std::min<size_t>(std::bit_ceil(text_bytes / 16), 1 << 14));
  }

  // Appends the ids of a word that was remembered. `word` and what was remembered lie in one text that outlives the
  // cache.
  bool copy_known(std::string_view word, uint64_t hash, std::vector<TokenId>& out) const {
    if (slots_.empty() || word.size() > kMaxWord) return false;
    const Slot& slot = slots_[hash & (slots_.size() - 1)];
    if (slot.hash != hash || slot.word != word) return false;
    for (size_t i = 0; i < slot.n_ids; ++i) {
      const TokenId id = out[slot.first_id + i];
      out.push_back(id);
    }
    return true;
  }

  void remember(std::string_view word, uint64_t hash, size_t first_id, size_t n_ids) {
    if (!slots_.empty() && word.size() <= kMaxWord) slots_[hash & (slots_.size() - 1)] = {hash, word, first_id, n_ids};
  }

 private:
  static constexpr size_t kMaxWord = 64;
  struct Slot {
    uint64_t hash = 0;
    std::string_view word;
    size_t first_id = 0, n_ids = 0;
  };
  std::vector<Slot> slots_;
};

}  // namespace watra::text
