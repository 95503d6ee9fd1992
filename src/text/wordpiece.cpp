// WordPiece (BERT): words are cut at white space, punctuation and CJK characters; each word is covered from the left by
// the longest pieces that fit, or is unknown as a whole.
//
// In the file a piece that begins a word starts with U+2581, one that continues a word stands bare.

#include <utf8proc.h>

#include <algorithm>

#include "text/internal/char_class.h"
#include "text/internal/nfc.h"
#include "text/internal/piece_map.h"
#include "text/internal/sentencepiece.h"
#include "text/internal/tokenizers.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

constexpr size_t kMaxWordCharacters = 100;  // longer words are unknown (max_input_chars_per_word of the reference)

// Characters that are words of their own, as the reference lists them.
bool is_cjk(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class WordPiece final : public Tokenizer {
 public:
  explicit WordPiece(VocabSpec spec) : Tokenizer(std::move(spec)) {}
  void load();

  void append_bytes(TokenId id, bool special, std::string& out) const override;

 protected:
  void encode_fragment(std::string_view text, std::vector<TokenId>& out) const override;

 private:
  std::string normalize(std::string_view text) const;
  void encode_word(std::string_view word, std::vector<TokenId>& out) const;

  PieceMap begins_;     // pieces that begin a word, without their U+2581
  PieceMap continues_;  // pieces that continue one
  size_t longest_bytes_ = 0;
};

void WordPiece::load() {
  begins_.reserve(spec_.pieces.size());
  continues_.reserve(spec_.pieces.size());
  for (TokenId id = 0; id < n_vocab(); ++id) {
    std::string_view text = piece(id);
    if (type(id) == TokenType::control) continue;
    const bool begins = text.starts_with(kSpacePiece);
    if (begins) text.remove_prefix(kSpacePiece.size());
    (begins ? begins_ : continues_).insert(text, id);
    longest_bytes_ = std::max(longest_bytes_, text.size());
  }
}

// Cleans, decomposes and strips accents, folds case: what the reference's BertNormalizer does, white space made single
// spaces and CJK characters set apart later, in encode_fragment.
std::string WordPiece::normalize(std::string_view text) const {
  const CharClasses& classes = CharClasses::get();
  std::string clean;
  clean.reserve(text.size());
  for (const char *p = text.data(), *const end = p + text.size(); p < end;) {
    const char* const start = p;
    if (!(classes[utf8_next(p)] & kBertDrop)) clean.append(start, p);
  }
  if (spec_.strip_accents) clean = to_nfd(clean);
  if (!spec_.strip_accents && !spec_.lowercase) return clean;
  std::string out;
  out.reserve(clean.size());
  for (const char *p = clean.data(), *const end = p + clean.size(); p < end;) {
    const char32_t c = utf8_next(p);
    if (spec_.strip_accents && (classes[c] & kBertAccent)) continue;
    if (!spec_.lowercase) {
      utf8_append(out, c);
    } else if (c == 0x130) {
      out += "i\xCC\x87";  // the one character whose lower case is two
    } else {
      utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return out;
}

void WordPiece::encode_fragment(std::string_view raw, std::vector<TokenId>& out) const {
  const CharClasses& classes = CharClasses::get();
  const std::string text = normalize(raw);
  const char* word = text.data();
  const auto finish_word = [&](const char* end) {
    if (end > word) encode_word(std::string_view(word, static_cast<size_t>(end - word)), out);
  };
  for (const char *p = text.data(), *const end = p + text.size(); p < end;) {
    const char* const start = p;
    const char32_t c = utf8_next(p);
    const CharClass k = classes[c];
    const bool alone = (k & kBertPunct) || is_cjk(c);
    if (!alone && !is_space(k)) continue;
    finish_word(start);
    if (alone) encode_word(std::string_view(start, static_cast<size_t>(p - start)), out);
    word = p;
  }
  finish_word(text.data() + text.size());
}

void WordPiece::encode_word(std::string_view word, std::vector<TokenId>& out) const {
  const size_t first = out.size();
  const auto unknown = [&] {
    out.resize(first);
    if (spec_.unk != kNoToken) out.push_back(spec_.unk);
  };
  size_t characters = 0;
  for (size_t i = 0; i < word.size(); i += utf8_length(word[i])) {
    if (++characters > kMaxWordCharacters) return unknown();
  }
  for (size_t at = 0; at < word.size();) {
    const PieceMap& pieces = at == 0 ? begins_ : continues_;
    TokenId id = kNoToken;
    size_t end = std::min(word.size(), at + longest_bytes_);
    while (end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80)
      --end;  // not inside a character
    while (end > at) {
      id = pieces.find(word.substr(at, end - at));
      if (id >= 0) break;
      end = static_cast<size_t>(utf8_previous(word.data() + end) - word.data());
    }
    if (id < 0) return unknown();
    out.push_back(id);
    at = end;
  }
}

void WordPiece::append_bytes(TokenId id, bool special, std::string& out) const {
  if (!is_valid(id)) return;
  const TokenType kind = type(id);
  if (kind == TokenType::control || kind == TokenType::unknown) {
    if (special) out += piece(id);
  } else {
    append_unescaped(piece(id), out);
  }
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_wordpiece(VocabSpec spec) {
  auto wordpiece = std::make_unique<WordPiece>(std::move(spec));
  wordpiece->load();
  return wordpiece;
}

}  // namespace watra::text
