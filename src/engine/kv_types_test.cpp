#include "engine/kv_types.h"

#include <gtest/gtest.h>

namespace watra::engine {
namespace {

TEST(KvTypes, OneTypeIsForKeysAndValuesOfAllLayers) {
  EXPECT_EQ(KvTypes().of(3), (KvPair{KvType::f16, KvType::f16}));
  const auto one = KvTypes::parse("q8_0");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->of(0), (KvPair{KvType::q8_0, KvType::q8_0}));
  const auto two = KvTypes::parse("q8_0,q4_0");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->of(77), (KvPair{KvType::q8_0, KvType::q4_0}));
  EXPECT_EQ(two->text(), "q8_0,q4_0");
}

TEST(KvTypes, LayersMayDifferAndTheLaterEntryCounts) {
  const auto types = KvTypes::parse("q4_0/0-2:q8_0/1:f16,f32/7:q8_0");
  ASSERT_TRUE(types);
  EXPECT_EQ(types->of(0), (KvPair{KvType::q8_0, KvType::q8_0}));
  EXPECT_EQ(types->of(1), (KvPair{KvType::f16, KvType::f32}));
  EXPECT_EQ(types->of(2), (KvPair{KvType::q8_0, KvType::q8_0}));
  EXPECT_EQ(types->of(3), (KvPair{KvType::q4_0, KvType::q4_0}));
  EXPECT_EQ(types->of(7), (KvPair{KvType::q8_0, KvType::q8_0}));
  EXPECT_EQ(types->text(), "q4_0/0-2:q8_0/1:f16,f32/7:q8_0");
  EXPECT_EQ(KvTypes::parse(types->text())->text(), types->text());
  EXPECT_EQ(KvTypes(KvType::q4_0, KvType::q4_0).with(3, 4, {KvType::q8_0, KvType::f16}).text(), "q4_0/3-4:q8_0,f16");
}

TEST(KvTypes, WhatCannotBeReadIsSaid) {
  for (const char* wrong :
       {"", "q3", "q8_0,", ",q8_0", "q8_0,q4_0,f16", "q8_0/", "q8_0/f16", "q8_0/-1:f16", "q8_0/2-1:f16", "q8_0/1-:f16",
        "q8_0/1:", "q8_0/1:q3", "q8_0/x:f16", "q8_0/1 :f16", "q8_0/99999999999:f16"}) {
    const auto types = KvTypes::parse(wrong);
    ASSERT_FALSE(types) << wrong;
    EXPECT_EQ(types.error().code, "usage.kv_type") << wrong;
    EXPECT_FALSE(types.error().hint.empty()) << wrong;
  }
}

TEST(KvTypes, LayersThatAreNotThereAreNamed) {
  const auto types = KvTypes::parse("q4_0/28-30:q8_0");
  ASSERT_TRUE(types);
  EXPECT_TRUE(types->check(31));
  const Status missing = types->check(30);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, "usage.kv_type");
  EXPECT_NE(missing.error().message.find("layer 30"), std::string::npos) << missing.error().message;
  EXPECT_NE(missing.error().message.find("0-29"), std::string::npos) << missing.error().message;
}

}  // namespace
}  // namespace watra::engine
