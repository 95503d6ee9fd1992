#include "text/internal/special_tokens.h"

#include <algorithm>

#include "text/internal/sentencepiece.h"

namespace watra::text {

SpecialTokens::SpecialTokens(const VocabSpec& spec) : is_user_defined_(spec.pieces.size()) {
  const auto is_special = [&](size_t id) {
    const TokenType type = spec.types[id];
    return type == TokenType::control || type == TokenType::user_defined || type == TokenType::unknown;
  };
  for (size_t id = 0; id < spec.types.size(); ++id) {
    if (!is_special(id)) continue;
    trie_.insert(spec.pieces[id], static_cast<TokenId>(id));
    is_user_defined_[id] = spec.types[id] == TokenType::user_defined;
    // SentencePiece looks for these after it has escaped the spaces, so a text may also write them escaped.
    if (is_user_defined_[id] && spec.kind == VocabKind::spm && spec.escape_whitespaces) {
      trie_.insert(escape_spaces(spec.pieces[id]), static_cast<TokenId>(id));
    }
  }
}

SpecialTokens::Match SpecialTokens::next(std::string_view text, size_t from, std::span<const ByteRange> plain) const {
  for (size_t i = from; i < text.size(); ++i) {
    if (!trie_.starts(static_cast<unsigned char>(text[i]))) continue;
    // the first plain range that ends after i; a control token must end before it begins
    const auto range =
        std::upper_bound(plain.begin(), plain.end(), i, [](size_t at, const ByteRange& r) { return at < r.end; });
    const size_t control_end = range == plain.end() ? text.size() : range->begin;
    Match best{i, i, kNoToken};
    int32_t node = 0;
    for (size_t j = i; j < text.size(); ++j) {
      node = trie_.step(node, static_cast<unsigned char>(text[j]));
      if (node == ByteTrie::kNone) break;
      const TokenId id = trie_.value(node);
      if (id == ByteTrie::kNone) continue;
      if (is_user_defined_[static_cast<size_t>(id)] || j + 1 <= control_end) best = {i, j + 1, id};
    }
    if (best.id != kNoToken) return best;
  }
  return {text.size(), text.size(), kNoToken};
}

}  // namespace watra::text
