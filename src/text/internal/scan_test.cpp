// Every scanner against its pattern, run by PCRE2, on random texts. Characters are drawn from blocks whose classes
// PCRE2's Unicode version and the reference's agree on.
#include "text/internal/scan.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/cpu_clock.h"
#include "text/internal/split_regex.h"
#include "text/internal/utf8.h"
#include "text/pretokenizer.h"

namespace watra::text {
namespace {

using Scan = size_t (*)(std::string_view, size_t);

std::vector<size_t> run(Scan scan, std::string_view text) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size();) ends.push_back(at = scan(text, at));
  return ends;
}

// \s as the reference has it.
std::string expand(std::string pattern) {
  const std::string space =
      "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";
  for (size_t at = 0; (at = pattern.find("\\s", at)) != std::string::npos;) {
    const size_t open = pattern.rfind('[', at), close = pattern.rfind(']', at);
    const bool in_class = open != std::string::npos && (close == std::string::npos || close < open);
    pattern.replace(at, 2, in_class ? space : "[" + space + "]");
    at += space.size();
  }
  for (size_t at = 0; (at = pattern.find("\\S", at)) != std::string::npos;) pattern.replace(at, 2, "[^" + space + "]");
  return pattern;
}

std::string random_text(std::mt19937& rng) {
  static constexpr char32_t kAwkward[] = {
      ' ',    ' ',    ' ',    '\n',    '\r',   '\t',  '\'',   '\'',   's',     'S',    'l',    'L',   'r',     'E',
      't',    'd',    'v',    'm',     0x17F,  'a',   'Z',    '1',    '2',     '3',    '0',    '/',   '.',     '!',
      '-',    '_',    0xA0,   0x3000,  0x2003, 0x85,  0x180E, 0x200B, 0x301,   0x300,  0x20E3, 0x105, 0x141,   0x4E2D,
      0x6587, 0x5D0,  0x627,  0x660,   0x915,  0x94D, 0xE01,  0xBD,   0xB2,    0x2167, 0x1C5,  0x2B0, 0x1F600, 0x1F3FD,
      0x200D, 0xFE0F, 0x2028, 0x1D7D8, 0xAC00, '$',   '+',    0xB4,   0x10400, 0x10428};
  std::string text;
  const size_t n = 1 + rng() % 24;
  for (size_t i = 0; i < n; ++i) {
    const char32_t c = kAwkward[rng() % std::size(kAwkward)];
    for (size_t repeat = rng() % 8 == 0 ? 1 + rng() % 5 : 1; repeat > 0; --repeat) utf8_append(text, c);
  }
  return text;
}

struct Rule {
  const char* name;
  Scan scan;
  const char* pattern;
};

constexpr const char* kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define PUNCTUATION "| ?[^\\s\\p{L}\\p{N}]+"

const Rule kRules[] = {
    {"gpt2", scan::gpt2, kGpt2},
    {"llama3", scan::llama3, CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1,3}" PUNCTUATION "[\\r\\n]*" SPACES},
    {"qwen2", scan::qwen2, CONTRACTION "|" LEAD "\\p{L}+|\\p{N}" PUNCTUATION "[\\r\\n]*" SPACES},
    {"number_runs", scan::number_runs, CONTRACTION "|" LEAD "\\p{L}+|\\p{N}+" PUNCTUATION "[\\r\\n]*" SPACES},
    {"qwen35", scan::qwen35, CONTRACTION "|" LEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES},
    {"no_contractions", scan::no_contractions, LEAD "\\p{L}+|\\p{N}" PUNCTUATION "[\\r\\n]*" SPACES},
    {"seed_coder", scan::seed_coder, CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" SPACES},
    {"gpt4o", scan::gpt4o,
     LEAD UPPER "*" LOWER "+" CONTRACTION "?|" LEAD UPPER "+" LOWER "*" CONTRACTION "?|\\p{N}{1,3}" PUNCTUATION
                "[\\r\\n/]*" SPACES},
    {"tekken", scan::tekken, LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}" PUNCTUATION "[\\r\\n/]*" SPACES},
    {"up_to_three_numbers", scan::up_to_three_numbers, "\\p{N}{1,3}"},
    {"numbers", scan::numbers, "\\p{N}+"},
    {"single_digits", scan::single_digits, "\\p{N}"},
    {"three_digits", scan::three_digits, "[0-9][0-9][0-9]"},
    {"digit_groups", scan::digit_groups, "\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?![\\p{L}\\p{M}\\p{Nd}\\p{Pc}]))"},
    {"default_punctuation", scan::default_punctuation, "[\\p{P}\\$\\+<=>\\^~\\|]+"},
    {"newlines", scan::newlines, "[\\r\\n]"},
    {"newline_runs", scan::newline_runs, "[^\\n]+|\\n+"},
};

class ScanTest : public testing::TestWithParam<Rule> {};

TEST_P(ScanTest, CutsWhereThePatternDoes) {
  const Rule& rule = GetParam();
  const SplitRegex regex(expand(rule.pattern));
  std::mt19937 rng(7);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng);
    std::vector<size_t> expected;
    regex.split(text, 0, expected);
    ASSERT_EQ(run(rule.scan, text), expected) << rule.name << ": " << testing::PrintToString(text);
  }
}

INSTANTIATE_TEST_SUITE_P(Patterns, ScanTest, testing::ValuesIn(kRules),
                         [](const auto& rule) { return rule.param.name; });

TEST(Scan, SingleDigitsStandAloneBeforeThePatternRuns) {
  const SplitRegex digits("\\p{N}"), words(expand(kGpt2));
  std::mt19937 rng(11);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = random_text(rng);
    std::vector<size_t> coarse, expected;
    digits.split(text, 0, coarse);
    size_t begin = 0;
    for (const size_t end : coarse) {
      words.split(std::string_view(text).substr(begin, end - begin), begin, expected);
      begin = end;
    }
    ASSERT_EQ(run(scan::gpt2_single_digits, text), expected) << testing::PrintToString(text);
  }
}

TEST(Scan, TrailingSpaceIsCutOff) {
  EXPECT_EQ(run(scan::trailing_space, "ab  "), (std::vector<size_t>{2, 4}));
  EXPECT_EQ(run(scan::trailing_space, "  "), (std::vector<size_t>{2}));
  EXPECT_EQ(run(scan::trailing_space, " a b"), (std::vector<size_t>{4}));
}

TEST(Scan, ByteDigitsKnowTheBytesThatLookLikeNumbers) {
  EXPECT_EQ(run(scan::byte_digits, "a12b"), (std::vector<size_t>{1, 3, 4}));
  EXPECT_EQ(run(scan::byte_digits, "\xC2\xBD"), (std::vector<size_t>{1, 2}));  // one half: C2 BD
}

constexpr const char* kFamilies[] = {
    "default",    "gpt-2",  "smollm",       "llama-bpe",      "qwen2",       "qwen35",     "gpt-4o",
    "tekken",     "falcon", "deepseek-llm", "deepseek-coder", "deepseek-v3", "bloom",      "viking",
    "exaone-moe", "jais-2", "tiny_aya",     "minicpm5",       "laguna",      "seed-coder", "command-r",
    "stablelm2",  "dbrx",   "chatglm-bpe",  "poro-chat",      "olmo",        "mpt"};

TEST(Pretokenizer, EveryFamilyCoversEveryText) {
  std::mt19937 rng(13);
  for (const char* name : kFamilies) {
    auto pretokenizer = Pretokenizer::create(name);
    ASSERT_TRUE(pretokenizer) << name;
    std::vector<size_t> ends;
    for (int i = 0; i < 500; ++i) {
      const std::string text = random_text(rng);
      pretokenizer->split(text, ends);
      ASSERT_EQ(ends.back(), text.size()) << name;
      for (size_t k = 1; k < ends.size(); ++k) ASSERT_LT(ends[k - 1], ends[k]) << name;
    }
  }
}

TEST(Pretokenizer, UnknownFamilyIsRefused) {
  const auto result = Pretokenizer::create("no-such-family");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, "text.unknown_pre_tokenizer");
}

// Texts that send a backtracking matcher astray: an eighth of a megabyte takes milliseconds, or minutes if the cost is
// quadratic.
TEST(Pretokenizer, IsLinearOnEveryPathologicalText) {
  const auto repeat = [](std::string_view unit, size_t bytes) {
    std::string text;
    while (text.size() < bytes) text += unit;
    return text;
  };
  for (const char* name : kFamilies) {
    auto pretokenizer = Pretokenizer::create(name);
    ASSERT_TRUE(pretokenizer);
    for (const std::string_view unit : {"a", "A", " ", "\n", "1", "!", "'", "aB", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80",
                                        "\xCC\x81", " \n", "a ", "\t"}) {
      for (const std::string_view tail : {"", "a", "\xE4\xB8\xAD"}) {
        const std::string text = repeat(unit, 1 << 17) + std::string(tail);
        std::vector<size_t> ends;
        const double start = thread_cpu_seconds();
        pretokenizer->split(text, ends);
        const double seconds = thread_cpu_seconds() - start;
        EXPECT_EQ(ends.back(), text.size());
        EXPECT_LT(seconds, 2) << name << " on " << testing::PrintToString(std::string(unit)) << " + " << tail;
      }
    }
  }
}

}  // namespace
}  // namespace watra::text
