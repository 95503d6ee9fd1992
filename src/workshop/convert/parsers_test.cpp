// The small parsers of convert/: SentencePiece models, pre-tokenizer recognition, labels.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "source_folder.h"
#include "workshop/convert/family.h"
#include "workshop/convert/general_metadata.h"
#include "workshop/convert/pre_tokenizer.h"
#include "workshop/convert/sentencepiece_model.h"

namespace watra::workshop {
namespace {

using nlohmann::json;
const fs::path kGolden = fs::path(kSourceFolder) / "tests/golden";

TEST(SentencePieceModel, ReadsTheGoldenOne) {
  auto bytes = read_text_file(kGolden / "llama/tokenizer.model");
  ASSERT_TRUE(bytes);
  auto m = parse_sentencepiece_model(*bytes);
  ASSERT_TRUE(m) << m.error().to_string();
  EXPECT_TRUE(m->is_bpe);
  EXPECT_TRUE(m->add_dummy_prefix);
  ASSERT_EQ(m->pieces.size(), 320u);
  EXPECT_EQ(m->pieces[0].type, SentencePieceModel::Type::unknown);
  EXPECT_EQ(m->pieces[1].text, "<s>");
  EXPECT_EQ(m->pieces[1].type, SentencePieceModel::Type::control);
  EXPECT_EQ(m->pieces[3].text, "<0x00>");
  EXPECT_EQ(m->pieces[3].type, SentencePieceModel::Type::byte);
  EXPECT_EQ(m->pieces[259].score, 0.0f);
  EXPECT_EQ(m->pieces[260].score, -1.0f);
}

TEST(SentencePieceModel, EveryCutAndEveryByteChangedIsSafe) {
  auto whole = read_text_file(kGolden / "llama/tokenizer.model");
  ASSERT_TRUE(whole);
  for (size_t n = 0; n < whole->size(); ++n) {
    auto m = parse_sentencepiece_model(std::string_view(*whole).substr(0, n));
    EXPECT_TRUE(!m || m->pieces.size() <= 320u);
  }
  int refused = 0;
  for (size_t i = 0; i < whole->size(); ++i) {
    std::string spoiled = *whole;
    spoiled[i] = static_cast<char>(spoiled[i] ^ 0xff);
    refused += !parse_sentencepiece_model(spoiled);
  }
  EXPECT_GT(refused, 300);
}

TEST(SentencePieceModel, RefusesNonsense) {
  const std::string_view nonsense[] = {
      "",
      "\x0a",                                          // a piece without a length
      "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // longer than the file
      "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",  // endless varint
      "\x0b\x0c",                                      // a group
      std::string_view("\x02\x00", 2),                 // field number 0
      "\x0a\x02\x18\x09",                              // a piece of type 9
      "\x12\x00",                                      // no pieces
  };
  for (std::string_view bytes : nonsense) EXPECT_FALSE(parse_sentencepiece_model(bytes)) << json(bytes.size());
}

json split(const char* pattern, const char* behavior = "Isolated", bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", behavior}, {"invert", invert}};
}
json bytes(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}
json digits(bool one) { return {{"type", "Digits"}, {"individual_digits", one}}; }

std::string recognized(std::vector<json> steps, bool nfc = false, bool ignore_merges = false) {
  json t = {{"model", {{"ignore_merges", ignore_merges}}}, {"normalizer", nullptr}};
  if (nfc) t["normalizer"] = {{"type", "NFC"}};
  t["pre_tokenizer"] = steps.size() == 1 ? steps[0] : json{{"type", "Sequence"}, {"pretokenizers", steps}};
  auto name = recognize_pre_tokenizer(t);
  return name ? *name : name.error().code;
}

TEST(PreTokenizer, KnownStructures) {
  const char* three =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* one =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* tekken =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(recognized({split(three), bytes(false)}, false, true), "llama-bpe");
  EXPECT_EQ(recognized({split(three), bytes(false)}), "dbrx");
  EXPECT_EQ(recognized({split(three, "Removed", true), bytes(false)}), "dbrx");
  EXPECT_EQ(recognized({split(one), bytes(false)}, true), "qwen2");
  EXPECT_EQ(recognized({split(one), bytes(false)}), "deepseek-r1-qwen");
  EXPECT_EQ(recognized({split(tekken), bytes(false)}, false, true), "tekken");
  EXPECT_EQ(recognized({bytes(true)}), "gpt-2");
  EXPECT_EQ(recognized({digits(true), bytes(true)}), "smollm");
  EXPECT_EQ(recognized({digits(true), bytes(true)}, true), "command-r");
  EXPECT_EQ(recognized({split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"),
                        split("[一-龥ࠀ-一가-퟿]+"), digits(true), bytes(false)}),
            "deepseek-coder");
}

TEST(PreTokenizer, ANearMissIsRefused) {
  const char* no_tail =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+)";
  EXPECT_EQ(recognized({split(no_tail), bytes(false)}), "convert.unknown_pre_tokenizer");
  EXPECT_EQ(recognized({digits(false), bytes(true)}), "convert.unknown_pre_tokenizer");
  EXPECT_EQ(recognized({bytes(false)}), "convert.unknown_pre_tokenizer");
  EXPECT_EQ(recognized({json{{"type", "Whitespace"}}, bytes(true)}), "convert.unknown_pre_tokenizer");
  EXPECT_EQ(recognized({split("a", "MergedWithNext"), bytes(true)}), "convert.unknown_pre_tokenizer");
  EXPECT_EQ(recognized({json(5), bytes(true)}), "convert.unknown_pre_tokenizer");
  EXPECT_FALSE(recognize_pre_tokenizer(json::object()));
}

TEST(GeneralMetadata, Labels) {
  EXPECT_EQ(size_label(51424), "51K");
  EXPECT_EQ(size_label(494032768), "494M");
  EXPECT_EQ(size_label(1543714304), "1.5B");
  EXPECT_EQ(size_label(8030261248), "8.0B");
  EXPECT_EQ(size_label(70553706496), "71B");
  EXPECT_EQ(name_from_folder("/a/Qwen2.5-0.5B-instruct"), "Qwen2.5 0.5B Instruct");
  EXPECT_EQ(name_from_folder("/a/smollm2/"), "Smollm2");
}

TEST(TensorNames, Wrappers) {
  EXPECT_EQ(canonical_tensor_name("language_model.model.layers.0.x"), "model.layers.0.x");
  EXPECT_EQ(canonical_tensor_name("model.language_model.layers.0.x"), "model.layers.0.x");
  EXPECT_EQ(canonical_tensor_name("model.layers.0.x"), "model.layers.0.x");
  HfConfig text, multimodal;
  multimodal.is_multimodal = true;
  EXPECT_TRUE(is_left_out("model.layers.0.self_attn.rotary_emb.inv_freq", text));
  EXPECT_FALSE(is_left_out("vision_tower.x", text));
  EXPECT_TRUE(is_left_out("vision_tower.x", multimodal));
  EXPECT_FALSE(is_left_out("lm_head.weight", text));
}

}  // namespace
}  // namespace watra::workshop
