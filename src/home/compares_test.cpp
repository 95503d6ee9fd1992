#include "home/compares.h"

#include <regex>

#include "home/search.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

Json question(const char* client, bool blind) {
  return {{"client_id", client},
          {"question", "Co słychać na hali?"},
          {"columns", Json::array({{{"model", "bielik"}}, {{"model", "qwen"}, {"sampling", {{"temperature", 0.1}}}}})},
          {"blind", blind}};
}

// Every column answers with its model's name backwards, which gives nothing away.
void answer_all(Home& home, const Compare& c) {
  for (const Json& column : c.columns) {
    const std::string model = column["model"];
    const auto turn = home.compares().open(c.id, column["id"], {.model = model, .model_name = model});
    ASSERT_TRUE(turn) << turn.error().message;
    ASSERT_TRUE(home.answers().apply(
        {{.kind = AnswerStep::Kind::piece,
          .thread = c.thread,
          .message = turn->answer.id,
          .part_kind = "text",
          .text = std::string(model.rbegin(), model.rend())},
         {.kind = AnswerStep::Kind::ended,
          .thread = c.thread,
          .message = turn->answer.id,
          .run = new_run(turn->run, c.thread, turn->answer.id),
          .facts = {{"model", {{"id", model}, {"quant", "Q8_0"}}}, {"seed", 1}, {"decode_tokens_per_s", 5.5}},
          .state = "done"}}));
  }
  ASSERT_TRUE(home.compares().end(c.id, "done"));
}

TEST(Compares, BlindTellsNobodyUntilTheVote) {
  TestHome home;
  const auto begun = home->compares().begin(question("a", true), "in_turn");
  ASSERT_TRUE(begun) << begun.error().message;
  answer_all(*home, begun->compare);
  const std::string shown = dump((*home->compares().shown(begun->compare.id)));
  std::string told;
  const auto events = home->events().read(0, 1000);
  for (const Event& e : events->events) told += e.json();
  for (const std::string& all :
       {shown, told, dump((*home->compares().list(5, std::nullopt)).compares[0]), *home->compares().table("csv", {})}) {
    const std::string words = std::regex_replace(all, std::regex("[a-z]_[0-9a-z]{16}"), "");  // ids hold any letters
    EXPECT_EQ(words.find("bielik"), std::string::npos) << all;
    EXPECT_EQ(words.find("qwen"), std::string::npos) << all;
    EXPECT_EQ(words.find("Q8_0"), std::string::npos) << all;
  }
  const Json first = begun->compare.columns[0];
  EXPECT_FALSE(home->compares().vote(begun->compare.id, {{"column", "k_no"}, {"verdict", "best"}}));
  const auto voted = home->compares().vote(begun->compare.id, {{"column", first["id"]}, {"verdict", "best"}});
  ASSERT_TRUE(voted) << voted.error().message;
  EXPECT_EQ((*voted)["columns"][0]["model"], first["model"]);
  EXPECT_EQ((*voted)["columns"][0]["answer"]["answer"]["model"]["id"], first["model"]);
  EXPECT_NE(home->compares().table("md", {})->find("bielik"), std::string::npos);
}

TEST(Compares, PastedAnswersVotesAndGoingOn) {
  TestHome home;
  const auto begun = home->compares().begin(question("a", false), "together");
  answer_all(*home, begun->compare);
  EXPECT_FALSE(home->compares().begin(question("a", false), "together")->fresh);
  const auto pasted = home->compares().paste(begun->compare.id, {{"name", "Inny"}, {"text", "=SUMA(1)"}});
  ASSERT_TRUE(pasted) << pasted.error().message;
  EXPECT_EQ((*pasted)["columns"][2]["label"], "C");
  const std::string csv = *home->compares().table("csv", {begun->compare.id});
  EXPECT_NE(csv.find("\"'=SUMA(1)\""), std::string::npos);  // no formula
  EXPECT_EQ(Json::parse(*home->compares().table("json", {})).size(), 3u);
  const auto kept =
      home->compares().keep(begun->compare.id, {{"client_id", "k"}, {"column", begun->compare.columns[1]["id"]}});
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(kept->model, "qwen");
  EXPECT_EQ(home->conversations().path(*kept->head)->size(), 2u);
  // Its own words are not among the conversations, those that were kept are.
  EXPECT_EQ(home->conversations().list(10, std::nullopt, false)->threads.size(), 1u);
  EXPECT_EQ(search(home->ledger(), "newq", 10, std::nullopt)->hits.size(), 1u);
}

TEST(Compares, ACrashStopsThem) {
  TestHome home;
  const auto begun = home->compares().begin(question("a", false), "in_turn");
  ASSERT_TRUE(home->compares().open(begun->compare.id, begun->compare.columns[0]["id"],
                                    {.model = "bielik", .model_name = "Bielik"}));
  EXPECT_EQ(home->compares().remove(begun->compare.id).error().code, "compare.busy");
  home.reopen();
  const Json c = (*home->compares().shown(begun->compare.id))["compare"];
  EXPECT_EQ(c["state"], "stopped");
  EXPECT_EQ(c["columns"][0]["state"], "interrupted");
  EXPECT_EQ(c["columns"][1]["state"], "stopped");
  ASSERT_TRUE(home->compares().remove(begun->compare.id));
  EXPECT_EQ(home->compares().shown(begun->compare.id).error().code, "compare.unknown");
}

}  // namespace
}  // namespace watra::home
