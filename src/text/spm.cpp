// SentencePiece BPE: the characters of a text merge by the score of the piece they would become; what no piece covers
// falls back to byte tokens.
//
// There are no words in this scheme, the whole text is one. But two neighbours that stand side by side in no piece can
// never be merged across, so a text may be cut between them: before nearly every space. The stretches between cuts are
// then treated as byte-level BPE treats its words.

#include <algorithm>
#include <atomic>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "text/internal/merge.h"
#include "text/internal/sentencepiece.h"
#include "text/internal/tokenizers.h"
#include "text/internal/utf8.h"
#include "text/internal/word_cache.h"

namespace watra::text {
namespace {

// Every split of a piece is looked up while a vocabulary is loaded: of longer ones, which a damaged file may have, that
// would take hours. The longest in use have some 250 bytes.
constexpr size_t kLongestMergeable = 1024;

class Spm final : public Tokenizer {
 public:
  explicit Spm(VocabSpec spec) : Tokenizer(std::move(spec)) {}
  void load();

  void append_bytes(TokenId id, bool special, std::string& out) const override;

 protected:
  void encode_fragment(std::string_view text, std::vector<TokenId>& out) const override;

 private:
  struct Scratch {
    Merger merger;
    std::vector<TokenId> symbols;
    std::vector<std::string_view> unknown;  // characters in no piece; symbol -1 - i stands for unknown[i]
    bool after_unknown = false;             // a run of unknown characters is one unknown token
  };
  bool is_mergeable(TokenId id) const;
  TokenId symbol(std::string_view text) const;
  void rank_by_scores();
  void rank_by_merges();
  void learn_spelling(TokenId id);
  void find_unused_halves();
  std::string escape(std::string_view text) const;
  size_t next_cut(std::string_view text, size_t from) const;
  void encode_stretch(std::string_view stretch, uint64_t hash, Scratch& scratch, std::vector<TokenId>& out) const;
  bool merges_to_itself(TokenId id, std::string_view stretch, Scratch& scratch) const;
  void merge_characters(std::string_view stretch, Scratch& scratch) const;
  void emit(TokenId symbol, Scratch& scratch, std::vector<TokenId>& out) const;
  void emit_unknown(std::string_view character, Scratch& scratch, std::vector<TokenId>& out) const;

  PieceMap pieces_;  // by spelling: what characters may merge into
  std::unordered_map<std::string_view, TokenId>
      bare_;  // characters that stand in pieces but are none: ids from n_vocab() on
  std::vector<std::string_view> bare_by_id_;
  PairMap pairs_;
  TokenId byte_id_[256];
  bool has_bytes_ = false;
  std::unordered_set<char32_t> before_space_;  // characters that some piece has before a space: no cut there
  std::unordered_map<TokenId, std::pair<TokenId, TokenId>> unused_halves_;
  enum : uint8_t { kUnknown, kYes, kNo };
  std::unique_ptr<std::atomic<uint8_t>[]> whole_;  // by id: do its characters merge into it alone? Filled on demand
};

// Control tokens are written by the template alone, byte tokens stand for bytes: neither comes out of a merge.
bool Spm::is_mergeable(TokenId id) const {
  const TokenType kind = type(id);
  return (kind == TokenType::normal || kind == TokenType::user_defined || kind == TokenType::unused) &&
         !piece(id).empty() && piece(id).size() <= kLongestMergeable && utf8_is_valid(piece(id));
}

void Spm::load() {
  const TokenId n = n_vocab();
  std::fill(std::begin(byte_id_), std::end(byte_id_), kNoToken);
  pieces_.reserve(static_cast<size_t>(n));
  for (TokenId id = 0; id < n; ++id) {
    if (is_mergeable(id)) {
      pieces_.insert(piece(id), id);
    } else if (const int byte = parse_byte_piece(piece(id)); type(id) == TokenType::byte && byte >= 0) {
      byte_id_[byte] = id;
    }
  }
  has_bytes_ = std::find(std::begin(byte_id_), std::end(byte_id_), kNoToken) == std::end(byte_id_);
  for (TokenId id = 0; id < n; ++id) {
    if (is_mergeable(id)) learn_spelling(id);
  }
  if (spec_.merges.empty()) {
    rank_by_scores();
  } else {
    rank_by_merges();
  }
  find_unused_halves();
  std::vector<std::string>().swap(spec_.merges);  // larger than the vocabulary, and in pairs_ now
  whole_ = std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(n));
}

void Spm::learn_spelling(TokenId id) {
  const std::string_view text = piece(id);
  char32_t previous = kSpaceCharacter;
  for (const char *p = text.data(), *const end = p + text.size(); p < end;) {
    const char* const start = p;
    const char32_t c = utf8_next(p);
    if (c == kSpaceCharacter && previous != kSpaceCharacter) before_space_.insert(previous);
    previous = c;
    const std::string_view character(start, static_cast<size_t>(p - start));
    if (pieces_.find(character) < 0 &&
        bare_.try_emplace(character, n_vocab() + static_cast<TokenId>(bare_.size())).second) {
      bare_by_id_.push_back(character);
    }
  }
}

TokenId Spm::symbol(std::string_view text) const {
  const TokenId id = pieces_.find(text);
  if (id >= 0) return id;
  const auto bare = bare_.find(text);
  return bare == bare_.end() ? kNoToken : bare->second;
}

void Spm::rank_by_scores() {
  std::vector<float> scores = spec_.scores;
  scores.resize(spec_.pieces.size(), 0.0f);
  std::vector<float> order = scores;
  std::sort(order.begin(), order.end(), std::greater<float>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  pairs_.reserve(spec_.pieces.size() * 2);  // about two splits of a piece give two pieces
  for (TokenId id = 0; id < n_vocab(); ++id) {
    const std::string_view text = piece(id);
    if (!is_mergeable(id) || pieces_.find(text) != id) continue;
    const auto place =
        std::lower_bound(order.begin(), order.end(), scores[static_cast<size_t>(id)], std::greater<float>());
    const auto rank = static_cast<uint32_t>(place - order.begin());
    for (size_t i = utf8_length(text[0]); i < text.size(); i += utf8_length(text[i])) {
      const TokenId left = symbol(text.substr(0, i));
      if (left < 0) continue;
      const TokenId right = symbol(text.substr(i));
      if (right >= 0) pairs_.insert(left, right, {rank, id});
    }
  }
}

void Spm::rank_by_merges() {
  pairs_.reserve(spec_.merges.size());
  std::string joined;
  for (size_t rank = 0; rank < spec_.merges.size(); ++rank) {
    const auto sides = split_merge(spec_.merges[rank]);
    if (!sides) continue;
    joined.assign(sides->first).append(sides->second);
    const TokenId left = symbol(sides->first), right = symbol(sides->second), both = pieces_.find(joined);
    if (left >= 0 && right >= 0 && both >= 0) pairs_.insert(left, right, {static_cast<uint32_t>(rank), both});
  }
}

// An unused piece may be a step on the way to a larger one, but where a merge ends with it, it falls apart again.
void Spm::find_unused_halves() {
  Scratch left, right;
  for (TokenId id = 0; id < n_vocab(); ++id) {
    if (type(id) != TokenType::unused || !is_mergeable(id)) continue;
    const std::string_view text = piece(id);
    for (size_t i = utf8_length(text[0]); i < text.size(); i += utf8_length(text[i])) {
      merge_characters(text.substr(0, i), left);
      merge_characters(text.substr(i), right);
      if (left.symbols.size() != 1 || right.symbols.size() != 1) continue;
      if (left.symbols[0] < 0 || right.symbols[0] < 0) continue;
      if (pairs_.find(left.symbols[0], right.symbols[0]).id != id) continue;
      unused_halves_.try_emplace(id, left.symbols[0], right.symbols[0]);
    }
  }
}

// Spaces as U+2581, and the one that the file wants in front (or behind).
std::string Spm::escape(std::string_view text) const {
  std::string spaced;
  if (spec_.add_space_prefix && !spec_.treat_whitespace_as_suffix) spaced += ' ';
  spaced += text;
  if (spec_.add_space_prefix && spec_.treat_whitespace_as_suffix) spaced += ' ';
  return spec_.escape_whitespaces ? escape_spaces(spaced) : spaced;
}

// The next place after `from` where the text may be cut: before a space that follows a character no piece has before a
// space.
size_t Spm::next_cut(std::string_view text, size_t from) const {
  for (size_t at = text.find(kSpacePiece, from + 1); at != std::string_view::npos;
       at = text.find(kSpacePiece, at + 1)) {
    const char* p = utf8_previous(text.data() + at);
    const char32_t before = utf8_next(p);
    if (before != kSpaceCharacter && !before_space_.contains(before)) return at;
  }
  return text.size();
}

void Spm::encode_fragment(std::string_view text, std::vector<TokenId>& out) const {
  const std::string escaped = escape(text);
  Scratch scratch;
  WordCache cache(has_bytes_ ? escaped.size() : 0);  // without byte tokens, unknown tokens fuse across words
  for (size_t begin = 0; begin < escaped.size();) {
    const size_t end = next_cut(escaped, begin);
    const std::string_view stretch = std::string_view(escaped).substr(begin, end - begin);
    begin = end;
    const uint64_t hash = hash_bytes(stretch);
    if (cache.copy_known(stretch, hash, out)) continue;
    const size_t first_id = out.size();
    encode_stretch(stretch, hash, scratch, out);
    cache.remember(stretch, hash, first_id, out.size() - first_id);
  }
}

void Spm::encode_stretch(std::string_view stretch, uint64_t hash, Scratch& scratch, std::vector<TokenId>& out) const {
  const TokenId id = pieces_.find(stretch, hash);
  if (id >= 0 && merges_to_itself(id, stretch, scratch)) {
    emit(id, scratch, out);
    return;
  }
  merge_characters(stretch, scratch);
  for (const TokenId symbol : scratch.symbols) emit(symbol, scratch, out);
}

void Spm::merge_characters(std::string_view stretch, Scratch& scratch) const {
  scratch.symbols.clear();
  scratch.unknown.clear();
  for (size_t at = 0; at < stretch.size();) {
    const std::string_view character = stretch.substr(at, utf8_length(stretch[at]));
    at += character.size();
    TokenId id = symbol(character);
    if (id < 0) {
      scratch.unknown.push_back(character);
      id = -static_cast<TokenId>(scratch.unknown.size());
    }
    scratch.symbols.push_back(id);
  }
  scratch.merger.merge(pairs_, scratch.symbols);
}

bool Spm::merges_to_itself(TokenId id, std::string_view stretch, Scratch& scratch) const {
  std::atomic<uint8_t>& known = whole_[static_cast<size_t>(id)];
  const uint8_t answer = known.load(std::memory_order_relaxed);
  if (answer != kUnknown) return answer == kYes;
  merge_characters(stretch, scratch);
  const bool whole = scratch.symbols.size() == 1 && scratch.symbols[0] == id;
  known.store(whole ? kYes : kNo, std::memory_order_relaxed);
  return whole;
}

void Spm::emit(TokenId symbol, Scratch& scratch, std::vector<TokenId>& out) const {
  if (symbol < 0) {
    emit_unknown(scratch.unknown[static_cast<size_t>(-symbol - 1)], scratch, out);
  } else if (symbol >= n_vocab()) {
    emit_unknown(bare_by_id_[static_cast<size_t>(symbol - n_vocab())], scratch, out);
  } else if (const auto halves = unused_halves_.find(symbol); halves != unused_halves_.end()) {
    emit(halves->second.first, scratch, out);
    emit(halves->second.second, scratch, out);
  } else {
    out.push_back(symbol);
    scratch.after_unknown = false;
  }
}

void Spm::emit_unknown(std::string_view character, Scratch& scratch, std::vector<TokenId>& out) const {
  if (has_bytes_) {
    for (const char c : character) out.push_back(byte_id_[static_cast<unsigned char>(c)]);
  } else if (!scratch.after_unknown && spec_.unk != kNoToken) {
    out.push_back(spec_.unk);
    scratch.after_unknown = true;
  }
}

void Spm::append_bytes(TokenId id, bool special, std::string& out) const {
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

Result<std::unique_ptr<Tokenizer>> make_spm(VocabSpec spec) {
  if (spec.scores.empty() && spec.merges.empty()) {
    return fail("text.bad_vocab", "a SentencePiece vocabulary needs scores or merges; this one has neither",
                "convert the model again");
  }
  auto spm = std::make_unique<Spm>(std::move(spec));
  spm->load();
  return spm;
}

}  // namespace watra::text
