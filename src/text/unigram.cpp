// SentencePiece unigram: of all ways to cut a text into pieces, the one whose scores add up highest (Viterbi over the
// characters).
//
// The text is normalized first as the model's own table says (NFKC variants), white space folded, spaces become U+2581.

#include <algorithm>
#include <cfloat>

#include "text/internal/byte_trie.h"
#include "text/internal/charsmap.h"
#include "text/internal/sentencepiece.h"
#include "text/internal/tokenizers.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

constexpr float kUnknownPenalty = 10.0f;  // below the lowest score (SentencePiece, unigram_model.cc)

class Unigram final : public Tokenizer {
 public:
  Unigram(VocabSpec spec, Charsmap charsmap) : Tokenizer(std::move(spec)), charsmap_(std::move(charsmap)) {}
  void load();

  void append_bytes(TokenId id, bool special, std::string& out) const override;

 protected:
  void encode_fragment(std::string_view text, std::vector<TokenId>& out) const override;

 private:
  std::string normalize(std::string_view text) const;
  struct Normalized {
    std::string_view text;
    size_t consumed;
  };
  Normalized normalize_prefix(std::string_view text) const;
  float score(TokenId id, size_t bytes) const;
  void emit_unknown(std::string_view text, std::vector<TokenId>& out) const;

  Charsmap charsmap_;
  ByteTrie trie_;
  float min_score_ = 0, max_score_ = 0;
  TokenId byte_id_[256];
  bool has_bytes_ = false;
};

void Unigram::load() {
  std::fill(std::begin(byte_id_), std::end(byte_id_), kNoToken);
  min_score_ = FLT_MAX;
  max_score_ = -FLT_MAX;
  for (TokenId id = 0; id < n_vocab(); ++id) {
    const TokenType kind = type(id);
    const std::string& text = piece(id);
    if (kind == TokenType::normal) {
      min_score_ = std::min(min_score_, spec_.scores[static_cast<size_t>(id)]);
      max_score_ = std::max(max_score_, spec_.scores[static_cast<size_t>(id)]);
    }
    if (kind == TokenType::normal || kind == TokenType::user_defined) trie_.insert(text, id);
    if (const int byte = parse_byte_piece(text); kind == TokenType::byte && byte >= 0) byte_id_[byte] = id;
  }
  if (min_score_ > max_score_) min_score_ = max_score_ = 0;
  has_bytes_ = std::find(std::begin(byte_id_), std::end(byte_id_), kNoToken) == std::end(byte_id_);
}

Unigram::Normalized Unigram::normalize_prefix(std::string_view text) const {
  if (const auto match = charsmap_.longest(text)) return {match->replacement, match->length};
  const size_t n = utf8_prefix(text).length;  // a broken table may have left half a character
  return {text.substr(0, n), n};
}

// As SentencePiece's Normalizer: heading, doubled and trailing spaces go if the file says so; one space is put in front
// (or behind).
std::string Unigram::normalize(std::string_view text) const {
  const std::string_view space = spec_.escape_whitespaces ? kSpacePiece : " ";
  const bool fold = spec_.remove_extra_whitespaces;
  if (fold) {
    while (!text.empty()) {
      const Normalized first = normalize_prefix(text);
      if (first.text != " ") break;
      text.remove_prefix(first.consumed);
    }
  }
  std::string out;
  if (text.empty()) return out;
  out.reserve(text.size() * 3 / 2 + 8);
  if (spec_.add_space_prefix && !spec_.treat_whitespace_as_suffix) out += space;
  bool after_space = fold;
  while (!text.empty()) {
    const Normalized next = normalize_prefix(text);
    std::string_view part = next.text;
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    if (!part.empty()) {
      for (const char c : part) {
        if (c == ' ') {
          out += space;
        } else {
          out += c;
        }
      }
      after_space = fold && part.ends_with(' ');
    }
    text.remove_prefix(next.consumed);
  }
  if (fold) {
    while (std::string_view(out).ends_with(space)) out.resize(out.size() - space.size());
  }
  if (spec_.add_space_prefix && spec_.treat_whitespace_as_suffix) out += space;
  return utf8_is_valid(out) ? out : utf8_replace_invalid(out);
}

float Unigram::score(TokenId id, size_t bytes) const {
  if (type(id) == TokenType::user_defined) return static_cast<float>(static_cast<double>(bytes) * max_score_ - 0.1);
  return spec_.scores[static_cast<size_t>(id)];
}

void Unigram::encode_fragment(std::string_view raw, std::vector<TokenId>& out) const {
  const std::string text = normalize(raw);
  struct Best {
    float score = 0;
    TokenId id = kNoToken;
    size_t begin = SIZE_MAX;  // SIZE_MAX: not reached yet
  };
  std::vector<Best> best(text.size() + 1);  // the best way to end at each byte
  for (size_t at = 0; at < text.size();) {
    const float so_far = best[at].score;
    const size_t character = utf8_length(text[at]);
    const auto offer = [&](size_t end, float total, TokenId id) {
      Best& there = best[end];
      if (there.begin == SIZE_MAX || total > there.score) there = {total, id, at};
    };
    bool whole_character = false;
    int32_t node = 0;
    for (size_t end = at; end < text.size();) {
      node = trie_.step(node, static_cast<unsigned char>(text[end++]));
      if (node == ByteTrie::kNone) break;
      const TokenId id = trie_.value(node);
      if (id == ByteTrie::kNone) continue;
      offer(end, so_far + score(id, end - at), id);
      whole_character |= end - at == character;
    }
    if (!whole_character) offer(at + character, so_far + (min_score_ - kUnknownPenalty), spec_.unk);
    at += character;
  }

  std::vector<ByteRange> path;
  for (size_t end = text.size(); end > 0; end = best[end].begin) path.push_back({best[end].begin, end});
  bool after_unknown = false;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    const TokenId id = best[step->end].id;
    const bool unknown = id == spec_.unk;
    if (unknown && has_bytes_) {
      for (size_t i = step->begin; i < step->end; ++i) out.push_back(byte_id_[static_cast<unsigned char>(text[i])]);
    } else if (!(unknown && after_unknown) && id != kNoToken) {
      out.push_back(id);  // a run of unknown characters is one unknown token
    }
    after_unknown = unknown;
  }
}

void Unigram::append_bytes(TokenId id, bool special, std::string& out) const {
  if (!is_valid(id)) return;
  const std::string& text = piece(id);
  switch (type(id)) {
    case TokenType::control:
    case TokenType::unknown:
      if (special) out += text;
      return;
    case TokenType::user_defined:
      out += text;
      return;
    case TokenType::byte:
      if (const int byte = parse_byte_piece(text); byte >= 0)
        out += static_cast<char>(byte);
      else
        out += text;
      return;
    default:
      break;
  }
  append_unescaped(text, out);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_unigram(VocabSpec spec) {
  if (spec.scores.empty())
    return fail("text.bad_vocab", "a unigram vocabulary needs scores; this one has none", "convert the model again");
  WATRA_ASSIGN(Charsmap charsmap, Charsmap::parse(spec.precompiled_charsmap));
  auto unigram = std::make_unique<Unigram>(std::move(spec), std::move(charsmap));
  unigram->load();
  return unigram;
}

}  // namespace watra::text
