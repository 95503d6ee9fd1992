// Byte-level BPE: the text is cut into words (pretokenizer.h), each word's bytes merge by rank.
//
// Most words of ordinary text are one piece. A word that is spelled like a piece takes that piece if merging its bytes
// would end there, which is worked out once per piece and remembered. A long text also remembers its own last words:
// equal words, equal ids.

#include <atomic>

#include "text/internal/byte_alphabet.h"
#include "text/internal/merge.h"
#include "text/internal/nfc.h"
#include "text/internal/tokenizers.h"
#include "text/internal/word_cache.h"
#include "text/pretokenizer.h"

namespace watra::text {
namespace {

class Bpe final : public Tokenizer {
 public:
  Bpe(VocabSpec spec, Pretokenizer pretokenizer);
  Status load();

  void append_bytes(TokenId id, bool special, std::string& out) const override;

 protected:
  void encode_fragment(std::string_view text, std::vector<TokenId>& out) const override;

 private:
  struct Scratch {
    Merger merger;
    std::vector<TokenId> symbols;
  };
  void encode_word(std::string_view word, uint64_t hash, Scratch& scratch, std::vector<TokenId>& out) const;
  void merge_bytes(std::string_view word, Scratch& scratch) const;
  bool merges_to_itself(TokenId id, std::string_view word, Scratch& scratch) const;

  Pretokenizer pretokenizer_;
  std::vector<std::string> bytes_;  // by id: what a normal piece spells, empty for others
  PieceMap words_;                  // by those bytes
  TokenId byte_id_[256];
  PairMap pairs_;
  enum : uint8_t { kUnknown, kYes, kNo };
  std::unique_ptr<std::atomic<uint8_t>[]> whole_;  // by id: does merging its bytes give this id alone? Filled on demand
};

Bpe::Bpe(VocabSpec spec, Pretokenizer pretokenizer)
    : Tokenizer(std::move(spec)), pretokenizer_(std::move(pretokenizer)) {}

Status Bpe::load() {
  const auto n = static_cast<size_t>(n_vocab());
  bytes_.resize(n);
  words_.reserve(n);
  for (size_t id = 0; id < n; ++id) {
    const TokenType kind = type(static_cast<TokenId>(id));
    if (kind != TokenType::normal && kind != TokenType::unused) continue;
    if (auto bytes = ByteAlphabet::get().bytes(spec_.pieces[id])) bytes_[id] = std::move(*bytes);
  }
  for (size_t id = 0; id < n; ++id) {
    if (!bytes_[id].empty()) words_.insert(bytes_[id], static_cast<TokenId>(id));
  }
  size_t n_bytes = 0;
  for (int b = 0; b < 256; ++b) {
    const char c = static_cast<char>(b);
    byte_id_[b] = words_.find(std::string_view(&c, 1));
    n_bytes += byte_id_[b] >= 0;
  }
  if (n_bytes == 0) {
    return fail("text.bad_vocab", "no piece of the byte-level vocabulary spells a single byte",
                "convert the model again");
  }
  pairs_.reserve(spec_.merges.size());
  std::string joined;
  for (size_t rank = 0; rank < spec_.merges.size(); ++rank) {
    const auto sides = split_merge(spec_.merges[rank]);
    if (!sides) continue;
    const TokenId left = find_piece(sides->first);
    const TokenId right = find_piece(sides->second);
    joined.assign(sides->first).append(sides->second);
    const TokenId both = find_piece(joined);
    if (left >= 0 && right >= 0 && both >= 0) pairs_.insert(left, right, {static_cast<uint32_t>(rank), both});
  }
  std::vector<std::string>().swap(spec_.merges);  // as large as the vocabulary, and in pairs_ now
  whole_ = std::make_unique<std::atomic<uint8_t>[]>(n);
  return {};
}

void Bpe::encode_fragment(std::string_view text, std::vector<TokenId>& out) const {
  std::string normalized;
  if (pretokenizer_.family().nfc) text = to_nfc(text, normalized);
  std::vector<size_t> ends;
  ends.reserve(text.size() / 4 + 1);
  pretokenizer_.split(text, ends);

  Scratch scratch;
  WordCache cache(text.size());
  size_t begin = 0;
  for (const size_t end : ends) {
    const std::string_view word = text.substr(begin, end - begin);
    begin = end;
    const uint64_t hash = hash_bytes(word);
    if (cache.copy_known(word, hash, out)) continue;
    const size_t first_id = out.size();
    encode_word(word, hash, scratch, out);
    cache.remember(word, hash, first_id, out.size() - first_id);
  }
}

void Bpe::encode_word(std::string_view word, uint64_t hash, Scratch& scratch, std::vector<TokenId>& out) const {
  const TokenId id = words_.find(word, hash);
  if (id >= 0 && (spec_.ignore_merges || merges_to_itself(id, word, scratch))) {
    out.push_back(id);
    return;
  }
  merge_bytes(word, scratch);
  out.insert(out.end(), scratch.symbols.begin(), scratch.symbols.end());
}

void Bpe::merge_bytes(std::string_view word, Scratch& scratch) const {
  scratch.symbols.clear();
  for (const char c : word) {
    const TokenId id = byte_id_[static_cast<unsigned char>(c)];
    if (id >= 0) scratch.symbols.push_back(id);  // a byte the vocabulary cannot spell is dropped, as the reference does
  }
  scratch.merger.merge(pairs_, scratch.symbols);
}

bool Bpe::merges_to_itself(TokenId id, std::string_view word, Scratch& scratch) const {
  std::atomic<uint8_t>& known = whole_[static_cast<size_t>(id)];
  const uint8_t answer = known.load(std::memory_order_relaxed);
  if (answer != kUnknown) return answer == kYes;
  merge_bytes(word, scratch);
  const bool whole = scratch.symbols.size() == 1 && scratch.symbols[0] == id;
  known.store(whole ? kYes : kNo, std::memory_order_relaxed);
  return whole;
}

void Bpe::append_bytes(TokenId id, bool special, std::string& out) const {
  if (!is_valid(id)) return;
  switch (type(id)) {
    case TokenType::control:
    case TokenType::unknown:
      if (special) out += piece(id);
      return;
    case TokenType::user_defined:
      out += piece(id);
      return;
    default:
      break;
  }
  const std::string& bytes = bytes_[static_cast<size_t>(id)];
  out += bytes.empty() ? piece(id) : bytes;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_bpe(VocabSpec spec) {
  WATRA_ASSIGN(Pretokenizer pretokenizer, Pretokenizer::create(spec.pre));
  auto bpe = std::make_unique<Bpe>(std::move(spec), std::move(pretokenizer));
  WATRA_TRY(bpe->load());
  return bpe;
}

}  // namespace watra::text
