#include "base/closest_word.h"

#include <gtest/gtest.h>

#include <vector>

namespace watra {
namespace {

TEST(ClosestWord, CountsSlips) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "port"), 4u);
  EXPECT_EQ(edit_distance("port", "port"), 0u);
  EXPECT_EQ(edit_distance("prot", "port"), 1u);  // two neighbours changed places
  EXPECT_EQ(edit_distance("thread", "threads"), 1u);
  EXPECT_EQ(edit_distance("threadss", "threads"), 1u);
  EXPECT_EQ(edit_distance("pert", "port"), 1u);
  EXPECT_EQ(edit_distance("PORT", "port"), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);  // no part is edited twice
}

TEST(ClosestWord, FindsWhatWasMeant) {
  const std::vector<std::string> known = {"ctx", "threads", "port", "parallel", "temperature", "no-auth-for-tests"};
  EXPECT_EQ(closest_word("thread", known), "threads");
  EXPECT_EQ(closest_word("prot", known), "port");
  EXPECT_EQ(closest_word("Paralel", known), "parallel");
  EXPECT_EQ(closest_word("temp", known), "temperature");  // a beginning
  EXPECT_EQ(closest_word("ctx-size", known), "ctx");      // or more than the word
  EXPECT_EQ(closest_word("no-auth", known), "no-auth-for-tests");
  EXPECT_EQ(closest_word("cxt", known), "ctx");
}

TEST(ClosestWord, OffersNothingThatIsFar) {
  const std::vector<std::string> known = {"ctx", "threads", "port", "v", "n"};
  EXPECT_EQ(closest_word("colour", known), "");
  EXPECT_EQ(closest_word("x", known), "");  // any letter is one slip from any other
  EXPECT_EQ(closest_word("", known), "");
  EXPECT_EQ(closest_word("th", known), "");
  EXPECT_EQ(closest_word("port", {}), "");
}

TEST(ClosestWord, OfEquallyNearOnesTheFirst) {
  const std::vector<std::string> known = {"cat", "car"};
  EXPECT_EQ(closest_word("cab", known), "cat");
}

}  // namespace
}  // namespace watra
