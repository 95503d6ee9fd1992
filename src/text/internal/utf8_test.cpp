#include "text/internal/utf8.h"

#include <gtest/gtest.h>

namespace watra::text {
namespace {

TEST(Utf8, InvalidBytesBecomeOneReplacementPerMaximalSubpart) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(utf8_replace_invalid("a\xFF z"), "a" + r + " z");
  EXPECT_EQ(utf8_replace_invalid("\xC0\xAF"), r + r);          // overlong
  EXPECT_EQ(utf8_replace_invalid("\xED\xA0\x80"), r + r + r);  // surrogate
  EXPECT_EQ(utf8_replace_invalid("\xF0\x9F\x98"), r);          // cut at the end: one subpart
  EXPECT_EQ(utf8_replace_invalid("\xE4\xB8x"), r + "x");
  EXPECT_EQ(utf8_replace_invalid("\xF4\x90\x80\x80"), r + r + r + r);  // beyond U+10FFFF
  EXPECT_FALSE(utf8_is_valid("0123456789\xC2"));
  EXPECT_TRUE(
      utf8_is_valid("01234567\xC5\xBC"
                    "89 \xF0\x9F\x98\x80"));
}

TEST(Utf8, EveryCodePointSurvives) {
  for (char32_t c = 1; c < 0x110000; c += 7) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    utf8_append(text, c);
    ASSERT_TRUE(utf8_is_valid(text));
    const char* p = text.data();
    ASSERT_EQ(utf8_next(p), c);
    ASSERT_EQ(p, text.data() + text.size());
    ASSERT_EQ(utf8_previous(p), text.data());
    ASSERT_EQ(utf8_length(text[0]), text.size());
  }
}

}  // namespace
}  // namespace watra::text
