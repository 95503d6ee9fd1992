#include "model/vocab.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "checkpoint/gguf_writer.h"
#include "text/tokenizer.h"

namespace watra::model {
namespace {

using checkpoint::MetaArray;
using checkpoint::Metadata;
using checkpoint::MetaType;
using checkpoint::MetaValue;
using text::TokenType;
using text::VocabKind;

MetaValue string(std::string s) { return {MetaType::string, std::move(s)}; }
MetaValue boolean(bool b) { return {MetaType::boolean, b}; }
MetaValue number(uint64_t n) { return {MetaType::u32, n}; }
MetaValue strings(std::vector<std::string> values) {
  auto array = std::make_shared<MetaArray>();
  array->element_type = MetaType::string;
  array->strings = std::move(values);
  return {MetaType::array, std::shared_ptr<const MetaArray>(array)};
}
MetaValue types(std::vector<int64_t> values) {
  auto array = std::make_shared<MetaArray>();
  array->element_type = MetaType::i32;
  array->i64 = std::move(values);
  return {MetaType::array, std::shared_ptr<const MetaArray>(array)};
}
MetaValue scores(std::vector<double> values) {
  auto array = std::make_shared<MetaArray>();
  array->element_type = MetaType::f32;
  array->f64 = std::move(values);
  return {MetaType::array, std::shared_ptr<const MetaArray>(array)};
}

Metadata bpe(std::vector<std::string> pieces) {
  Metadata meta;
  meta.set("general.architecture", string("llama"));
  meta.set("tokenizer.ggml.model", string("gpt2"));
  meta.set("tokenizer.ggml.pre", string("llama-bpe"));
  meta.set("tokenizer.ggml.tokens", strings(std::move(pieces)));
  meta.set("tokenizer.ggml.merges", strings({"a b"}));
  return meta;
}

Metadata spm(std::vector<std::string> pieces) {
  const size_t n = pieces.size();
  Metadata meta;
  meta.set("general.architecture", string("llama"));
  meta.set("tokenizer.ggml.model", string("llama"));
  meta.set("tokenizer.ggml.tokens", strings(std::move(pieces)));
  meta.set("tokenizer.ggml.scores", scores(std::vector<double>(n, -1.0)));
  return meta;
}

class VocabTest : public testing::Test {
 protected:
  Result<text::VocabSpec> load(Metadata meta) {
    // Tests of one file may run at the same time, each in a process of its own.
    const fs::path path = fs::path(testing::TempDir()) /
                          fmt::format("vocab_{}.gguf", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    auto writer = checkpoint::GgufWriter::create(path, std::move(meta));
    if (!writer) return fail(writer.error());
    WATRA_TRY(writer->finish());
    WATRA_ASSIGN(auto file, checkpoint::Checkpoint::open(path));
    auto spec = load_vocab(file);
    fs::remove(path);
    return spec;
  }
  text::VocabSpec good(Metadata meta) {
    auto spec = load(std::move(meta));
    EXPECT_TRUE(spec) << spec.error().to_string();
    return spec ? *spec : text::VocabSpec{};
  }
  std::string refused(Metadata meta) {
    auto spec = load(std::move(meta));
    return spec ? "accepted" : spec.error().code;
  }
};

TEST_F(VocabTest, DefaultsOfEachKind) {
  const auto llama3 = good(bpe({"a", "b", "ab"}));
  EXPECT_EQ(llama3.kind, VocabKind::bpe);
  EXPECT_TRUE(llama3.add_bos && llama3.ignore_merges) << "what the family llama-bpe says";
  EXPECT_FALSE(llama3.add_space_prefix);
  EXPECT_EQ(llama3.bos, text::kNoToken) << "the default, 11, is no piece of this vocabulary";

  const auto llama = good(spm({"<unk>", "<s>", "</s>", "a"}));
  EXPECT_EQ(llama.kind, VocabKind::spm);
  EXPECT_TRUE(llama.add_bos && llama.add_space_prefix && !llama.add_eos);
  EXPECT_EQ(std::tuple(llama.unk, llama.bos, llama.eos), std::tuple(0, 1, 2));

  Metadata bert = spm({"[PAD]", "[CLS]", "[SEP]"});
  bert.set("tokenizer.ggml.model", string("bert"));
  const auto wordpiece = good(bert);
  EXPECT_EQ(wordpiece.kind, VocabKind::wordpiece);
  EXPECT_TRUE(wordpiece.add_bos && wordpiece.add_sep && wordpiece.lowercase && wordpiece.strip_accents);

  Metadata t5 = spm({"<pad>", "</s>", "<unk>"});
  t5.set("tokenizer.ggml.model", string("t5"));
  const auto unigram = good(t5);
  EXPECT_EQ(unigram.kind, VocabKind::unigram);
  EXPECT_TRUE(unigram.add_eos && !unigram.add_bos);

  Metadata none;
  none.set("tokenizer.ggml.model", string("no_vocab"));
  EXPECT_EQ(good(none).kind, VocabKind::none);
}

// Lists of floats where whole numbers belong, with what no whole number can be.
TEST_F(VocabTest, NumbersBeyondAllBoundsAreKeptInside) {
  const double infinity = std::numeric_limits<double>::infinity();
  Metadata meta = spm({"<unk>", "<s>", "</s>", "a", "b", "c"});
  meta.set("tokenizer.ggml.token_type", scores({2, 3e30, -3e30, infinity, std::nan(""), 6}));
  meta.set("tokenizer.ggml.precompiled_charsmap", scores({-1, 255, 256, 1e10, -infinity, std::nan("")}));
  const auto spec = good(meta);
  EXPECT_EQ(spec.types, (std::vector<TokenType>{TokenType::unknown, TokenType::normal, TokenType::control,
                                                TokenType::normal, TokenType::normal, TokenType::byte}));
  EXPECT_EQ(spec.precompiled_charsmap, (std::vector<uint8_t>{0, 255, 255, 255, 0, 0}));
  // Bytes written as signed ones are bytes.
  meta.set("tokenizer.ggml.precompiled_charsmap", types({-1, 127, -128}));
  EXPECT_EQ(good(meta).precompiled_charsmap, (std::vector<uint8_t>{255, 127, 128}));
}

TEST_F(VocabTest, KeysOfTheFileComeBeforeDefaults) {
  Metadata meta = spm({"<unk>", "<s>", "</s>", "a", "<bos>"});
  meta.set("tokenizer.ggml.bos_token_id", number(4));
  meta.set("tokenizer.ggml.add_bos_token", boolean(false));
  meta.set("tokenizer.ggml.add_eos_token", boolean(true));
  meta.set("tokenizer.ggml.add_space_prefix", boolean(false));
  meta.set("tokenizer.ggml.padding_token_id", number(99));
  const auto spec = good(meta);
  EXPECT_EQ(spec.bos, 4);
  EXPECT_TRUE(!spec.add_bos && spec.add_eos && !spec.add_space_prefix);
  EXPECT_EQ(spec.pad, text::kNoToken) << "an id outside the vocabulary is ignored";
}

TEST_F(VocabTest, TokensThatEndAnAnswerAreFoundByTheirSpelling) {
  Metadata meta = bpe({"a", "b", "ab", "<|endoftext|>", "<|im_end|>", "<|eom_id|>", "<|fim_prefix|>", "<|file_sep|>"});
  meta.set("tokenizer.ggml.token_type", types({1, 1, 1, 3, 1, 4, 3, 3}));
  meta.set("tokenizer.ggml.eos_token_id", number(3));
  const auto spec = good(meta);
  EXPECT_EQ(spec.end_of_generation, (std::vector<text::TokenId>{3, 4, 5, 7}));
  EXPECT_EQ(spec.eot, 4);
  EXPECT_EQ(spec.eom, 5);
  EXPECT_EQ(spec.fim_prefix, 6);
  EXPECT_EQ(spec.types[4], TokenType::control) << "a file that calls it normal is put right";
  EXPECT_EQ(spec.types[5], TokenType::control);
}

TEST_F(VocabTest, MarkupIsNotTheEndOfAnAnswer) {
  const auto gemma = good(spm({"<pad>", "<eos>", "<bos>", "</s>", "<end_of_turn>"}));
  EXPECT_FALSE(std::count(gemma.end_of_generation.begin(), gemma.end_of_generation.end(), 3))
      << "HTML's strike-through";
  EXPECT_TRUE(std::count(gemma.end_of_generation.begin(), gemma.end_of_generation.end(), 4));
  const auto harmony = good(bpe({"a", "b", "ab", "<|end|>", "<|return|>", "<|call|>"}));
  EXPECT_EQ(harmony.end_of_generation, (std::vector<text::TokenId>{4, 5}))
      << "<|end|> closes a message, not the answer";
}

TEST_F(VocabTest, FamilyIsTakenFromTheArchitectureOfOldFiles) {
  Metadata meta = bpe({"a", "b", "ab"});
  meta.erase("tokenizer.ggml.pre");
  meta.set("general.architecture", string("gptneox"));
  EXPECT_EQ(good(meta).pre, "gpt-neox");
  meta.set("general.architecture", string("llama"));
  EXPECT_EQ(good(meta).pre, "default");
}

TEST_F(VocabTest, BrokenFilesAreRefused) {
  Metadata meta;
  EXPECT_EQ(refused(meta), "model.bad_vocab");
  meta.set("tokenizer.ggml.model", string("rwkv"));
  EXPECT_EQ(refused(meta), "model.unknown_tokenizer");
  meta.set("tokenizer.ggml.model", string("llama"));
  EXPECT_EQ(refused(meta), "model.bad_vocab") << "no pieces";
  meta = spm({"a", "b"});
  meta.set("tokenizer.ggml.scores", scores({1.0}));
  EXPECT_EQ(refused(meta), "model.bad_vocab");
  meta = spm({"a", "b"});
  meta.set("tokenizer.ggml.token_type", types({1}));
  EXPECT_EQ(refused(meta), "model.bad_vocab");
  meta = bpe({"a"});
  meta.erase("tokenizer.ggml.merges");
  EXPECT_EQ(refused(meta), "model.bad_vocab");
}

TEST_F(VocabTest, WhatIsLoadedMakesATokenizer) {
  std::vector<std::string> pieces = {"<unk>", "<s>", "</s>", "\u2581", "a", "\u2581a"};
  Metadata meta = spm(pieces);
  meta.set("tokenizer.ggml.token_type", types({2, 3, 3, 1, 1, 1}));
  auto tokenizer = text::Tokenizer::create(good(meta));
  ASSERT_TRUE(tokenizer);
  EXPECT_EQ((*tokenizer)->encode("a a"), (std::vector<text::TokenId>{1, 5, 5}));
  EXPECT_TRUE((*tokenizer)->ends_generation(2));
}

}  // namespace
}  // namespace watra::model
