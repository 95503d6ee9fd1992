// What stands beside other things in a schema, and patterns of strings: what is let through, that it is JSON, and that
// no place of an answer is a dead end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "text/grammar_walk_test.h"
#include "text/internal/string_pattern.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

class SchemaRulesTest : public GrammarTest {
 protected:
  // Answers written by chance; each is JSON.
  std::vector<Json> walks(const std::string& schema, int n = 30, int most = 400) {
    std::mt19937 random(17);
    std::vector<Json> out;
    for (int i = 0; i < n; ++i) {
      auto m = schema_matcher(schema.c_str());
      const std::string text = utf8_replace_invalid(walk(m, random, most));
      if (text.empty()) continue;
      Json value = Json::parse(text, nullptr, false);
      EXPECT_FALSE(value.is_discarded()) << schema << "\n" << text;
      if (!value.is_discarded()) out.push_back(std::move(value));
    }
    EXPECT_GT(out.size(), static_cast<size_t>(n) / 3) << schema;
    return out;
  }
  static Error refused(const char* schema, SchemaRule rule = SchemaRule::strict) {
    const auto shape = Shape::json_schema(Json::parse(schema), rule);
    EXPECT_FALSE(shape) << schema;
    return shape ? Error{} : shape.error();
  }
};

std::string of_pattern(const std::string& pattern) {
  return nlohmann::ordered_json({{"type", "string"}, {"pattern", pattern}}).dump();
}

TEST_F(SchemaRulesTest, CharactersThatJsonEscapesAreEscaped) {
  struct Case {
    const char* pattern;
    std::vector<const char*> good, bad;  // as JSON
  };
  const std::vector<Case> cases = {
      {R"(^"a"$)", {R"("\"a\"")"}, {R"(""a"")", R"("a")"}},
      {R"(^[A-Z]:\\\w+$)", {R"("C:\\Users")"}, {R"("C:\Users")", R"("C:Users")"}},
      {R"(^a\\b$)", {R"("a\\b")"}, {R"("a\b")"}},
      {R"(^[\\]$)", {R"("\\")"}, {R"("\")"}},
      {R"(^\n$)", {R"("\n")"}, {"\"\n\"", R"("n")"}},
      {"^\n$", {R"("\n")"}, {"\"\n\""}},
      {R"(^a\tb$)", {R"("a\tb")"}, {"\"a\tb\""}},
      {R"(^\u000a$)", {R"("\n")"}, {"\"\n\""}},
      {R"(^[\x00-\x1f]$)", {R"("\u0000")", R"("\u001f")", R"("\n")", R"("\u000a")"}, {R"("a")", R"("\"")", "\"\x01\""}},
      {R"(^\x22$)", {R"("\"")"}, {"\"\"\""}},
      {R"(^\cA\0[\b]$)", {R"("\u0001\u0000\b")"}, {R"("A")"}},
      {R"(^["'a]+$)", {R"("\"a'\"")"}, {"\"\"a\"", R"("\\")"}},
      {R"(^a("|\\)$)", {R"("a\"")", R"("a\\")"}, {R"("a")"}},
      {R"(^a("b)?$)", {R"("a")", R"("a\"b")"}, {R"("ab")"}},
      {R"(^[ -~]{2}$)", {R"("ab")", R"("\"\\")"}, {R"("a")", R"("ą!")", R"("\n\n")"}},
      {R"(^[^a]$)", {R"("b")", R"("ż")"}, {R"("a")", R"("\")", "\"\n\""}},
      {R"(^[^\u0020!#-\[\]-\u{10ffff}]$)", {R"("\"")", R"("\\")"}, {R"("a")"}},
      {R"(^.\S\W\D$)", {R"("ab-c")", R"("ąęśż")"}, {R"("ab-1")", R"("a -b")", "\"\n\n\n\n\""}},
      {R"(^"(ąę|\u{1f525})+$)", {R"("\"ąę🔥")"}, {R"("ąę")"}},
      {R"(^[\^]$)", {R"("^")"}, {R"("a")"}},
      {R"(^[\^-`]"$)", {R"("_\"")", R"("^\"")"}, {R"("a\"")", R"("-\"")"}},
      {R"(^[\]\-a\[+--]"?$)", {R"("]")", R"("-\"")", R"("[")", R"(",")"}, {R"("b")"}},
      {R"(^$|^abc$)", {R"("")", R"("abc")"}, {R"("ab")"}},
      {R"(^$)", {R"("")"}, {R"("a")"}},
      {R"((?i)^a"[b-d]$)", {R"("A\"C")", R"("a\"b")"}, {R"("A\"e")"}},
      {R"(^(?<q>"?)x{2,3}?$)", {R"("xx")", R"("\"xxx")"}, {R"("x")"}},
      {R"(^a{,2}$)", {R"("a{,2}")"}, {R"("aa")"}},
      {R"(^\/\.\-\_\@$)", {R"("/.-_@")"}, {}},
      {R"(^(\d{3}-){0,2}\w+\s?$)", {R"("123-456-ab ")"}, {R"("123-456-789-a")"}},
      {R"(^(a|)("|)$)", {R"("")", R"("a\"")", R"("a")"}, {R"("b")"}},
      {R"(^.{1,200}$)", {R"("zażółć")"}, {R"("")", "\"a\n\"", R"("a\n")", "\"\"a\""}}};
  for (const Case& c : cases) {
    const std::string schema = of_pattern(c.pattern);
    for (const char* good : c.good)
      EXPECT_TRUE(accepts(schema_matcher(schema.c_str()), good)) << schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(schema.c_str()), bad)) << schema << "\n" << bad;
    for (const Json& value : walks(schema, 12)) {
      const PatternMatch m = pattern_matches(c.pattern, value.get<std::string>());
      EXPECT_TRUE(m.is_known && m.matches) << schema << "\n" << value.dump();
    }
  }
}

TEST_F(SchemaRulesTest, PairsOfSurrogatesAreOneCharacter) {
  EXPECT_TRUE(accepts(schema_matcher(of_pattern(R"(^\ud83d\ude00{2}$)").c_str()), R"("😀😀")"));
}

TEST_F(SchemaRulesTest, NamesOfMembersAreEscapedToo) {
  constexpr const char* kSchema =
      R"({"type":"object","patternProperties":{"^\"[a-c]\\\\$":{"type":"integer","maximum":9,"minimum":0}},"minProperties":1})";
  EXPECT_TRUE(accepts(schema_matcher(kSchema), R"({"\"a\\":1})"));
  EXPECT_FALSE(accepts(schema_matcher(kSchema), R"({""a\":1})"));
  for (const Json& value : walks(kSchema))
    for (const auto& [name, v] : value.items()) EXPECT_TRUE(name.starts_with('"') && name.ends_with('\\')) << name;
}

TEST_F(SchemaRulesTest, PatternsThatCannotBeReadAreNamed) {
  for (const char* pattern : {R"(^(?=a)b$)", R"(\bword\b)", R"(^(a)\1$)", R"(\p{L}+)", "[", "(a", "a**", "[]", R"(a\)",
                              R"([z-a])", R"(a^b)", R"(a$b)", R"(^\Z$)", R"(^(?<!a)b$)", "a{3,2}", R"(\ud800)"}) {
    const Error e = refused(of_pattern(pattern).c_str());
    EXPECT_EQ(e.code, "grammar.unsupported_schema") << pattern;
    EXPECT_NE(e.message.find("\"pattern\" at /"), std::string::npos) << e.message;
    EXPECT_NE(e.message.find(pattern), std::string::npos) << e.message;
    const auto relaxed = Shape::json_schema(Json::parse(of_pattern(pattern)), SchemaRule::relaxed);
    ASSERT_TRUE(relaxed);
    EXPECT_TRUE(compiler_.compile(*relaxed)) << pattern;
  }
}

// Whatever digits are written, a multiple can still come of them.
TEST_F(SchemaRulesTest, MultiplesHaveNoDeadEnds) {
  for (const int step : {2, 3, 4, 5, 6, 7, 10, 12, 37, 64, 97, 250, 999, 1024}) {
    const std::string schema = fmt::format(R"({{"type":"integer","multipleOf":{}}})", step);
    const auto grammar = *compiler_.compile(*Shape::json_schema(Json::parse(schema)));
    std::mt19937 random(static_cast<unsigned>(step));
    for (int i = 0; i < 60; ++i) {
      GrammarMatcher m(grammar);
      std::string text;
      for (;;) {  // digits as long as there are any
        const auto allowed = bits(m);
        std::string next;
        for (const char c : std::string_view("0123456789"))
          if (allows(allowed, kFirstByte + c)) next += c;
        if (next.empty()) break;
        text += next[random() % next.size()];
        ASSERT_TRUE(m.advance(kFirstByte + text.back()));
        if (text == "0") break;
      }
      ASSERT_TRUE(m.complete()) << schema << " " << text;
      ASSERT_EQ(std::stoll(text) % step, 0) << schema << " " << text;
    }
  }
  EXPECT_TRUE(accepts(schema_matcher(R"({"type":"integer","multipleOf":7})"), "-" + std::string(18, '7')));
}

TEST_F(SchemaRulesTest, LiteralsSatisfyWhatStandsBesideThem) {
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"type":"string","enum":["abc","abcdef"],"maxLength":3})", {R"("abc")"}, {R"("abcdef")"}},
      {R"({"enum":[1,2,3],"minimum":3})", {"3"}, {"1", "2"}},
      {R"({"type":"integer","enum":["a",1,2.5,4.0]})", {"1", "4"}, {R"("a")", "2.5"}},
      {R"({"enum":["ala","kot"],"pattern":"^k"})", {R"("kot")"}, {R"("ala")"}},
      {R"({"enum":["ala","kot"],"not":{"const":"ala"}})", {R"("kot")"}, {R"("ala")"}},
      {R"({"enum":[1,"x",null],"anyOf":[{"type":"string"},{"type":"null"}]})", {R"("x")", "null"}, {"1"}},
      {R"({"enum":[[1,1],[1,2],[1]],"uniqueItems":true,"minItems":2})", {"[1,2]"}, {"[1,1]", "[1]"}},
      {R"({"enum":[{"a":1},{"a":"x"},{}],"properties":{"a":{"type":"integer"}},"required":["a"]})",
       {R"({"a":1})"},
       {R"({"a":"x"})", "{}"}},
      {R"({"$defs":{"s":{"maxLength":1}},"enum":["a","bb"],"$ref":"#/$defs/s"})", {R"("a")"}, {R"("bb")"}},
      {R"({"allOf":[{"enum":[1,2,3]},{"minimum":2},{"exclusiveMaximum":3}]})", {"2"}, {"1", "3"}},
      {R"({"type":"string","nullable":true,"enum":["a",null,1]})", {R"("a")", "null"}, {"1"}},
      {R"({"type":"string","anyOf":[{"const":1},{"const":"a"}]})", {R"("a")"}, {"1"}},
      {R"({"const":6,"multipleOf":3})", {"6"}, {"3"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
  for (const char* nothing : {R"({"type":"object","properties":{"a":{"enum":["a"],"minLength":2}}})",
                              R"({"properties":{"a":{"const":1,"type":"string"}}})",
                              R"({"properties":{"a":{"anyOf":[{"const":1},{"const":2}],"type":"string"}}})"}) {
    const Error e = refused(nothing);
    EXPECT_EQ(e.code, "grammar.bad_schema");
    EXPECT_NE(e.message.find(" at /properties/a"), std::string::npos) << e.message;
  }
  // A tool's sloppy schema still offers its values.
  const auto relaxed = Shape::json_schema(Json::parse(R"({"type":"integer","enum":["1","2"]})"), SchemaRule::relaxed);
  ASSERT_TRUE(relaxed);
  EXPECT_TRUE(accepts(matcher(*relaxed), R"("1")"));
}

TEST_F(SchemaRulesTest, WhatIsWrongIsToldWithItsPlace) {
  const struct {
    const char *schema, *told;
  } cases[] = {{R"({"type":"strng"})", " at /type, found \"strng\""},
               {R"({"properties":{"a":{"type":["string",5]}}})", R"( at /properties/a/type, found ["string",5])"},
               {R"({"properties":{"a":5}})", " at /properties/a, found 5"},
               {R"({"required":"a"})", " at /required, found \"a\""},
               {R"({"anyOf":{}})", " at /anyOf, found {}"},
               {R"({"type":"integer","minimum":"0"})", " at /minimum, found \"0\""},
               {R"({"items":{"$ref":"#/$defs/none"}})", "found \"#/$defs/none\""}};
  for (const auto& c : cases)
    EXPECT_NE(refused(c.schema).message.find(c.told), std::string::npos) << refused(c.schema).message;
  const std::string long_one = R"({"enum":")" + std::string(500, 'x') + "\"}";
  EXPECT_LT(refused(long_one.c_str()).message.size(), 200u);
}

TEST_F(SchemaRulesTest, OneOfIsExactWhereItsChoicesAreToldApart) {
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"oneOf":[{"enum":[1,2]},{"enum":[2,3]},{"const":4},{"const":4}]})", {"1", "3"}, {"2", "4"}},
      {R"({"$defs":{"a":{"enum":["x","y"]}},"oneOf":[{"$ref":"#/$defs/a"},{"const":"y"}]})", {R"("x")"}, {R"("y")"}},
      {R"({"oneOf":[{"type":"string"},{"type":"null"},{"type":"integer"}]})", {R"("a")", "null", "7"}, {"7.5", "[]"}},
      {R"({"oneOf":[{"properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                    {"properties":{"kind":{"const":"b"},"x":{"type":"string"}},"required":["kind","x"]}]})",
       {R"({"kind":"a","x":1})", R"({"kind":"b","x":"1"})"},
       {R"({"kind":"a","x":"1"})", R"({"kind":"c","x":1})"}},
      {R"({"oneOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},
                    {"properties":{"b":{"type":"integer"}},"required":["b"]}]})",
       {R"({"a":1})", R"({"b":1})"},
       {R"({"a":1,"b":1})", "{}"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
  const Error none = refused(R"({"properties":{"a":{"oneOf":[{"const":1},{"enum":[1]}]}}})");
  EXPECT_EQ(none.code, "grammar.bad_schema");
  EXPECT_NE(none.message.find(" at /properties/a/oneOf/1"), std::string::npos) << none.message;
}

// What must hold another of its own kind would be written until the last token.
TEST_F(SchemaRulesTest, ASchemaWithoutAnEndIsRefusedByItsField) {
  struct Case {
    const char* schema;
    const char* place;
  };
  const std::vector<Case> endless = {
      {R"({"$ref":"#"})", "/"},
      {R"({"anyOf":[{"$ref":"#"}]})", "/"},
      {R"({"type":"object","properties":{"child":{"$ref":"#"}},"required":["child"]})", "/properties/child"},
      {R"({"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/node"}},
          "required":["v","next"]}},"type":"object","properties":{"list":{"$ref":"#/$defs/node"}},"required":["list"]})",
       "/$defs/node/properties/next"},
      {R"({"$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}},"required":["b"]},
          "b":{"type":"array","items":{"$ref":"#/$defs/a"},"minItems":1}},"$ref":"#/$defs/a"})",
       "/$defs/b/items"},
      {R"({"anyOf":[{"properties":{"x":{"$ref":"#"}},"required":["x"]},{"type":"array","minItems":2,"items":{"$ref":"#"}}]})",
       "/"},
      {R"({"type":["object","array"],"properties":{"x":{"$ref":"#"}},"required":["x"],"prefixItems":[{"$ref":"#"}]})",
       "/prefixItems/0"},
      {R"({"type":"object","additionalProperties":{"$ref":"#"},"minProperties":1})", "/additionalProperties"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"minProperties":1})", "/"}};
  for (const auto& [schema, place] : endless)
    for (const SchemaRule rule : {SchemaRule::strict, SchemaRule::relaxed}) {
      const Error e = refused(schema, rule);
      EXPECT_EQ(e.code, "grammar.bad_schema") << schema;
      EXPECT_TRUE(e.message.find(fmt::format(" at {}:", place)) != std::string::npos ||
                  e.message.ends_with(fmt::format(" at {}", place)))
          << schema << "\n"
          << e.message;
    }
  for (
      const char* ending :
      {R"({"type":"object","properties":{"child":{"$ref":"#"}}})",
       R"({"type":"object","properties":{"v":{"type":"integer"},"child":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["v","child"]})",
       R"({"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}},"required":["children"]})",
       R"({"type":["object","null"],"properties":{"child":{"$ref":"#"}},"required":["child"]})",
       R"({"type":"object","additionalProperties":{"$ref":"#"}})",
       R"({"type":"object","properties":{"a":{"$ref":"#"},"b":{"type":"null"}},"minProperties":1})",
       R"({"$defs":{"loop":{"properties":{"x":{"$ref":"#/$defs/loop"}},"required":["x"]}},"type":"integer"})"}) {
    const auto shape = Shape::json_schema(Json::parse(ending));
    EXPECT_TRUE(shape) << ending << "\n" << (shape ? "" : shape.error().message);
    if (shape) EXPECT_TRUE(compiler_.compile(*shape)) << ending;
  }
}

// Other members than those that patterns name: a name that a pattern takes, or that has a schema of its own, never
// comes with theirs.
TEST_F(SchemaRulesTest, OtherMembersComeBesidePatterns) {
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"type":"object","properties":{"name":{"type":"string"},"x":{"type":"null"}},"required":["name"],
           "patternProperties":{"^x-":{"type":"boolean"}},"additionalProperties":{"type":"integer"}})",
       {R"({"name":"a"})", R"({"name":"a","x-b":true})", R"({"name":"a","age":7})", R"({"name":"a","x":null})",
        R"({"name":"a","x-":false,"nam":1,"names":2,"xy":3,"ż":4})"},
       {R"({"name":1})", R"({"name":"a","x-b":7})", R"({"name":"a","age":true})", R"({"name":"a","x":7})",
        R"({"name":"a","":7})"}},
      {R"({"type":"object","patternProperties":{"^[a-z_-]+$":{"type":"integer"},"^S\\.":{}},"additionalProperties":{"type":"null"}})",
       {R"({"ab":1})", R"({"S.a":"x"})", R"({"Ab":null,"9":null})", "{}"},
       {R"({"ab":null})", R"({"Ab":1})", R"({"-a":null})"}},
      {R"({"type":"object","patternProperties":{"^a":{"type":"integer"}},"additionalProperties":true})",
       {R"({"a":1,"abc":2,"b":[{}]})"},
       {R"({"abc":"x"})"}},
      {R"({"type":"object","patternProperties":{"^a":{"type":"integer"}},"additionalProperties":false})",
       {R"({"abc":1})"},
       {R"({"b":1})"}},
      // Which names are left cannot be told here: none comes.
      {R"({"type":"object","patternProperties":{"[0-9]$":{"type":"integer"}},"additionalProperties":{"type":"null"}})",
       {R"({"7":1})", "{}"},
       {R"({"b":null})"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
  for (const Json& value : walks(cases[0].schema))
    for (const auto& [name, v] : value.items()) {
      if (name == "name" || name == "x") continue;
      EXPECT_TRUE(name.starts_with("x-") ? v.is_boolean() : v.is_number_integer()) << value.dump();
    }
}

TEST_F(SchemaRulesTest, PatternsThatMayShareANameHaveOneSchema) {
  const auto two = [](const char* a, const char* b, const char* schema = R"({"type":"string"})") {
    return fmt::format(R"({{"type":"object","patternProperties":{{"{}":{{"type":"integer"}},"{}":{}}}}})", a, b,
                       schema);
  };
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{{"^a", "b$"},
                                                                             {"^a", "^ab"},
                                                                             {"^a", "^[a-f]+$"},
                                                                             {"^[a-f]+$", "^[f-z]+$"},
                                                                             {"^[ą-ż]+$", "^[a-z]+$"},
                                                                             {"^a|^b", "^c"},
                                                                             {"x", "y"}}) {
    const Error e = refused(two(a, b).c_str());
    EXPECT_EQ(e.code, "grammar.unsupported_schema") << a << " " << b;
    EXPECT_NE(e.message.find("\"patternProperties\" at /"), std::string::npos) << e.message;
    EXPECT_NE(e.message.find(a), std::string::npos) << e.message;
    EXPECT_TRUE(accepts(schema_matcher(two(a, b, R"({"type":"integer"})").c_str()), "{}"))
        << "one schema is no trouble";
  }
  for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
           {"^S_", "^I_"}, {"^x-a", "^x-b"}, {"^[a-f]+$", "^[g-z]+$"}, {"^[0-9]+$", "^n"}})
    EXPECT_TRUE(accepts(schema_matcher(two(a, b).c_str()), "{}")) << a << " " << b;
  const std::string apart = two("^S_", "^I_");
  EXPECT_TRUE(accepts(schema_matcher(apart.c_str()), R"({"S_a":1,"I_a":"x"})"));
  EXPECT_FALSE(accepts(schema_matcher(apart.c_str()), R"({"S_a":"x"})"));
}

TEST_F(SchemaRulesTest, MembersHaveOneSchemaAndNamesThatMayBeWritten) {
  const Error twice = refused(
      R"({"type":"object","properties":{"ab":{"type":"integer"}},"patternProperties":{"^a":{"type":"string"}}})");
  EXPECT_EQ(twice.code, "grammar.unsupported_schema");
  EXPECT_NE(twice.message.find("\"patternProperties\" at /"), std::string::npos) << twice.message;
  EXPECT_NE(twice.message.find("\"ab\""), std::string::npos) << twice.message;
  for (const char* never : {R"({"required":["x"],"properties":{},"additionalProperties":false})",
                            R"({"type":"object","required":["x"],"additionalProperties":false})",
                            R"({"required":["x"],"propertyNames":{"pattern":"^a"},"additionalProperties":true})"}) {
    const Error e = refused(never);
    EXPECT_EQ(e.code, "grammar.bad_schema");
    EXPECT_NE(e.message.find("\"x\""), std::string::npos) << e.message;
  }
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"properties":{"a":{"type":"integer"},"x":{}},"propertyNames":{"pattern":"^a"},"required":["a"]})",
       {R"({"a":1})"},
       {R"({"a":1,"x":1})"}},
      {R"({"properties":{"n":{"type":"integer"}},"patternProperties":{"^s[0-9]$":{"type":"null"}},"required":["n","s1"],"additionalProperties":{"type":"string"}})",
       {R"({"n":1,"s1":null})", R"({"n":1,"s1":null,"s2":null})"},
       {R"({"n":1,"s1":""})", R"({"n":1,"s1":null,"s2":""})", R"({"n":1})"}},
      {R"({"properties":{"ab":{"type":"integer"}},"patternProperties":{"^a[a-z]$":{"type":"integer"}}})",
       {R"({"ab":1})", R"({"ac":2})"},
       {R"({"ab":"x"})"}},
      {R"({"type":"object","properties":{"a":{"type":"string"}},"minProperties":2})",
       {R"({"a":"x","b":1})", R"({"c":"x","b":1})"},
       {R"({"a":"x"})", R"({"a":1,"b":1})"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
    walks(c.schema, 12, 1000);
  }
}

TEST_F(SchemaRulesTest, ReferencesAreFoundHoweverTheyAreSpelled) {
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"$defs":{"a/b":{"type":"integer"}},"$ref":"#/$defs/a~1b"})", {"1"}, {"true"}},
      {R"({"$defs":{"a b":{"type":"integer"}},"$ref":"#/$defs/a%20b"})", {"1"}, {"true"}},
      {R"({"$defs":{"a~b":{"type":"integer"}},"$ref":"#/$defs/a~0b"})", {"1"}, {"true"}},
      {R"({"$defs":{"ą":{"type":"integer"}},"$ref":"#/$defs/%C4%85"})", {"1"}, {"true"}},
      {R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"type":"null"}},"$ref":"#/$defs/a"})", {"null"}, {"1"}},
      {R"({"oneOf":[{"type":"integer"},{"type":"array","items":{"$ref":"#/oneOf/0"}}]})", {"1", "[1,2]"}, {"[[1]]"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"next":{"$ref":"#"}},"required":["a"]})",
       {R"({"a":1,"next":{"a":2}})"},
       {R"({"a":1,"next":{}})"}},
      {R"({"type":"object","propertyNames":{"$ref":"#/$defs/n"},"additionalProperties":true,"$defs":{"n":{"pattern":"^a$"}}})",
       {R"({"a":1})"},
       {R"({"b":1})"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
  for (const char* endless : {R"({"$defs":{"a":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})",
                              R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})"})
    EXPECT_NE(refused(endless).message.find("a reference that ends"), std::string::npos);
}

}  // namespace
}  // namespace watra::text
