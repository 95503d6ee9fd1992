#include "text/internal/nfc.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>

#include "text/internal/char_class.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

std::string nfc(std::string_view text) {
  std::string storage;
  return std::string(to_nfc(text, storage));
}

TEST(Nfc, PolishComposes) {
  EXPECT_EQ(nfc("z\xCC\x87o\xCC\x81\xC5\x82w"), "\xC5\xBC\xC3\xB3\xC5\x82w");  // żółw
  const std::string already = "Za\xC5\xBC\xC3\xB3\xC5\x82\xC4\x87";
  std::string storage;
  EXPECT_EQ(to_nfc(already, storage).data(), already.data()) << "text that is NFC is not copied";
}

TEST(Nfc, MarksAreOrderedHangulComposesSingletonsAreReplaced) {
  EXPECT_EQ(nfc("a\xCC\x81\xCC\xA3"), "\xE1\xBA\xA1\xCC\x81");             // a, acute, dot below: dot below comes first
  EXPECT_EQ(nfc("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB"), "\xED\x95\x9C");  // 한
  EXPECT_EQ(nfc("\xE2\x84\xAB"), "\xC3\x85");                              // angstrom sign
  EXPECT_EQ(nfc("\xE0\xA5\x98"), "\xE0\xA4\x95\xE0\xA4\xBC");              // a composition exclusion falls apart
  EXPECT_EQ(to_nfd("\xC5\xBC"), "z\xCC\x87");
}

TEST(Nfc, MarksLaterThanTheReferencesTablesStayInPlace) {
  const std::string text = "\xE0\xA7\xBE\xD6\x9A";  // U+09FE, class 230 since Unicode 11; U+059A, class 222
  EXPECT_EQ(nfc(text), text);
}

// Cutting at safe characters and sorting marks ourselves must change nothing (but for the marks of the test above).
TEST(Nfc, AgreesWithUtf8procOnRandomText) {
  std::mt19937 rng(3);
  static constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x20, 0x7E},   {0xC0, 0x24F},    {0x300, 0x36F},   {0x370, 0x3FF},   {0x590, 0x5FF},   {0x610, 0x65F},
      {0x900, 0xDFF}, {0x1100, 0x11FF}, {0x1E00, 0x1FFF}, {0x2100, 0x214F}, {0xAC00, 0xAD00}, {0xF900, 0xFAFF}};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t n = rng() % 16; n > 0; --n) {
      const auto [low, high] = kBlocks[rng() % std::size(kBlocks)];
      const char32_t c = low + rng() % (high - low + 1);
      if (c != 0x9FE && c != 0xC3C && c != 0xD3B && c != 0xD3C) utf8_append(text, c);
    }
    utf8proc_uint8_t* expected = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    ASSERT_NE(expected, nullptr);
    const std::string wanted(reinterpret_cast<char*>(expected));
    std::free(expected);
    ASSERT_EQ(nfc(text), wanted) << testing::PrintToString(text);
  }
}

TEST(Nfc, AMegabyteOfMarksInTheWrongOrderIsSortedAtOnce) {
  std::string text = "a";
  for (int i = 0; i < 250000; ++i) text += "\xCC\x81";  // class 230
  for (int i = 0; i < 250000; ++i) text += "\xCC\x96";  // class 220 belongs before it
  const std::string result = nfc(text);
  EXPECT_EQ(result.substr(0, 3), "\xC3\xA1\xCC") << "the acute still composes: nothing of its class stands between";
  EXPECT_EQ(result.size(), text.size() - 1);
}

TEST(CharClass, KnowsWhatTheReferenceKnows) {
  const CharClasses& classes = CharClasses::get();
  EXPECT_TRUE(is_letter(classes['a']) && is_letter(classes[0x105]) && is_letter(classes[0x4E2D]) &&
              is_letter(classes[0x1C89]));
  EXPECT_TRUE(is_number(classes['7']) && is_number(classes[0xBD]) && is_number(classes[0x661]));
  EXPECT_TRUE(is_mark(classes[0x301]) && !is_letter(classes[0x301]));
  EXPECT_TRUE(is_space(classes[0x3000]) && is_space(classes[0x85]) && !is_space(classes[0x180E]) &&
              !is_space(classes[0x200B]));
  EXPECT_EQ(classes[0x10FFFF], category::cn);
}

}  // namespace
}  // namespace watra::text
