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

TEST(Compares, AColumnSpeaksOnceItHasWords) {
  TestHome home;
  const auto begun = home->compares().begin(question("a", false), "in_turn");
  ASSERT_TRUE(begun);
  const auto state = [&] { return (*home->compares().shown(begun->compare.id))["compare"]["columns"][0]["state"]; };
  EXPECT_EQ(state(), "queued");
  const auto turn =
      home->compares().open(begun->compare.id, begun->compare.columns[0]["id"], {.model = "m", .model_name = "M"});
  ASSERT_TRUE(turn);
  EXPECT_EQ(state(), "reading");
  const auto piece = [&](int part, const char* kind) {
    ASSERT_TRUE(home->answers().apply({{.kind = AnswerStep::Kind::piece,
                                        .thread = begun->compare.thread,
                                        .message = turn->answer.id,
                                        .part = part,
                                        .part_kind = kind,
                                        .text = "Hm"}}));
  };
  piece(0, "reasoning");
  EXPECT_EQ(state(), "thinking");
  piece(1, "text");
  EXPECT_EQ(state(), "speaking");
}

TEST(Compares, TheTableSaysUnderWhichConditions) {
  TestHome home;
  Json asked = question("a", false);
  asked["system"] = "Mów krótko.";
  const auto begun = home->compares().begin(asked, "in_turn");
  ASSERT_TRUE(begun) << begun.error().message;
  const Json first = begun->compare.columns[0];
  const auto turn =
      home->compares().open(begun->compare.id, first["id"],
                            {.model = "bielik", .model_name = "Bielik", .persona = "gazda", .persona_name = "Gazda"});
  ASSERT_TRUE(turn);
  ASSERT_TRUE(home->answers().apply({{.kind = AnswerStep::Kind::ended,
                                      .thread = begun->compare.thread,
                                      .message = turn->answer.id,
                                      .run = new_run(turn->run, begun->compare.thread, turn->answer.id),
                                      .facts = {{"model",
                                                 {{"id", "bielik"},
                                                  {"file", "bielik.gguf"},
                                                  {"sha256", "ab12"},
                                                  {"quant", "Q8_0"},
                                                  {"template", "chatml"}}},
                                                {"sampling", {{"temperature", 0.8}, {"top_p", 0.95}}},
                                                {"context", {{"n_ctx", 4096}, {"sees_from", nullptr}}},
                                                {"seed", 7},
                                                {"decode_tokens_per_s", 14.710643625817067}},
                                      .state = "done"}}));
  home->db().run("UPDATE compares SET created_ms = 1764115200000");
  const Json rows = Json::parse(*home->compares().table("json", {}));
  ASSERT_EQ(rows.size(), 2u);
  const Json expected = {{"question", "Co słychać na hali?"},
                         {"asked", "2025-11-26T00:00:00Z"},
                         {"system", "Mów krótko."},
                         {"column", "A"},
                         {"model", "bielik"},
                         {"file", "bielik.gguf"},
                         {"sha256", "ab12"},
                         {"quant", "Q8_0"},
                         {"template", "chatml"},
                         {"persona", "Gazda"},
                         {"n_ctx", 4096},
                         {"sampling", {{"temperature", 0.8}, {"top_p", 0.95}}},
                         {"seed", 7},
                         {"tokens_per_s", 14.71},
                         {"vote", nullptr},
                         {"answer", ""}};
  EXPECT_EQ(rows[0], expected);
  EXPECT_EQ(rows[1]["sampling"], (Json{{"temperature", 0.1}}));  // it has not answered: as it was asked for
  EXPECT_NE(home->compares().table("csv", {})->find("\"14.71\""), std::string::npos);
  const auto votes = [&](const Json& vote) {
    EXPECT_TRUE(home->compares().vote(begun->compare.id, vote));
    const Json table = Json::parse(*home->compares().table("json", {}));
    return Json{table[0]["vote"], table[1]["vote"]};
  };
  EXPECT_EQ(votes({{"column", first["id"]}, {"verdict", "best"}}), (Json{"best", nullptr}));
  EXPECT_EQ(votes({{"column", nullptr}, {"verdict", "tie"}}), (Json{"tie", "tie"}));
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
