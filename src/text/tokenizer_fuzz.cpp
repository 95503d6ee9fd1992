// Any bytes as text through every kind of tokenizer, and any bytes as a normalizer table.
//
//   byte 0: kind and family   byte 1: options and length of the table   table (unigram alone)   text
//
// Where nothing is normalized, decoding gives the text back with invalid bytes replaced.
#include <cstdlib>

#include "text/internal/byte_alphabet.h"
#include "text/internal/utf8.h"
#include "text/tokenizer.h"

namespace watra::text {
namespace {

VocabSpec make_spec(VocabKind kind, std::string_view pre) {
  VocabSpec spec;
  spec.kind = kind;
  spec.pre = pre;
  const auto add = [&](std::string piece, TokenType type, float score) {
    spec.pieces.push_back(std::move(piece));
    spec.types.push_back(type);
    spec.scores.push_back(score);
  };
  add("<unk>", TokenType::unknown, 0);
  add("<|end|>", TokenType::control, 0);
  add("\n\n", TokenType::user_defined, 0);
  spec.unk = 0;
  for (int b = 0; b < 256; ++b) {
    std::string piece;
    utf8_append(piece, ByteAlphabet::get().character(static_cast<unsigned char>(b)));
    if (kind == VocabKind::bpe) {
      add(piece, TokenType::normal, 0);
    } else {
      add(fmt::format("<0x{:02X}>", b), TokenType::byte, 0);
    }
  }
  for (const char* piece : {"ab", "abab", "\xC4\xA0\xC4\xA0", "aa", "aaa"}) add(piece, TokenType::normal, -1);
  for (const char* piece : {"\u2581", "a", "b", "\u2581a", "\u2581\u2581"}) {
    if (kind != VocabKind::bpe) add(piece, TokenType::normal, -2);
  }
  if (kind == VocabKind::bpe) spec.merges = {"a b", "ab ab", "\xC4\xA0 \xC4\xA0", "a a", "aa a"};
  spec.add_space_prefix = kind == VocabKind::spm || kind == VocabKind::unigram;
  spec.lowercase = spec.strip_accents = true;
  return spec;
}

constexpr const char* kFamilies[] = {"llama-bpe",      "smollm",  "gpt-4o",      "falcon",     "deepseek-llm",
                                     "deepseek-coder", "default", "deepseek-v3", "exaone-moe", "jais-2",
                                     "tiny_aya",       "bloom",   "tekken",      "qwen2"};

const Tokenizer& bpe(size_t family) {
  static std::unique_ptr<Tokenizer> made[std::size(kFamilies)];
  if (!made[family]) made[family] = std::move(*Tokenizer::create(make_spec(VocabKind::bpe, kFamilies[family])));
  return *made[family];
}

void check(const Tokenizer& tokenizer, std::string_view text, bool exact) {
  const auto ids = tokenizer.encode(text, {.add_special = false, .parse_special = true});
  for (const TokenId id : ids) {
    if (!tokenizer.is_valid(id)) std::abort();
  }
  if (exact && tokenizer.decode(ids, true) != utf8_replace_invalid(text)) std::abort();
  Detokenizer detokenizer(tokenizer, true, true);
  std::string streamed;
  for (const TokenId id : ids) streamed += detokenizer.feed(id);
  streamed += detokenizer.finish();
  if (!utf8_is_valid(streamed)) std::abort();
}

}  // namespace
}  // namespace watra::text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace watra::text;
  if (size < 2) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  static const auto spm = std::move(*Tokenizer::create(make_spec(VocabKind::spm, "")));
  static const auto wordpiece = std::move(*Tokenizer::create(make_spec(VocabKind::wordpiece, "")));
  switch (data[0] % 4) {
    case 0: {
      const size_t family = data[1] % std::size(kFamilies);
      check(bpe(family), text, std::string_view(kFamilies[family]) != "qwen2");
      break;
    }
    // A control token's space prefix and a literal U+2581 do not survive, so no exact round trip here.
    case 1:
      check(*spm, text, false);
      break;
    case 2:
      check(*wordpiece, text, false);
      break;
    default: {
      VocabSpec spec = make_spec(VocabKind::unigram, "");
      const size_t table = std::min<size_t>(text.size(), size_t{data[1]} * 4);
      spec.precompiled_charsmap.assign(data + 2, data + 2 + table);
      spec.remove_extra_whitespaces = data[0] & 4;
      if (const auto tokenizer = Tokenizer::create(std::move(spec))) check(**tokenizer, text.substr(table), false);
    }
  }
  return 0;
}
