#include "text/tokenizer.h"

#include <algorithm>
#include <cmath>

#include "text/internal/char_class.h"
#include "text/internal/special_tokens.h"
#include "text/internal/tokenizers.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

Status check(const VocabSpec& spec) {
  const size_t n = spec.pieces.size();
  const auto bad = [](std::string message) {
    return fail("text.bad_vocab", std::move(message), "convert the model again");
  };
  if (n == 0) return bad("the vocabulary is empty");
  if (n > INT32_MAX / 2) return bad(fmt::format("the vocabulary has {} pieces", n));
  if (!spec.types.empty() && spec.types.size() != n) {
    return bad(fmt::format("{} token types for {} pieces", spec.types.size(), n));
  }
  if (!spec.scores.empty() && spec.scores.size() != n)
    return bad(fmt::format("{} scores for {} pieces", spec.scores.size(), n));
  if (std::any_of(spec.scores.begin(), spec.scores.end(), [](float score) { return std::isnan(score); })) {
    return bad("a score of the vocabulary is not a number");
  }
  for (const TokenId id : {spec.bos, spec.eos, spec.eot, spec.eom, spec.unk, spec.sep, spec.pad, spec.mask, spec.cls,
                           spec.fim_prefix, spec.fim_suffix, spec.fim_middle}) {
    if (id != kNoToken && (id < 0 || static_cast<size_t>(id) >= n)) {
      return bad(fmt::format("special token {} lies outside the {} pieces", id, n));
    }
  }
  return {};
}

// Replaces invalid bytes and moves the ranges along with their bytes.
std::string make_valid(std::string_view text, std::span<const ByteRange> plain, std::vector<ByteRange>& moved) {
  std::string out;
  size_t at = 0;
  for (const ByteRange& range : plain) {
    out += utf8_replace_invalid(text.substr(at, range.begin - at));
    const size_t begin = out.size();
    out += utf8_replace_invalid(text.substr(range.begin, range.end - range.begin));
    moved.push_back({begin, out.size()});
    at = range.end;
  }
  out += utf8_replace_invalid(text.substr(at));
  return out;
}

size_t skip_space(std::string_view text, size_t at) {
  const CharClasses& classes = CharClasses::get();
  while (at < text.size()) {
    const char* p = text.data() + at;
    if (!is_space(classes[utf8_next(p)])) break;
    at = static_cast<size_t>(p - text.data());
  }
  return at;
}

size_t skip_space_back(std::string_view text, size_t from, size_t at) {
  const CharClasses& classes = CharClasses::get();
  while (at > from) {
    const char* const start = utf8_previous(text.data() + at);
    const char* p = start;
    if (!is_space(classes[utf8_next(p)])) break;
    at = static_cast<size_t>(start - text.data());
  }
  return at;
}

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

struct Tokenizer::Tables {
  explicit Tables(const VocabSpec& spec) : special(spec) {
    pieces.reserve(spec.pieces.size());
    for (size_t id = 0; id < spec.pieces.size(); ++id) pieces.insert(spec.pieces[id], static_cast<TokenId>(id));
  }
  SpecialTokens special;
  PieceMap pieces;  // by their spelling in the file
};

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(VocabSpec spec) {
  if (spec.kind == VocabKind::none) {
    return fail("text.bad_vocab", "this model has no vocabulary", "it takes token ids or embeddings, not text");
  }
  WATRA_TRY(check(spec));
  switch (spec.kind) {
    case VocabKind::bpe:
      return make_bpe(std::move(spec));
    case VocabKind::spm:
      return make_spm(std::move(spec));
    case VocabKind::unigram:
      return make_unigram(std::move(spec));
    case VocabKind::wordpiece:
      return make_wordpiece(std::move(spec));
    case VocabKind::none:
      break;
  }
  return fail("text.bad_vocab", "unknown kind of vocabulary");
}

Tokenizer::Tokenizer(VocabSpec spec) : spec_(std::move(spec)), tables_(std::make_unique<const Tables>(spec_)) {}
Tokenizer::~Tokenizer() = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, std::span<const ByteRange> plain,
                                       const EncodeOptions& options) const {
  const ByteRange everything{0, text.size()};
  if (!options.parse_special) plain = {&everything, 1};
  std::string valid;
  std::vector<ByteRange> moved;
  if (!utf8_is_valid(text)) {
    valid = make_valid(text, plain, moved);
    text = valid;
    plain = moved;
  }

  std::vector<TokenId> out;
  out.reserve(text.size() / 4 + 4);
  // BERT's texts always stand between [CLS] and [SEP]: files say so, if at all, in the words of decoders (add_eos with
  // an eos that is [SEP]), and llama.cpp does not ask them.
  const bool is_wordpiece = spec_.kind == VocabKind::wordpiece;
  const TokenId first = is_wordpiece && spec_.cls != kNoToken ? spec_.cls : spec_.bos;
  if (options.add_special && (spec_.add_bos || is_wordpiece) && first != kNoToken) out.push_back(first);
  for (size_t at = 0; at < text.size();) {
    const SpecialTokens::Match match = tables_->special.next(text, at, plain);
    size_t end = match.begin;
    size_t next = match.end;
    if (match.id != kNoToken) {
      if (contains(spec_.strips_left, match.id)) end = skip_space_back(text, at, end);
      if (contains(spec_.strips_right, match.id)) next = skip_space(text, next);
    }
    if (end > at) encode_fragment(text.substr(at, end - at), out);
    if (match.id != kNoToken) out.push_back(match.id);
    at = next;
  }
  if (options.add_special && is_wordpiece) {
    if (spec_.sep != kNoToken) out.push_back(spec_.sep);
  } else if (options.add_special && spec_.add_eos && spec_.eos != kNoToken) {
    out.push_back(spec_.eos);
  }
  return out;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  for (const TokenId id : ids) append_bytes(id, special, text);
  if (adds_leading_space() && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

bool Tokenizer::is_control(TokenId id) const {
  return is_valid(id) && (type(id) == TokenType::control || type(id) == TokenType::unknown);
}

bool Tokenizer::ends_generation(TokenId id) const { return contains(spec_.end_of_generation, id); }

TokenId Tokenizer::find_piece(std::string_view piece) const { return tables_->pieces.find(piece); }

bool Tokenizer::adds_leading_space() const {
  if (spec_.kind == VocabKind::wordpiece) return true;  // every word's first piece stands for a space and the word
  if (spec_.kind == VocabKind::bpe) return false;
  return spec_.add_space_prefix && !spec_.treat_whitespace_as_suffix;
}

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool at_start, bool special)
    : tokenizer_(tokenizer), at_start_(at_start && tokenizer.adds_leading_space()), special_(special) {
  constexpr size_t kLongPiece = 256;  // bytes; longer pieces are rare
  pending_.reserve(kLongPiece);
  out_.reserve(kLongPiece);
}

std::string_view Detokenizer::feed(TokenId id) {
  out_.clear();
  const size_t n_held = pending_.size();
  tokenizer_.append_bytes(id, special_, pending_);
  if (pending_.size() == n_held) return {};
  if (at_start_ && pending_[0] == ' ') pending_.erase(0, 1);
  at_start_ = false;

  size_t i = 0;
  while (i < pending_.size()) {
    const Utf8Prefix prefix = utf8_prefix(std::string_view(pending_).substr(i));
    if (prefix.status == Utf8Status::incomplete) break;
    if (prefix.status == Utf8Status::complete) {
      out_.append(pending_, i, prefix.length);
    } else {
      out_ += kReplacement;
    }
    i += prefix.length;
  }
  pending_.erase(0, i);
  return out_;
}

std::string_view Detokenizer::finish() {
  if (pending_.empty()) return {};
  pending_.clear();  // at most three bytes, the beginning of one character
  return kReplacement;
}

}  // namespace watra::text
