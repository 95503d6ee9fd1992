// What of GBNF is read how; errors know their place.
#include "text/gbnf.h"

#include <gtest/gtest.h>

namespace watra::text {
namespace {

TEST(Gbnf, IsRewritten) {
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"a\""), "root ::= \"a\"\n");
  EXPECT_EQ(*gbnf_to_ebnf("root ::= 1st | other-one\n1st ::= [0-9]+\nother-one ::= \"x\"?"),
            "root ::= r_1st | r_other-one\nr_1st ::= ([0-9]+)\nr_other-one ::= (\"x\"?)\n");
  EXPECT_EQ(*gbnf_to_ebnf("# a note\nroot ::= (\"a\"\n  | \"b\") \"\\n\" # another\n\n"),
            "root ::= (\"a\" | \"b\") \"\\u000a\"\n");
  EXPECT_FALSE(gbnf_to_ebnf("root ::= \"a\"\n \"b\"")) << "outside of parentheses a line ends the rule";
}

TEST(Gbnf, RulesGoOnAfterABar) {
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"a\" |\n  \"b\"\n  | \"c\"\nx ::= \"d\""),
            "root ::= \"a\" | \"b\" | \"c\"\nr_x ::= \"d\"\n");
}

TEST(Gbnf, CharactersKeepTheirLength) {
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"\\x41B\\u0142\\\"\""), "root ::= \"AB\\u0142\\u0022\"\n");
  EXPECT_EQ(*gbnf_to_ebnf("root ::= [^\\n\\]ąż-]"), "root ::= [^\\u000a\\u005d\\u0105\\u017c\\u002d]\n");
  EXPECT_EQ(*gbnf_to_ebnf("root ::= ."), "root ::= [^]\n");
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"\U0001F525\""), "root ::= \"\\U0001f525\"\n");
}

TEST(Gbnf, Repetitions) {
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"a\"{2} [b]{1,} (\"c\" \"d\"){0,3} \"e\"*"),
            "root ::= (\"a\"{2,2}) ([b]{1,}) ((\"c\" \"d\"){0,3}) (\"e\"*)\n");
  EXPECT_EQ(*gbnf_to_ebnf("root ::= \"a\" |"), "root ::= \"a\" | \"\"\n") << "nothing is a choice";
}

TEST(Gbnf, ErrorsSayWhere) {
  for (const auto& [grammar, words] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "a rule named root"},
           {"root = \"a\"", "::= after the name of a rule (line 1, column 6)"},
           {"root ::= x", "the rule x, used here (line 1, column 10)"},
           {"root ::= \"a", "the end of a text"},
           {"root ::= (\"a\"", "a closing )"},
           {"root ::= \"a\"\nroot ::= \"b\"", "one definition of the rule root (line 2, column 1)"},
           {"root ::= [z-a]", "from the smaller to the larger"},
           {"root ::= \"\\q\"", "after a backslash"},
           {"root ::= \"a\"{3,2}", "from the smaller to the larger"},
           {"root ::= \"a\"{99999999999999999999}", "repetitions"},
           {"root ::= \"\\ud800\"", "the number of a character"},
           {"root ::= <[12]>", "not token ids"},
           {"root ::= \"\xff\"", "UTF-8"}}) {
    const auto made = gbnf_to_ebnf(grammar);
    ASSERT_FALSE(made) << grammar;
    EXPECT_EQ(made.error().code, "grammar.bad_grammar");
    EXPECT_NE(made.error().message.find(words), std::string::npos) << grammar << ": " << made.error().message;
  }
  EXPECT_FALSE(gbnf_to_ebnf("root ::= " + std::string(10'000, '(')));
}

}  // namespace
}  // namespace watra::text
