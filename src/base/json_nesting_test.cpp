#include "base/json_nesting.h"

#include <gtest/gtest.h>

#include <string>

namespace watra {
namespace {

TEST(JsonNesting, CountsWhatIsOpenAtOnce) {
  EXPECT_FALSE(nests_deeper("[[]]", 2));
  EXPECT_TRUE(nests_deeper("[[]]", 1));
  EXPECT_FALSE(nests_deeper("[{}, {}, []]", 2));
  EXPECT_TRUE(nests_deeper(std::string(65, '{'), 64));
}

TEST(JsonNesting, BracketsInStringsDoNotCount) {
  EXPECT_FALSE(nests_deeper(R"(["[[[[", "\"[[[["])", 1));
  EXPECT_TRUE(nests_deeper(R"(["\\", [1]])", 1));
  EXPECT_FALSE(nests_deeper(R"("[[[[ never closed)", 0));
}

TEST(JsonNesting, AnyTextMayBeAskedAbout) {
  EXPECT_FALSE(nests_deeper("", 0));
  EXPECT_FALSE(nests_deeper("]]]]", 0));
  EXPECT_FALSE(nests_deeper("\"\\", 0));
}

}  // namespace
}  // namespace watra
