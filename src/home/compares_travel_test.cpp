// Compares out of one house and into another.
#include <fstream>

#include "home/compares.h"
#include "home/export.h"
#include "home/import.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

const auto kGoOn = [] { return true; };

Result<ImportReport> import_bytes(Home& home, const std::string& bytes, bool dry = false) {
  const fs::path file = home.folder() / make_id("in-");
  std::ofstream(file) << bytes;
  auto report = import_file(home, file, dry, kGoOn);
  fs::remove(file);
  return report;
}

Json facts_of(const std::string& model) {
  return {{"model",
           {{"id", model}, {"file", model + ".gguf"}, {"sha256", "abc"}, {"quant", "Q8_0"}, {"template", "chatml"}}},
          {"persona", nullptr},
          {"sampling", {{"temperature", 0.1}}},
          {"seed", 17},
          {"decode_tokens_per_s", 5.25},
          {"context", {{"n_ctx", 8192}, {"sees_from", nullptr}}}};
}

// Two models, one of them as a persona, and an answer from elsewhere.
std::string asked(Home& home, bool blind, const char* client = "a") {
  EXPECT_TRUE(home.kept().put(kPersona, "kasia", {{"name", "Kasia"}, {"text", "Jesteś Kasią."}}));
  const Json body = {{"client_id", client},
                     {"question", "Co słychać na hali?"},
                     {"system", "Krótko."},
                     {"columns", Json::array({{{"model", "bielik"}, {"persona", "kasia"}},
                                              {{"model", "qwen"}, {"sampling", {{"temperature", 0.1}}}}})},
                     {"blind", blind}};
  const Compare c = home.compares().begin(body, "in_turn")->compare;
  for (const Json& column : c.columns) {
    const std::string model = column["model"];
    Answerer by{.model = model, .model_name = model};
    if (column["persona"].is_string()) by.persona = "kasia", by.persona_name = "Kasia";
    const auto turn = home.compares().open(c.id, column["id"], by);
    EXPECT_TRUE(home.answers().apply({{.kind = AnswerStep::Kind::piece,
                                       .thread = c.thread,
                                       .message = turn->answer.id,
                                       .part_kind = "text",
                                       .text = "Owce | i\ncisza."},
                                      {.kind = AnswerStep::Kind::ended,
                                       .thread = c.thread,
                                       .message = turn->answer.id,
                                       .run = new_run(turn->run, c.thread, turn->answer.id),
                                       .facts = facts_of(model),
                                       .state = "done"}}));
  }
  EXPECT_TRUE(home.compares().end(c.id, "done"));
  EXPECT_TRUE(home.compares().paste(c.id, {{"name", "Skądinąd"}, {"text", "Redyk."}}));
  return c.id;
}

void vote(Home& home, const std::string& id, int column) {
  const Json told = (*home.compares().shown(id))["compare"];
  ASSERT_TRUE(home.compares().vote(id, {{"column", told["columns"][column]["id"]}, {"verdict", "best"}}));
}

Json shown(Home& home, const std::string& id) {
  const auto told = home.compares().shown(id);
  EXPECT_TRUE(told) << id;
  if (!told) return nullptr;
  Json compare = told->at("compare");
  for (Json& column : compare["columns"])
    if (column["answer"].is_object())
      for (const char* name : {"log", "seq"}) column["answer"].erase(name);  // numbers of each house's own
  return compare;
}

TEST(ComparesTravel, FromHouseToHouseTheyAreTheSame) {
  for (const bool blind : {false, true}) {
    TestHome from, to;
    const std::string id = asked(*from, blind);
    vote(*from, id, 1);
    const Json before = shown(*from, id);
    const std::string thread = before["thread"];
    for (const size_t line_bytes : {kExportLineBytes, size_t{1}}) {  // whole, and a message a line
      TestHome house;
      const auto report = import_bytes(*house, *export_thread(*from, thread, "json", {.line_bytes = line_bytes}));
      ASSERT_TRUE(report) << report.error().message;
      EXPECT_EQ(report->compares, 1);
      EXPECT_EQ(report->threads, 0);
      EXPECT_EQ(report->messages, 4);
      EXPECT_TRUE(report->problems.empty()) << dump(report->problems);
      EXPECT_EQ(shown(*house, id), before) << line_bytes;
      EXPECT_EQ(house->personas().find("kasia")->text, "Jesteś Kasią.");
      EXPECT_TRUE(house->conversations().list(5, std::nullopt, false)->threads.empty()) << "it is no conversation";
    }
    ASSERT_TRUE(import_bytes(*to, *export_compares(*from, {})));
    EXPECT_EQ(shown(*to, id), before);
    EXPECT_EQ(*to->compares().table("json", {}), *from->compares().table("json", {}));
    const auto again = import_bytes(*to, *export_compares(*from, {id}));
    EXPECT_EQ(again->compares + again->messages, 0) << "twice adds nothing";
    EXPECT_EQ(export_compares(*from, {"c_none"}).error().code, "compare.unknown");
  }
}

TEST(ComparesTravel, InTheZipOfAHouse) {
  TestHome from, to;
  const std::string open = asked(*from, false, "a"), blind = asked(*from, true, "b");
  const fs::path zip = from.folder / "all.zip";
  ASSERT_TRUE(export_house(*from, zip, kGoOn));
  const auto dry = import_file(*to, zip, true, kGoOn);
  EXPECT_EQ(dry->compares, 2);
  EXPECT_TRUE(to->compares().list(5, std::nullopt)->compares.empty());
  const auto report = import_file(*to, zip, false, kGoOn);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->compares, 2);
  EXPECT_EQ(shown(*to, open), shown(*from, open));
  EXPECT_EQ(shown(*to, blind), shown(*from, blind));
  EXPECT_EQ(*take_back_import(to->ledger(), report->id), 8);
  EXPECT_TRUE(to->compares().list(5, std::nullopt)->compares.empty());
}

TEST(ComparesTravel, ABlindOneStaysBlindUntilTheVoteInTheOtherHouse) {
  TestHome from, to;
  const std::string id = asked(*from, true);
  const std::string thread = from->compares().find(id)->thread;
  const std::string file = *export_thread(*from, thread, "json"), page = *export_thread(*from, thread, "md");
  for (const std::string& text : {file, page, *export_compares(*from, {})}) {
    EXPECT_EQ(text.find("bielik"), std::string::npos) << text;
    EXPECT_EQ(text.find("asia"), std::string::npos) << text;
    EXPECT_EQ(text.find("Q8_0"), std::string::npos) << text;
  }
  ASSERT_TRUE(import_bytes(*to, file));
  EXPECT_EQ(shown(*to, id), shown(*from, id));
  EXPECT_EQ(dump(shown(*to, id)).find("bielik"), std::string::npos);
  vote(*from, id, 0);
  vote(*to, id, 0);
  EXPECT_EQ(shown(*to, id), shown(*from, id));
  EXPECT_NE(dump(shown(*to, id)).find("bielik"), std::string::npos);
  EXPECT_NE(dump(shown(*to, id)).find("Q8_0"), std::string::npos);
}

TEST(ComparesTravel, WhatWasUnderWayIsStopped) {
  TestHome from, to;
  const Json body = {{"client_id", "a"},
                     {"question", "Co?"},
                     {"columns", Json::array({{{"model", "a"}}, {{"model", "b"}}})},
                     {"blind", false}};
  const Compare c = from->compares().begin(body, "together")->compare;
  ASSERT_TRUE(from->compares().open(c.id, c.columns[0]["id"], {.model = "a", .model_name = "a"}));
  ASSERT_TRUE(import_bytes(*to, *export_thread(*from, c.thread, "json")));
  const Json told = shown(*to, c.id);
  EXPECT_EQ(told["state"], "stopped");
  EXPECT_EQ(told["columns"][0]["state"], "interrupted");
  EXPECT_EQ(told["columns"][1]["state"], "stopped");
  EXPECT_TRUE(told["columns"][1]["answer"].is_null());
  EXPECT_TRUE(to->compares().remove(c.id)) << "it is nobody's any more";
}

TEST(ComparesTravel, EarlierExportsStillComeInAsConversations) {
  TestHome from, to;
  const std::string id = asked(*from, false);
  Json old = Json::parse(*export_thread(*from, from->compares().find(id)->thread, "json"));
  ASSERT_TRUE(old.contains("compare"));
  old.erase("compare");
  const auto report = import_bytes(*to, old.dump());
  EXPECT_EQ(report->threads, 1);
  EXPECT_EQ(report->compares, 0);
  EXPECT_EQ(report->messages, 4);
  EXPECT_EQ(to->conversations().list(5, std::nullopt, false)->threads.size(), 1u);
}

TEST(ComparesTravel, NothingOfAFileIsBelieved) {
  TestHome from;
  const std::string id = asked(*from, false);
  const Json good = Json::parse(*export_thread(*from, from->compares().find(id)->thread, "json"));
  const auto with = [&](const std::function<void(Json & compare)>& change) {
    Json file = good;
    change(file["compare"]);
    return file.dump();
  };
  const std::string bad[] = {
      with([](Json& c) { c = 7; }),
      with([](Json& c) { c["columns"] = Json::array(); }),
      with([](Json& c) {
        c["columns"] = Json::array({1, 2});
      }),
      with([](Json& c) {
        for (int i = 0; i < 30; ++i) c["columns"].push_back(c["columns"][0]);
      }),
      with([](Json& c) { c["columns"][0] = Json::object(); }),
      with([](Json& c) { c["columns"][0]["message"] = "m_nobody"; }),
      with([](Json& c) {
        c["columns"][0]["sampling"] = {{"temperature", "hot"}};
      }),
      with([](Json& c) { c["columns"][0]["model"] = std::string(5000, 'x'); }),
      with([](Json& c) {
        c["vote"] = {{"column", "k_none"}, {"verdict", "best"}};
      }),
      with([](Json& c) {
        c["vote"] = {{"verdict", 3}};
      }),
      with([](Json& c) { c["id"] = "../../etc"; }),
      with([](Json& c) { c["state"] = "running"; }),
      with([](Json& c) { c["order"] = 5, c["blind"] = "yes", c["created_ms"] = "never", c["question"] = nullptr; }),
      with([](Json& c) { c["sealed"] = "!!!"; }),
      with([](Json& c) { c["sealed"] = "bm8gSlNPTg=="; }),
  };
  for (const std::string& file : bad) {
    TestHome to;
    const auto report = import_bytes(*to, file);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->messages, 4);
    const auto list = to->compares().list(5, std::nullopt);
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ(list->compares.size() + to->conversations().list(5, std::nullopt, false)->threads.size(), 1u);
    for (const Json& c : list->compares) {
      EXPECT_NE(c["state"], "running");
      EXPECT_NE(c["id"], "../../etc");
      EXPECT_TRUE(to->compares().table("csv", {}));
      EXPECT_TRUE(export_thread(*to, c["thread"], "md"));
      EXPECT_TRUE(to->compares().vote(c["id"], {{"column", nullptr}, {"verdict", "tie"}}));
      EXPECT_TRUE(to->compares().remove(c["id"]));
    }
  }
}

TEST(ComparesTravel, AnIdThatIsTakenIsMadeAnew) {
  TestHome from, to;
  const std::string id = asked(*from, false);
  Json file = Json::parse(*export_thread(*from, from->compares().find(id)->thread, "json"));
  ASSERT_TRUE(import_bytes(*to, file.dump()));
  file["thread"]["id"] = "t_another";
  for (Json& m : file["messages"]) {
    m["id"] = "x" + m["id"].get<std::string>();
    if (m["parent"].is_string()) m["parent"] = "x" + m["parent"].get<std::string>();
  }
  for (Json& c : file["compare"]["columns"]) c["message"] = "x" + c["message"].get<std::string>();
  EXPECT_EQ(import_bytes(*to, file.dump())->compares, 1);
  EXPECT_EQ(to->compares().list(5, std::nullopt)->compares.size(), 2u);
}

TEST(ComparesTravel, AsMarkdown) {
  TestHome home;
  const std::string id = asked(*home, false);
  vote(*home, id, 1);
  const std::string thread = home->compares().find(id)->thread;
  EXPECT_EQ(*export_thread(*home, thread, "md", {.language = "pl"}),
            "# Co słychać na hali?\n\n**Wskazówka**\n\nKrótko.\n\n**Ty**\n\nCo słychać na hali?\n\n"
            "| Kolumna | A | B | C |\n|---|---|---|---|\n"
            "| Model | bielik | qwen | Skądinąd (wklejone) |\n"
            "| Kwantyzacja | Q8_0 | Q8_0 | — |\n"
            "| Persona | Kasia | — | — |\n"
            "| Ustawienia | — | temperature 0.1 | — |\n"
            "| Ziarno | 17 | 17 | — |\n"
            "| Prędkość (tok./s) | 5,2 | 5,2 | — |\n"
            "| Głos | — | najlepsza | — |\n"
            "\n## A: bielik\n\nOwce | i\ncisza.\n"
            "\n## B: qwen\n\nOwce | i\ncisza.\n"
            "\n## C: Skądinąd (wklejone)\n\nRedyk.\n");
  EXPECT_NE(export_thread(*home, thread, "md")->find("| Speed (tok/s) | 5.2 | 5.2 | — |"), std::string::npos);
}

TEST(ComparesTravel, WhatWasErasedIsInNoExport) {
  TestHome home;
  const std::string id = asked(*home, false);
  const Compare c = *home->compares().find(id);
  const Message question = home->conversations().messages(c.thread, 10, std::nullopt)->messages.at(0);
  ASSERT_TRUE(home->conversations().erase_message(question.id));
  for (const char* format : {"json", "md"})
    EXPECT_EQ(export_thread(*home, c.thread, format)->find("na hali"), std::string::npos) << format;
  EXPECT_EQ(home->compares().find(id)->question, "");
  Statement s = home->db().query("SELECT count(*) FROM events WHERE data LIKE '%na hali%'");
  ASSERT_TRUE(s.step());
  EXPECT_EQ(s.integer(0), 0);
}

}  // namespace
}  // namespace watra::home
