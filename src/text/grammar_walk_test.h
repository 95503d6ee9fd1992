// For tests of grammars: a vocabulary of bytes and words in pieces, so that characters and JSON are cut anywhere, and
// answers written byte by byte or by chance, in which no place is a dead end.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "text/grammar.h"
#include "text/spm_bytes_test.h"

namespace watra::text {

using Json = nlohmann::ordered_json;

constexpr TokenId kEnd = 0, kMarker = 1, kFirstByte = 2;

// SentencePiece with all bytes and some words that hold halves of characters' neighbours, quotes and braces.
inline std::shared_ptr<const Tokenizer> make_tokenizer() {
  VocabSpec spec = spm_of_bytes(
      {"</s>", "[TOOL_CALLS]"},
      {"{\"",  "\":", "\"}",    "}}", "{\"name\":", "true", "false", "null",        "12",           "3.5", "ąć",  "źle",
       "wór ", "abc", "\", \"", "]}", "[1,",        "\\u",  "\\n",   "<tool_call>", "</tool_call>", "  ",  "\n\n"});
  spec.add_space_prefix = false;
  auto made = Tokenizer::create(std::move(spec));
  EXPECT_TRUE(made) << made.error().to_string();
  return std::move(*made);
}

class GrammarTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Tokenizer> tokenizer_ = make_tokenizer();
  GrammarCompiler compiler_{tokenizer_, {kMarker}};

  GrammarMatcher matcher(const Shape& shape) {
    auto made = compiler_.compile(shape);
    EXPECT_TRUE(made) << made.error().to_string() << "\n" << shape.json().dump();
    return GrammarMatcher(*made);
  }
  GrammarMatcher schema_matcher(const char* schema) {
    auto shape = Shape::json_schema(Json::parse(schema));
    EXPECT_TRUE(shape) << shape.error().to_string();
    return matcher(*shape);
  }
  std::vector<uint32_t> bits(GrammarMatcher& m) const {
    std::vector<uint32_t> out(static_cast<size_t>(tokenizer_->n_vocab() + 31) / 32 + 2, 0xFFFFFFFF);
    if (!m.fill(out)) std::ranges::fill(out, 0xFFFFFFFF);
    return out;
  }
  static bool allows(const std::vector<uint32_t>& bits, TokenId id) {
    return (bits[static_cast<size_t>(id) / 32] >> (id % 32)) & 1u;
  }
  // Byte after byte; whether all of it was allowed, by mask and by advance alike.
  bool write(GrammarMatcher& m, std::string_view text) const {
    for (const char c : text) {
      const TokenId id = kFirstByte + static_cast<unsigned char>(c);
      const bool allowed = allows(bits(m), id);
      EXPECT_EQ(m.advance(id), allowed);
      if (!allowed) return false;
    }
    return true;
  }
  bool accepts(GrammarMatcher m, std::string_view text) const {
    if (!write(m, text)) return false;
    EXPECT_EQ(allows(bits(m), kEnd), m.complete());
    return m.complete();
  }
  // Any allowed token until the end comes; "" when it does not come.
  std::string walk(GrammarMatcher& m, std::mt19937& random, int most = 400) const {
    std::string text;
    for (int i = 0; i < most; ++i) {
      const auto allowed = bits(m);
      std::vector<TokenId> ids;
      for (TokenId id = 0; id < tokenizer_->n_vocab(); ++id)
        if (allows(allowed, id)) ids.push_back(id);
      if (ids.empty()) {
        ADD_FAILURE() << "nothing is allowed after: " << text;
        return text;
      }
      if (allows(allowed, kEnd) && (ids.size() == 1 || random() % 4 == 0)) return text;
      std::erase(ids, kEnd);
      // Closing what is open more often than not keeps walks short.
      TokenId id = ids[random() % ids.size()];
      for (const char c : {'"', '}', ']'})
        if (random() % 3 == 0 && allows(allowed, kFirstByte + c)) id = kFirstByte + c;
      EXPECT_TRUE(m.advance(id));
      text += tokenizer_->token_bytes(id, id == kMarker);
    }
    return {};
  }
};

}  // namespace watra::text
