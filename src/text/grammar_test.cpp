// Grammars with a vocabulary of bytes and words in pieces, so that characters and JSON are cut anywhere: what schemas,
// expressions, GBNF and tool formats let through, and that matchers go back and fork exactly.
#include "text/grammar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/cpu_clock.h"
#include "text/grammar_walk_test.h"
#include "text/internal/utf8.h"
#include "text/tool_format.h"
#include "text/tool_reader.h"

namespace watra::text {
namespace {

// A hundred characters took XGrammar seconds; ten thousand must take no longer than eight.
TEST_F(GrammarTest, LimitsOfLengthsCostNothingAndHold) {
  const auto of = [](int n) {
    return fmt::format(R"({{"type":"array","items":{{"type":"string","maxLength":{}}},"maxItems":3}})", n);
  };
  for (const int n : {8, 100, 10'000, 131'000}) {
    const double begin = thread_cpu_seconds();
    schema_matcher(of(n).c_str());
    EXPECT_LT(thread_cpu_seconds() - begin, 1.0) << n;
    const std::string full(static_cast<size_t>(n), 'x');
    if (n > 10'000) continue;
    EXPECT_TRUE(accepts(schema_matcher(of(n).c_str()), "[\"" + full + "\"]"));
    EXPECT_FALSE(accepts(schema_matcher(of(n).c_str()), "[\"" + full + "x\"]"));
  }
  std::mt19937 random(5);
  int n_whole = 0;
  for (int i = 0; i < 60; ++i) {
    auto m = schema_matcher(of(9).c_str());
    const std::string text = walk(m, random);
    if (text.empty()) continue;
    ++n_whole;
    for (const Json& s : Json::parse(text)) {
      const auto& bytes = s.get_ref<const std::string&>();
      EXPECT_LE(std::ranges::count_if(bytes, [](char c) { return (c & 0xC0) != 0x80; }), 9) << text;
    }
  }
  EXPECT_GT(n_whole, 20);
}

// Going back over the end of a string and a fork know where they stand.
TEST_F(GrammarTest, LimitsOfLengthsGoBack) {
  auto m = schema_matcher(R"({"type":"array","items":{"type":"string","maxLength":8}})");
  ASSERT_TRUE(write(m, R"(["12345678", "1234)"));
  auto fork = m.fork();
  EXPECT_TRUE(write(fork, "5678"));
  EXPECT_FALSE(write(fork, "9"));
  m.rollback(8);  // behind the 8 of the first
  EXPECT_FALSE(write(m, "9"));
  EXPECT_TRUE(write(m, "\"]"));
}

TEST_F(GrammarTest, AnyObject) {
  EXPECT_TRUE(
      accepts(matcher(Shape::json_object()), R"({"a": [1, -2.5e3, null, {"ł": "zażółć \" \u0105"}], "b": {}})"));
  for (const char* wrong : {"[]", "1", "{\"a\": }", "{\"a\": 01}", "{a: 1}", "{\"a\": 1,}", "text {}"})
    EXPECT_FALSE(accepts(matcher(Shape::json_object()), wrong)) << wrong;
  EXPECT_FALSE(accepts(matcher(Shape::json_object()), "{" + std::string(9, ' ') + "}")) << "at most 8 spaces";
  EXPECT_FALSE(accepts(matcher(Shape::json_object()), "{}{}"));
}

TEST_F(GrammarTest, SchemasHold) {
  struct Case {
    const char* schema;
    std::vector<const char*> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"]})",
       {R"({"name":"Łucja","age":7})", R"({ "name" : "" , "age" : 150 })"},
       {R"({"age":7})", R"({"name":"a","age":151})", R"({"name":"a","age":-1})", R"({"name":"a","age":7,"x":1})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["b"]})",
       {R"({"b":1})", R"({"a":1,"b":2})"},
       {R"({"a":1})", R"({})"}},
      {R"({"type":"object"})", {R"({})", R"({"x":[1]})"}, {R"([])"}},
      {R"({"type":"object","additionalProperties":{"type":"integer"}})", {R"({"a":1})"}, {R"({"a":"b"})"}},
      {R"({"title":"t","type":"object","additionalProperties":true,"required":["one_long_enough_name","another"]})",
       {R"({"one_long_enough_name":1,"another":[]})"},
       {"{}", R"({"another":1})"}},
      {R"({"type":"object","required":["a"],"additionalProperties":{"type":"integer"}})",
       {R"({"a":1})"},
       {R"({"a":"b"})", "{}"}},
      {R"({"items":[{"type":"integer"}],"type":"array","additionalItems":{"type":"string"}})",
       {R"([1,"a"])"},
       {R"(["a"])", "[1,2]"}},
      {R"({"properties":{"a":{"const":5}},"required":["a"]})", {R"({"a":5})"}, {R"({"a":6})"}},
      {R"({"type":"array"})", {R"([])", R"([1,"a",{}])"}, {R"({})"}},
      {R"({"items":{"type":"string"},"minItems":2,"maxItems":3})",
       {R"(["a","b"])", R"(["a","b","c"])"},
       {R"(["a"])", R"(["a","b","c","d"])"}},
      {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"boolean"}]})", {R"([1,true])"}, {R"([true,1])"}},
      {R"({"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"null"}})",
       {R"([1,null])"},
       {R"([1,2])"}},
      {R"({"enum":["zielony","żółty",3,null]})", {R"("żółty")", "3", "null"}, {R"("red")", "4"}},
      {R"({"type":["string","null"]})", {"null", R"("x")"}, {"1"}},
      {R"({"type":"string","nullable":true})", {"null", R"("x")"}, {"1"}},
      {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":2}]})", {"12", R"("ab")"}, {R"("abc")", "true"}},
      {R"({"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},{"type":"object","properties":{"k":{"const":"b"},"v":{"type":"number"}},"required":["k","v"]}]})",
       {R"({"k":"a"})", R"({"k":"b","v":1.5})"},
       {R"({"k":"c"})", R"({"k":"b"})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"properties":{"b":{"type":"null"}},"required":["b"]}]})",
       {R"({"a":1})", R"({"a":1,"b":null})", R"({"b":null})"},
       {R"({})"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]})",
       {R"({"a":1,"b":"x"})"},
       {R"({"a":1})"}},
      {R"({"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}},"$ref":"#/$defs/node"})",
       {R"({"v":1,"next":{"v":2,"next":null}})"},
       {R"({"v":1,"next":{}})"}},
      {R"({"type":"string","pattern":"^[a-z]{2,4}$"})", {R"("abc")"}, {R"("abcde")", R"("A")"}},
      {R"({"type":"string","pattern":"^[ąęź]{2}.$"})", {R"("źąo")"}, {R"("abc")", "\"ąę\"\""}},
      {R"({"type":"string","format":"date"})", {R"("2026-11-26")"}, {R"("today")"}},
      {R"({"type":"string","maxLength":8})", {R"("")", R"("zażółćgę")"}, {R"("zażółćgęś")", R"("a\nb")"}},
      {R"({"type":"string","minLength":2,"maxLength":9})",
       {R"("ąż")", R"("123456789")"},
       {R"("a")", R"("1234567890")"}},
      {R"({"anyOf":[{"type":"string","maxLength":8},{"type":"string","maxLength":10}]})",
       {R"("1234567890")"},
       {R"("12345678901")"}},
      {R"({"anyOf":[{"type":"string","maxLength":8},{"type":"string"}]})", {R"("12345678901234567890")"}, {"1"}},
      {R"({"type":["string","null"],"maxLength":8})", {R"("12345678")", "null"}, {R"("123456789")"}},
      {R"({"type":"object","propertyNames":{"maxLength":8},"additionalProperties":{"type":"string","maxLength":12}})",
       {R"({"12345678": "123456789012"})", "{}"},
       {R"({"123456789": ""})", R"({"a": "1234567890123"})"}},
      {R"({"type":"object","properties":{"a":{"type":"string","maxLength":9},"b":{"type":"string"},"c":{"enum":["a long word here"]}},"required":["a","b","c"]})",
       {R"({"a": "123456789", "b": "1234567890\n\"\u0105", "c": "a long word here"})"},
       {R"({"a": "1234567890", "b": "", "c": "a long word here"})"}},
      {R"({"type":"string","minLength":2,"maxLength":3})", {R"("ąż")", R"("abc")"}, {R"("ą")", R"("abcd")"}},
      {R"({"type":"number","minimum":1.5})", {"1.5", "20"}, {"1.4", "-3"}},
      {R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":6})", {"4", "5"}, {"3", "6"}},
      {R"({"type":"object","patternProperties":{"^x_[a-z]+$":{"type":"integer"}},"additionalProperties":false})",
       {R"({"x_a":1})"},
       {R"({"x_a":"1"})"}},
      {R"({})", {"1", "[]", R"({"a":null})", R"("x")"}, {"x"}},
      {R"({"type":"object","required":["x"]})", {R"({"x":1})"}, {R"({})"}}};
  for (const Case& c : cases) {
    for (const char* good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const char* bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
}

// Small models write digits until their last token where nothing ends them.
TEST_F(GrammarTest, NumbersEnd) {
  const std::string d17(17, '7'), d18 = d17 + "7", d16(16, '7');
  struct Case {
    const char* schema;
    std::vector<std::string> good, bad;
  };
  const std::vector<Case> cases = {
      {R"({"type":"integer"})", {"0", "-5", "-" + d18, d18}, {d18 + "7", "-" + d18 + "7", "01"}},
      {R"({"type":"number"})",
       {"-0.5", d18 + "." + d16 + "e-12", "1E+5", "1e99", "0"},
       {d18 + "7", "0." + d16 + "7", "1e100", "1.", "1e"}},
      {R"({"type":"integer","minimum":5})", {"5", "12", d18}, {"4", d18 + "7"}},
      {R"({"type":"integer","minimum":0})", {"0", d18}, {"-1", d18 + "7"}},
      {R"({"type":"integer","maximum":-3})", {"-3", "-" + d18}, {"-2", "-" + d18 + "7"}},
      {R"({"type":"integer","minimum":-2,"maximum":1234567890123456789})", {"1234567890123456789", "-2"}, {"-3"}},
      {R"({"type":"number","exclusiveMinimum":0})", {"0.5", d18 + ".5"}, {"0", d18 + "7", "0.5555555"}},
      {R"({"type":"integer","multipleOf":5})", {"0", "-15", "1234567890"}, {"7", std::string(18, '5') + "5"}},
      {R"({"type":"integer","multipleOf":7})", {"0", "-14", "777777777777777777"}, {"8", d18 + "7"}},
      {R"({"type":"integer","multipleOf":1000})", {"0", "99000"}, {"99001"}},
      {R"({"const":1234567890123456789})", {"1234567890123456789"}, {"12345"}},
      {R"({"enum":[-9223372036854775807,0.125]})", {"-9223372036854775807", "0.125"}, {"6"}},
      {R"({"type":"string","format":"time"})",
       {R"("10:20:30Z")", R"("10:20:30.123456789+02:00")"},
       {R"("10:20:30.1234567890Z")", R"("25:00:00Z")"}},
      {R"({"type":"string","format":"date-time"})",
       {R"("2026-11-26T21:00:00.5Z")"},
       {R"("2026-11-26 21:00:00Z")", R"("2026-11-26T21:00:00.1234567890Z")"}},
      {R"({"type":"string","format":"duration"})",
       {R"("P1DT2H3M4S")", R"("PT5M")", R"("P2W")", R"("P1Y2M")"},
       {R"("P")", R"("PT")", R"("P1234567D")"}},
      {R"({"type":"string","format":"email"})",
       {R"("jan.kowalski+a@poczta.example.com")", R"("a@b.pl")"},
       {R"("a@b")", R"("a..b@c.pl")", R"("a@-b.pl")", "\"" + std::string(33, 'a') + R"(@b.pl")"}},
      {R"({"type":"string","format":"hostname"})",
       {R"("a-b.example")"},
       {R"("-a")", "\"" + std::string(33, 'a') + "\""}},
      {R"({"type":"string","format":"date","minLength":1})", {R"("2026-11-26")"}, {R"("x")"}},
      {R"({"type":"string","format":"date","pattern":"^x$"})", {R"("x")"}, {R"("2026-11-26")"}},
      {R"({"type":"object","additionalProperties":true})", {"{\"a\":" + d18 + "}"}, {"{\"a\":" + d18 + "7}"}},
      {R"({})", {d18}, {d18 + "7"}}};
  for (const Case& c : cases) {
    for (const auto& good : c.good) EXPECT_TRUE(accepts(schema_matcher(c.schema), good)) << c.schema << "\n" << good;
    for (const auto& bad : c.bad) EXPECT_FALSE(accepts(schema_matcher(c.schema), bad)) << c.schema << "\n" << bad;
  }
  EXPECT_FALSE(accepts(matcher(Shape::json_object()), "{\"a\": [" + d18 + "7]}"));
}

TEST_F(GrammarTest, WhatCannotBeHeldIsNamed) {
  for (const auto& [schema, keyword] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({"not":{"type":"string"}})", "\"not\" at /"},
           {R"({"type":"string","format":"email","maxLength":20})", "\"maxLength\" at /"},
           {R"({"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}})",
            "\"uniqueItems\" at /properties/a"},
           {R"({"if":{},"then":{}})", "\"if\""},
           {R"({"type":"array","contains":{"type":"integer"}})", "\"contains\""},
           {R"({"type":"object","dependentRequired":{"a":["b"]}})", "\"dependentRequired\""},
           {R"({"type":"string","pattern":"a+","minLength":3})", "\"minLength\""},
           {R"({"$ref":"https://example.com/schema"})", "\"$ref\""},
           {R"({"$ref":"#/$defs/none"})", "\"$ref\""},
           {R"({"allOf":[{"type":"string","pattern":"a"},{"pattern":"b"}]})", "\"allOf\""}}) {
    const auto shape = Shape::json_schema(Json::parse(schema));
    ASSERT_FALSE(shape) << schema;
    EXPECT_EQ(shape.error().code, "grammar.unsupported_schema");
    EXPECT_NE(shape.error().message.find(keyword), std::string::npos) << shape.error().message;
  }
  const auto multiple = compiler_.compile(*Shape::json_schema(Json::parse(R"({"type":"number","multipleOf":0.5})")));
  ASSERT_FALSE(multiple);
  EXPECT_NE(multiple.error().message.find("multipleOf"), std::string::npos);
  for (const char* bad : {R"("text")", R"(false)", R"({"type":"object","properties":5})", R"({"anyOf":[]})",
                          R"({"type":"object","required":"a"})", R"({"properties":{"a":false}})"})
    EXPECT_FALSE(Shape::json_schema(Json::parse(bad))) << bad;
  // For tools that did not ask for strictness the rest of the schema counts.
  const auto relaxed = Shape::json_schema(
      Json::parse(R"({"type":"array","uniqueItems":true,"items":{"type":"integer"}})"), SchemaRule::relaxed);
  ASSERT_TRUE(relaxed);
  EXPECT_TRUE(accepts(matcher(*relaxed), "[1,1]"));
  EXPECT_FALSE(accepts(matcher(*relaxed), "[true]"));
}

TEST_F(GrammarTest, ExpressionsAndGbnf) {
  EXPECT_TRUE(accepts(matcher(Shape::regex("[A-Z]{3}-[0-9]+")), "ABC-12"));
  EXPECT_FALSE(accepts(matcher(Shape::regex("[A-Z]{3}-[0-9]+")), "AB-12"));
  EXPECT_TRUE(accepts(matcher(Shape::regex("^(tak|nie)$")), "nie"));
  EXPECT_TRUE(accepts(matcher(Shape::regex("\\d{2} [ąęó]+")), "07 ęó"));
  EXPECT_FALSE(compiler_.compile(Shape::regex("[a-")));
  EXPECT_FALSE(compiler_.compile(Shape::regex("a(?=b)c"))) << "what is left out is said";
  const auto list = Shape::gbnf("root ::= item+\nitem ::= \"- \" [^\\n]+ \"\\n\"");
  EXPECT_TRUE(accepts(matcher(*list), "- żółw\n- \xF0\x9F\x94\xA5 ok\n"));
  EXPECT_FALSE(accepts(matcher(*list), "- a"));
  const auto sum =
      Shape::gbnf("root ::= expr\nexpr ::= expr \"+\" 1term | 1term\n1term ::= [0-9]{1,3} | \"(\" expr \")\"");
  EXPECT_TRUE(accepts(matcher(*sum), "1+(20+300)+4"));
  EXPECT_FALSE(accepts(matcher(*sum), "1+"));
  EXPECT_TRUE(accepts(matcher(*Shape::gbnf("root ::= .*")), "co\xC5\x9B\n\n!"));
}

TEST_F(GrammarTest, PiecesAreCombined) {
  const Shape s = Shape::sequence({Shape::any_text({"</think>"}), Shape::literal("</think>"), Shape::json_object()});
  EXPECT_TRUE(accepts(matcher(s), "hm { [ </thin </think>{}"));
  EXPECT_FALSE(accepts(matcher(s), "hm {}"));
  const Shape many = Shape::repeat(Shape::one_of({Shape::literal("ab"), Shape::literal("c")}), 1, 3);
  EXPECT_TRUE(accepts(matcher(many), "abcab"));
  EXPECT_FALSE(accepts(matcher(many), "cccc"));
}

TEST_F(GrammarTest, ControlTokensNeverComeUnlessTheyAreShown) {
  auto text = matcher(Shape::any_text());
  EXPECT_TRUE(allows(bits(text), kFirstByte + 'a'));
  EXPECT_TRUE(allows(bits(text), kEnd));
  GrammarCompiler hidden(tokenizer_);
  GrammarMatcher without(*hidden.compile(Shape::literal("[TOOL_CALLS]")));
  EXPECT_FALSE(allows(bits(without), kMarker));
  auto with = matcher(Shape::literal("[TOOL_CALLS]"));
  EXPECT_TRUE(allows(bits(with), kMarker));
  EXPECT_FALSE(allows(bits(with), kEnd));
  EXPECT_TRUE(with.advance(kMarker));
  EXPECT_TRUE(allows(bits(with), kEnd));
}

TEST_F(GrammarTest, RandomWalksAreJson) {
  std::mt19937 random(7);
  int n_whole = 0;
  for (
      const char* schema :
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"array","items":{"type":"boolean"},"maxItems":3},"c":{"enum":["x","ł"]}},"required":["a","c"]})",
       R"({"type":"array","items":{"anyOf":[{"type":"null"},{"type":"string","maxLength":4}]},"minItems":1,"maxItems":4})"}) {
    for (int i = 0; i < 60; ++i) {
      auto m = schema_matcher(schema);
      // Chance writes surrogates too; as everywhere they are shown as U+FFFD.
      const std::string text = utf8_replace_invalid(walk(m, random));
      if (text.empty()) continue;
      ++n_whole;
      const Json value = Json::parse(text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << text;
      if (value.is_object()) {
        ASSERT_TRUE(value.at("a").is_number_integer()) << text;
        ASSERT_TRUE(value.at("c") == "x" || value.at("c") == "ł") << text;
        for (const auto& [name, v] : value.items()) ASSERT_TRUE(name == "a" || name == "b" || name == "c") << text;
        if (value.contains("b")) {
          for (const Json& b : value["b"]) ASSERT_TRUE(b.is_boolean()) << text;
        }
      } else {
        ASSERT_TRUE(value.is_array() && !value.empty() && value.size() <= 4) << text;
        for (const Json& v : value) ASSERT_TRUE(v.is_null() || v.is_string()) << text;
      }
    }
  }
  EXPECT_GT(n_whole, 80);
}

TEST_F(GrammarTest, GoingBackAndForkingAreExact) {
  std::mt19937 random(11);
  const auto grammar = *compiler_.compile(Shape::json_object());
  for (int round = 0; round < 20; ++round) {
    GrammarMatcher m(grammar);
    std::vector<TokenId> written;
    for (int step = 0; step < 60; ++step) {
      const auto allowed = bits(m);
      std::vector<TokenId> ids;
      for (TokenId id = kFirstByte; id < tokenizer_->n_vocab(); ++id)
        if (allows(allowed, id)) ids.push_back(id);
      if (ids.empty() || (step % 9 == 8 && !written.empty())) {
        const size_t n = 1 + random() % written.size();
        m.rollback(n);
        written.resize(written.size() - n);
      } else {
        written.push_back(ids[random() % ids.size()]);
        ASSERT_TRUE(m.advance(written.back()));
      }
      GrammarMatcher fresh(grammar);
      for (const TokenId id : written) ASSERT_TRUE(fresh.advance(id));
      ASSERT_EQ(bits(m), bits(fresh));
      GrammarMatcher fork = m.fork();
      ASSERT_EQ(bits(fork), bits(m));
      if (!written.empty()) {  // a fork goes back on its own
        fork.rollback(1);
        ASSERT_EQ(bits(m), bits(fresh));
        ASSERT_TRUE(fork.advance(written.back()));
        ASSERT_EQ(bits(fork), bits(fresh));
      }
    }
  }
}

TEST_F(GrammarTest, WhatIsRefusedChangesNothing) {
  auto m = schema_matcher(R"({"type":"integer"})");
  ASSERT_TRUE(m.advance(kFirstByte + '4'));
  const auto before = bits(m);
  EXPECT_FALSE(m.advance(kFirstByte + 'x'));
  EXPECT_FALSE(m.advance(kMarker));
  EXPECT_FALSE(m.advance(1'000'000));
  EXPECT_EQ(bits(m), before);
  m.rollback(1);
  EXPECT_FALSE(m.complete());
}

TEST_F(GrammarTest, CompiledOnesAreKeptAndTheOldestLeave) {
  const auto first = compiler_.compile(Shape::json_object());
  EXPECT_EQ(*first, *compiler_.compile(Shape::json_object()));
  EXPECT_EQ(*first, compiler_.find(Shape::json_object()));
  GrammarCompiler small(tokenizer_, {}, {.cache_bytes = 1});
  ASSERT_TRUE(small.compile(Shape::json_object()));
  ASSERT_TRUE(small.compile(Shape::literal("a")));
  EXPECT_EQ(small.find(Shape::json_object()), nullptr);
}

// A choice of words, each of its own letters: made in a time that grows with their number.
std::string words_grammar(int n) {
  std::mt19937 random(1);
  std::string out = "root ::= \"a\"";
  for (int i = 0; i < n; ++i) {
    out += " | \"";
    for (int k = 0; k < 12; ++k) out += static_cast<char>('a' + random() % 26);
    out += '"';
  }
  return out;
}

TEST_F(GrammarTest, TooMuchWorkIsEnded) {
  const Shape large = *Shape::gbnf(words_grammar(3'000));
  GrammarCompiler unhurried(tokenizer_, {}, {.seconds = 1000, .bytes = uint64_t{2} << 30});
  const double begin = thread_cpu_seconds();
  ASSERT_TRUE(unhurried.compile(large));
  const double whole = thread_cpu_seconds() - begin;
  GrammarCompiler hurried(tokenizer_, {}, {.seconds = whole / 10});
  const double again = thread_cpu_seconds();
  const auto ended = hurried.compile(large);
  EXPECT_LT(thread_cpu_seconds() - again, whole / 2);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, "grammar.too_large");
  EXPECT_NE(ended.error().message.find("takes too long"), std::string::npos) << ended.error().message;
  EXPECT_EQ(hurried.find(large), nullptr);
  EXPECT_TRUE(hurried.compile(Shape::literal("a"))) << "what was ended leaves nothing behind";

  GrammarCompiler narrow(tokenizer_, {}, {.bytes = 20'000});
  const auto refused = narrow.compile(Shape::json_object());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "grammar.too_large");
  EXPECT_NE(refused.error().message.find("too much memory"), std::string::npos) << refused.error().message;
  EXPECT_TRUE(compiler_.compile(Shape::json_object())) << "what was ended leaves nothing behind";
}

// Calls as our own format has them, written by chance and read back.
TEST_F(GrammarTest, CallsAreWrittenAndRead) {
  std::mt19937 random(3);
  const ToolFormat& format = own_tool_format();
  const std::vector<CallableTool> tools = {
      {"weather",
       *Shape::json_schema(Json::parse(
           R"({"type":"object","properties":{"town":{"type":"string","maxLength":5}},"required":["town"]})"))},
      {"add", *Shape::json_schema(
                  Json::parse(R"({"type":"object","properties":{"x":{"type":"boolean"}},"required":["x"]})"))}};
  int n_calls = 0;
  for (int i = 0; i < 40; ++i) {
    auto m = matcher(calls_shape(format, tools, 3));
    const std::string text = walk(m, random, 2000);
    if (text.empty()) continue;
    ToolReader reader(format);
    std::vector<ToolReader::Event> events;
    for (size_t at = 0; at < text.size();) {
      const size_t n = 1 + random() % 7;
      reader.feed(std::string_view(text).substr(at, n), events);
      at += n;
    }
    reader.finish(events);
    ASSERT_TRUE(reader.whole()) << text;
    std::vector<std::pair<std::string, std::string>> calls;
    for (const auto& e : events) {
      ASSERT_NE(e.kind, ToolReader::Event::Kind::text) << text << "\n" << e.value;
      if (e.kind == ToolReader::Event::Kind::call)
        calls.emplace_back(e.value, "");
      else
        calls.back().second += e.value;
    }
    ASSERT_FALSE(calls.empty()) << text;
    ASSERT_LE(calls.size(), 3u);
    for (const auto& [name, arguments] : calls) {
      const Json value = Json::parse(utf8_replace_invalid(arguments), nullptr, false);
      ASSERT_TRUE(value.is_object()) << text;
      ASSERT_TRUE(name == "weather" ? value.at("town").is_string() : value.at("x").is_boolean()) << text;
      ++n_calls;
    }
  }
  EXPECT_GT(n_calls, 20);
}

TEST_F(GrammarTest, TheirMemoryIsCounted) {
  const auto memory = std::make_shared<MemoryBudget>();
  std::shared_ptr<const Grammar> held;
  {
    GrammarCompiler compiler(tokenizer_, {}, {}, memory);
    held = *compiler.compile(Shape::json_object());
    const uint64_t one = memory->used_bytes();
    EXPECT_GT(one, grammar_bytes(*held));  // and the vocabulary
    ASSERT_EQ(memory->uses().size(), 1u);
    EXPECT_EQ(memory->uses()[0].tag, "grammars");
    const auto second = compiler.compile(Shape::literal("ab"));
    EXPECT_EQ(memory->used_bytes(), one + grammar_bytes(**second));
  }
  EXPECT_EQ(memory->used_bytes(), grammar_bytes(*held)) << "as long as somebody follows it";
  held.reset();
  EXPECT_EQ(memory->used_bytes(), 0u);
}

TEST_F(GrammarTest, AtTheLimitOfMemoryTheCacheLeavesFirst) {
  const auto memory = std::make_shared<MemoryBudget>();
  GrammarCompiler compiler(tokenizer_, {}, {}, memory);
  ASSERT_TRUE(compiler.compile(Shape::json_object()));
  ASSERT_TRUE(memory->set_limit(memory->used_bytes() + 16));
  const auto second = compiler.compile(Shape::literal("a text of some length"));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(compiler.find(Shape::json_object()), nullptr);
  ASSERT_TRUE(memory->set_limit(memory->used_bytes() + 16));
  const auto third = compiler.compile(Shape::json_object());  // while the second is held
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, "grammar.too_large");
  EXPECT_NE(third.error().hint.find("--ram"), std::string::npos);
}

TEST_F(GrammarTest, TextsMayEndWithCalls) {
  const std::vector<CallableTool> tools = {{"f", Shape::json_object()}};
  const Shape shape = text_with_calls_shape(own_tool_format(), tools, 2);
  const std::string call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(accepts(matcher(shape), "No tool <tool is needed."));
  EXPECT_TRUE(accepts(matcher(shape), ""));
  EXPECT_TRUE(accepts(matcher(shape), "Let me see.\n" + call));
  EXPECT_TRUE(accepts(matcher(shape), call + "\n" + call));
  EXPECT_FALSE(accepts(matcher(shape), call + " and more"));
  EXPECT_FALSE(accepts(matcher(shape), call + "\n" + call + "\n" + call));
  EXPECT_FALSE(accepts(matcher(shape), "<tool_call>\n{\"name\": \"g\""));
}

}  // namespace
}  // namespace watra::text
