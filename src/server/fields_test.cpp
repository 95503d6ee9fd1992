#include "server/fields.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

template <class Call>
ApiError thrown(Call call) {
  try {
    call();
  } catch (const ApiError& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(ParseJson, RefusesDeepNestingBeforeBuildingIt) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(thrown([&] { parse_json(deep); }).status, 400);
  EXPECT_EQ(thrown([&] { parse_json(std::string(65, '[') + std::string(65, ']')); }).code, "invalid_json");
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).is_array());
}

TEST(ParseJson, BracketsInStringsDoNotNest) {
  const Json j = parse_json("{\"a\": \"" + std::string(500, '[') + "\\\"" + std::string(500, '{') + "\"}");
  EXPECT_EQ(j.at("a").get<std::string>().size(), 1001u);
}

TEST(ParseJson, RefusesWhatIsNotJsonOrNotUtf8) {
  for (const char* text : {"", "{", "{\"a\":}", "nul", "{\"a\": \"\xff\"}", "{\"a\": 1} x", "[1e999]"})
    EXPECT_EQ(thrown([&] { parse_json(text); }).status, 400) << text;
}

TEST(ParseJson, AnErrorQuotesNothing) {
  EXPECT_EQ(thrown([] { parse_json("{\"secret words"); }).message.find("secret"), std::string::npos);
}

TEST(Fields, NullIsAbsent) {
  const Json j = {{"a", nullptr}, {"b", 1}};
  const Fields f(j);
  EXPECT_FALSE(f.has("a"));
  EXPECT_FALSE(f.integer("a"));
  EXPECT_FALSE(f.text("missing"));
  EXPECT_EQ(f.integer("b"), 1);
}

TEST(Fields, WholeNumbersMayBeWrittenAsFloats) {
  const Json j = {{"a", 5.0}, {"b", 5.5}, {"c", 18446744073709551615ull}, {"d", -3}, {"e", true}};
  const Fields f(j);
  EXPECT_EQ(f.integer("a"), 5);
  EXPECT_EQ(f.integer("d"), -3);
  for (const char* name : {"b", "c", "e"}) EXPECT_EQ(thrown([&] { f.integer(name); }).param, name);
}

TEST(Fields, OutOfRangeIsRefusedNotClamped) {
  const Json j = {{"n", -1}, {"p", 1.5}};
  const Fields f(j);
  const ApiError e = thrown([&] { f.integer("n", 1, 64); });
  EXPECT_EQ(e.status, 400);
  EXPECT_EQ(e.param, "n");
  EXPECT_NE(e.message.find("from 1 to 64, found -1"), std::string::npos);
  EXPECT_EQ(thrown([&] { f.number("p", 0, 1); }).param, "p");
}

TEST(Fields, PlacesAreNamedAndTextsAreNotQuoted) {
  const Json j = {{"role", "private words"}, {"stop", {"a", 1}}};
  const Fields f(j, "messages[2]");
  const ApiError e = thrown([&] { f.integer("role"); });
  EXPECT_EQ(e.param, "messages[2].role");
  EXPECT_EQ(e.message.find("private"), std::string::npos);
  EXPECT_EQ(thrown([&] { f.texts("stop"); }).param, "messages[2].stop[1]");
}

TEST(Fields, WhatWasFoundIsToldShortened) {
  const auto told = [](const Json& value) {
    return thrown([&] { refuse_value("a[1].b", "a number", value); }).message;
  };
  EXPECT_EQ(told(true), "a[1].b needs a number, found true");
  EXPECT_EQ(told("red"), "a[1].b needs a number, found \"red\"");
  EXPECT_EQ(told(""), "a[1].b needs a number, found \"\"");
  EXPECT_EQ(told("\xC5\xBC"), "a[1].b needs a number, found a text") << "a word is ASCII";
  EXPECT_EQ(told(std::string(41, 'x')), "a[1].b needs a number, found a text");
  EXPECT_EQ(told(Json::array({1})), "a[1].b needs a number, found a list of 1");
  EXPECT_EQ(told(Json::object()), "a[1].b needs a number, found an empty object");
  EXPECT_EQ(told(nullptr), "a[1].b needs a number, found null");
  const Json stop = {{"stop", {"a", {{"b", 1}}}}};
  const ApiError e = thrown([&] { Fields(stop).texts("stop"); });
  EXPECT_EQ(e.param, "stop[1]");
  EXPECT_EQ(e.message, "stop[1] needs a text, found an object");
}

TEST(Fields, TheBodyMustBeAnObject) {
  const Json j = Json::array({1});
  EXPECT_EQ(thrown([&] { Fields f(j); }).status, 400);
}

}  // namespace
}  // namespace watra::server
