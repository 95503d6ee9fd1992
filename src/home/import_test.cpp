#include "home/import.h"

#include <algorithm>

#include "base/memory.h"
#include "base/passing_file.h"
#include "home/export.h"
#include "home/import_formats.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

const auto kGoOn = [] { return true; };

Result<ImportReport> import_bytes(Home& home, const std::string& bytes, bool dry = false) {
  PassingFile file = *PassingFile::create(home.passing_folder());
  EXPECT_TRUE(file.file().append(bytes));
  return import_file(home, file.path(), dry, kGoOn);
}

ImportReport import(Home& home, const std::string& bytes, bool dry = false) {
  auto report = import_bytes(home, bytes, dry);
  EXPECT_TRUE(report) << report.error().message;
  return report ? *report : ImportReport{};
}

int64_t count(Home& home, const std::string& what) {
  Statement s = home.db().query("SELECT count(*) FROM " + what);
  s.step();
  return s.integer(0);
}

Json chatgpt_node(const char* parent, const char* role, const char* words, double at) {
  return {{"parent", parent ? Json(parent) : Json(nullptr)},
          {"message",
           {{"author", {{"role", role}}},
            {"create_time", at},
            {"recipient", "all"},
            {"content", {{"content_type", "text"}, {"parts", {words}}}},
            {"metadata", {{"model_slug", "gpt-4"}}}}}};
}

std::string chatgpt() {
  Json talk = {{"title", "Hala"},
               {"conversation_id", "c1"},
               {"create_time", 1700000000.5},
               {"update_time", 1700000100},
               {"current_node", "b2"}};
  // A later node stands before its parent, a hidden system message between, and a branch.
  talk["mapping"]["b2"] = chatgpt_node("u1", "assistant", "Druga odpowiedź", 1700000003);
  talk["mapping"]["root"] = {{"parent", nullptr}, {"message", nullptr}};
  talk["mapping"]["sys"] = chatgpt_node("root", "system", "", 0);
  talk["mapping"]["u1"] = chatgpt_node("sys", "user", "Pytanie", 1700000001);
  talk["mapping"]["a1"] = chatgpt_node("u1", "assistant", "Pierwsza odpowiedź", 1700000002);
  return Json::array({talk}).dump();
}

TEST(Import, ChatGptKeepsItsBranches) {
  TestHome home;
  const ImportReport dry = import(*home, chatgpt(), true);
  EXPECT_EQ(dry.messages, 3);
  EXPECT_EQ(count(*home, "messages"), 0);
  const ImportReport report = import(*home, chatgpt());
  EXPECT_EQ(report.format, "chatgpt");
  EXPECT_EQ(report.threads, 1);
  EXPECT_EQ(report.messages, 3);
  const Thread thread = home->conversations().list(5, std::nullopt, false)->threads.at(0);
  EXPECT_EQ(thread.title, "Hala");
  EXPECT_EQ(thread.created_ms, 1700000000500);
  const auto path = home->conversations().path(*thread.head);
  ASSERT_EQ(path->size(), 2u);
  EXPECT_EQ((*path)[0].text(), "Pytanie");
  EXPECT_EQ((*path)[1].text(), "Druga odpowiedź");
  EXPECT_EQ((*path)[1].actor_name, "gpt-4");
  EXPECT_EQ((*path)[1].at_ms, 1700000003000);
  EXPECT_EQ((*path)[1].source, "import");
}

TEST(Import, TwiceAddsNothingAndItCanBeTakenBack) {
  TestHome home;
  const ImportReport first = import(*home, chatgpt());
  const ImportReport second = import(*home, chatgpt());
  EXPECT_EQ(second.messages, 0);
  EXPECT_EQ(second.threads, 0);
  EXPECT_EQ(count(*home, "messages"), 3);
  EXPECT_EQ(*take_back_import(home->ledger(), first.id), 3);
  EXPECT_EQ(count(*home, "messages"), 0);
  EXPECT_EQ(count(*home, "threads"), 0);
  EXPECT_EQ(count(*home, "log WHERE content LIKE '%odpowied%'"), 0);
  EXPECT_EQ(take_back_import(home->ledger(), first.id).error().code, "import.unknown");
  EXPECT_EQ(import(*home, chatgpt()).messages, 3);  // and may come again
}

TEST(Import, WhatWasSaidSinceStays) {
  TestHome home;
  const ImportReport report = import(*home, chatgpt());
  const Thread thread = home->conversations().list(5, std::nullopt, false)->threads.at(0);
  ASSERT_TRUE(home->answers().begin({.client_id = "x",
                                     .thread = thread.id,
                                     .parent = thread.head,
                                     .parts = Json::array({{{"type", "text"}, {"text", "moje"}}}),
                                     .by = {.model = "m", .model_name = "M"}}));
  ASSERT_TRUE(home->answers().close_left_over());
  EXPECT_EQ(*take_back_import(home->ledger(), report.id), 3);
  EXPECT_EQ(count(*home, "messages WHERE state = 'erased'"), 3);
  EXPECT_EQ(count(*home, "messages WHERE parts LIKE '%moje%'"), 1);
}

TEST(Import, Claude) {
  TestHome home;
  const Json talk = {
      {"uuid", "k"},
      {"name", "Watra"},
      {"created_at", "2024-07-04T15:05:12.500Z"},
      {"updated_at", "2024-07-04T17:05:12+02:00"},
      {"chat_messages",
       {{{"uuid", "1"}, {"sender", "human"}, {"text", "Cześć"}, {"created_at", "2024-07-04T15:05:12.500Z"}},
        {{"uuid", "2"},
         {"sender", "assistant"},
         {"text", ""},
         {"content", {{{"type", "text"}, {"text", "Dzień dobry"}}}}}}}};
  EXPECT_EQ(import(*home, Json::array({talk}).dump()).format, "claude");
  const Thread thread = home->conversations().list(5, std::nullopt, false)->threads.at(0);
  EXPECT_EQ(thread.created_ms, 1720105512500);
  const auto path = home->conversations().path(*thread.head);
  ASSERT_EQ(path->size(), 2u);
  EXPECT_EQ((*path)[1].text(), "Dzień dobry");
}

TEST(Import, SillyTavernsSwipesAreSiblings) {
  TestHome home;
  const std::string lines =
      R"({"user_name":"Ja","character_name":"Gazda","create_date":"2024-7-4 @15h 05m 12s 123ms","chat_metadata":{}})"
      "\n"
      R"({"name":"Gazda","is_user":false,"mes":"Witaj","send_date":"July 4, 2024 3:05pm"})"
      "\n"
      R"({"name":"Ja","is_user":true,"mes":"Dobry wieczór","send_date":1720105512500})"
      "\n"
      R"({"name":"Gazda","is_user":false,"mes":"B","swipes":["A","B"],"swipe_id":1})"
      "\n";
  const ImportReport report = import(*home, lines);
  EXPECT_EQ(report.format, "sillytavern");
  EXPECT_EQ(report.messages, 4);
  const Thread thread = home->conversations().list(5, std::nullopt, false)->threads.at(0);
  EXPECT_EQ(thread.title, "Gazda");
  const auto path = home->conversations().path(*thread.head);
  ASSERT_EQ(path->size(), 3u);
  EXPECT_EQ((*path)[2].text(), "B");
  EXPECT_EQ((*path)[0].at_ms, 1720105500000);
  // The chat grew: only what is new comes.
  EXPECT_EQ(import(*home, lines + R"({"name":"Ja","is_user":true,"mes":"Dalej"})"
                                  "\n")
                .messages,
            1);
}

TEST(Import, TextGeneration) {
  TestHome home;
  const std::string history =
      R"({"internal": [["<|BEGIN-VISIBLE-CHAT|>", "Hej"], ["Pytanie", "Odpowiedź"]], "visible": [["", "Hej"], ["Pytanie", "Odpowiedź"]]})";
  EXPECT_EQ(import(*home, history).messages, 3);
}

TEST(Import, WhatIsNoneIsRefusedAndWhatIsBrokenIsTold) {
  TestHome home;
  for (const std::string& bad : {std::string("nothing"), std::string("{}"), std::string("PK\x03\x04zzzz"),
                                 std::string("[]"), std::string(5000, '[')}) {
    const auto report = import_bytes(*home, bad);
    ASSERT_FALSE(report) << bad.substr(0, 20);
    EXPECT_EQ(report.error().code, "import.unreadable");
  }
  std::string cut = chatgpt();
  cut.resize(cut.size() - 1);  // the list is not closed
  EXPECT_EQ(import(*home, cut).messages, 3);
  const Json loop = Json::array(
      {{{"id", "l"},
        {"mapping", {{"a", chatgpt_node("b", "user", "x", 1)}, {"b", chatgpt_node("a", "assistant", "y", 2)}}}}});
  EXPECT_EQ(import(*home, loop.dump()).messages, 2);
  EXPECT_FALSE(import(*home, R"([{"no":"talk"},)" + chatgpt().substr(1)).problems.empty());
}

TEST(Import, AFileIsNeverHeldWhole) {
  TestHome home;
  PassingFile file = *PassingFile::create(home->passing_folder());
  constexpr int kEntries = 150;
  const std::string no_talk = R"({"no":")" + std::string(size_t{1} << 20, 'x') + "\"},";
  ASSERT_TRUE(file.file().append("["));
  for (int i = 0; i < kEntries; ++i) ASSERT_TRUE(file.file().append(no_talk));
  ASSERT_TRUE(file.file().append(chatgpt().substr(1)));
  const uint64_t before = peak_resident_bytes();
  const auto report = import_file(*home, file.path(), true, kGoOn);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->messages, 3);
  EXPECT_EQ(report->problems.size(), 100u);  // as many as are told
  EXPECT_LT(peak_resident_bytes() - before, uint64_t{kEntries / 2} << 20);
}

TEST(Import, AConversationHasALongestLength) {
  TestHome home;
  const std::string too_long = R"({"mapping":{},"x":")" + std::string(kMostTalkBytes, 'x') + "\"}";
  const ImportReport among_others = import(*home, "[" + too_long + "," + chatgpt().substr(1));
  EXPECT_EQ(among_others.messages, 3);
  ASSERT_EQ(among_others.problems.size(), 1u);
  EXPECT_EQ(among_others.problems[0]["what"], "a conversation longer than 64 MiB");
  EXPECT_EQ(import_bytes(*home, too_long).error().code, "import.too_large");
  EXPECT_EQ(import_bytes(*home, "{\n" + too_long.substr(1)).error().code, "import.too_large");
}

TEST(Import, ALineThatIsNoneIsTold) {
  TestHome home;
  const ImportReport report = import(*home,
                                     "{\"user_name\":\"Ja\",\"character_name\":\"Gazda\"}\nno line\n\n"
                                     "{\"name\":\"Ja\",\"is_user\":true,\"mes\":\"Hej\"}\n");
  EXPECT_EQ(report.messages, 1);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_EQ(report.problems[0]["where"], "line 2");
}

// What others read of a message without asking again must be there: else it is told, and the rest comes.
TEST(Import, PartsAndFactsThatAreNoneAreLeftOut) {
  TestHome home;
  const auto message = [](const char* id, Json parts, Json facts) -> Json {
    return {{"id", id}, {"role", "assistant"}, {"at_ms", 1}, {"parts", std::move(parts)}, {"answer", std::move(facts)}};
  };
  const Json words = {{"type", "text"}, {"text", "dobre"}};
  Json exported = {{"watra", 1}, {"thread", {{"id", "t1"}, {"title", "Zima"}}}, {"messages", Json::array()}};
  exported["messages"].push_back(message("m1",
                                         {words,
                                          {{"type", "attachment"}, {"hash", 5}, {"name", "a"}, {"mime", "b"}},
                                          {{"type", "attachment"}, {"hash", "ab"}},
                                          {{"type", "text"}, {"text", "x"}, {"hash", nullptr}}},
                                         {{"context", {{"sees_from", 7}}}}));
  exported["messages"].push_back(message("m2", {words}, {{"context", {{"sees_from", "m1"}}}}));
  const ImportReport report = import(*home, exported.dump());
  EXPECT_EQ(report.messages, 2);
  EXPECT_EQ(report.problems.size(), 3u) << report.problems.dump();
  const Message m1 = *home->conversations().message("m1");
  EXPECT_EQ(m1.parts, Json::array({words}));
  EXPECT_TRUE(m1.facts.is_null());
  EXPECT_EQ(home->said(m1).value(), "dobre");
  EXPECT_EQ(home->conversations().message("m2")->facts["context"]["sees_from"], "m1");
}

TEST(Import, NothingGoesOnFromItself) {
  TestHome home;
  const Json words = Json::array({{{"type", "text"}, {"text", "echo"}}});
  const Json exported = {
      {"watra", 1},
      {"thread", {{"id", "t1"}, {"head", "m2"}}},
      {"messages",
       {{{"id", "m1"}, {"parent", "m2"}, {"parts", words}}, {{"id", "m2"}, {"parent", "m2"}, {"parts", words}}}}};
  EXPECT_EQ(import(*home, exported.dump()).messages, 2);
  for (const char* id : {"m1", "m2"}) EXPECT_FALSE(home->conversations().message(id)->parent) << id;
  EXPECT_EQ(home->conversations().path("m2")->size(), 1u);
}

TEST(Export, CanBeGivenUp) {
  TestHome home;
  ASSERT_TRUE(home->conversations().create({{"client_id", "t"}, {"title", "Zima"}}));
  const fs::path zip = home.folder / "out.zip";
  for (int most = 0; most < 4; ++most) {
    int n_asked = 0;
    EXPECT_EQ(export_house(*home, zip, [&] { return n_asked++ < most; }).error().code, "export.cancelled");
    EXPECT_FALSE(fs::exists(zip));
  }
}

// A file that is gone keeps nothing else from going out; which one it was stands in the zip.
TEST(Export, AFileThatIsGoneIsNamed) {
  TestHome from, to;
  const auto gone = from->attachments().keep("pierwszy", "a.txt", "text/plain");
  const auto kept = from->attachments().keep("drugi", "b.txt", "text/plain");
  ASSERT_TRUE(gone && kept);
  fs::remove(from->attachments().folder() / gone->hash);
  const fs::path zip = from.folder / "out.zip";
  const Status written = export_house(*from, zip, kGoOn);
  ASSERT_TRUE(written) << written.error().message;
  const ImportReport report = import(*to, *read_text_file(zip));
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].at("what").get<std::string>().find(gone->hash), std::string::npos);
  EXPECT_EQ(*to->attachments().content(kept->hash), "drugi");
}

TEST(Export, AHouseGoesIntoAnotherOne) {
  TestHome from, to;
  const auto file = from->attachments().keep("treść pliku", "a.txt", "text/plain");
  ASSERT_TRUE(from->kept().put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "krótko"}}));
  ASSERT_TRUE(from->kept().put(kPhrase, "list", {{"name", "List"}, {"text", "Napisz list o {{temat}}."}}));
  ASSERT_TRUE(from->kept().put(kPhrase, "both", {{"name", "Tam"}, {"text", "stąd"}}));
  ASSERT_TRUE(to->kept().put(kPhrase, "both", {{"name", "Tu"}, {"text", "stąd"}}));
  const auto thread = from->conversations().create({{"client_id", "t"}, {"title", "Zima"}});
  Json parts = Json::array({{{"type", "text"}, {"text", "Zażółć"}}});
  parts.push_back({{"type", "attachment"},
                   {"hash", file->hash},
                   {"name", "a.txt"},
                   {"mime", "text/plain"},
                   {"bytes", 12u},
                   {"n_tokens", nullptr}});
  const auto turn = from->answers().begin(
      {.client_id = "x", .thread = thread->id, .parts = parts, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(turn) << turn.error().message;
  ASSERT_TRUE(from->answers().close_left_over());
  const fs::path zip = from.folder / "out.zip";
  const Status written = export_house(*from, zip, kGoOn);
  ASSERT_TRUE(written) << written.error().message;
  const std::string bytes = *read_text_file(zip);
  const ImportReport report = import(*to, bytes);
  EXPECT_EQ(report.format, "watra");
  EXPECT_EQ(report.messages, 2);
  EXPECT_EQ(report.problems, Json::array());
  EXPECT_EQ(to->conversations().thread(thread->id)->thread.title, "Zima");  // ids never change
  EXPECT_EQ(to->conversations().message(turn->said->id)->parts, parts);
  EXPECT_EQ(*to->attachments().content(file->hash), "treść pliku");
  EXPECT_EQ(to->personas().find("gazda")->text, "krótko");
  EXPECT_EQ((*to->kept().find(kPhrase, "list"))["text"], "Napisz list o {{temat}}.");
  EXPECT_EQ((*to->kept().find(kPhrase, "both"))["name"], "Tu");  // what is here stays
  EXPECT_EQ(import(*to, bytes).messages, 0);
  EXPECT_EQ(import(*from, bytes).messages, 0);  // into the house it came from
  EXPECT_NE(export_thread(*from, thread->id, "md")->find("Zażółć"), std::string::npos);
  EXPECT_EQ(import(*to, *export_thread(*from, thread->id, "json")).messages, 0);
  EXPECT_EQ(export_thread(*from, thread->id, "pdf").error().code, "request.invalid");
}

// What a conversation is, without what each house counts for itself.
Json told(Home& home, const std::string& thread) {
  Json out = {{"thread", home.conversations().thread(thread)->thread.json()}};
  const auto found = home.conversations().messages(thread, 100, std::nullopt);
  for (const Message& m : found->messages) {
    Json one = m.json();
    for (const char* own : {"log", "seq"}) one.erase(own);
    out["messages"].push_back(std::move(one));
  }
  return out;
}

Json file_part(const Attachment& a) {
  return {{"type", "attachment"},
          {"hash", a.hash},
          {"name", a.name},
          {"mime", a.mime},
          {"bytes", static_cast<uint64_t>(a.bytes)},
          {"n_tokens", nullptr}};
}

TEST(Export, AConversationComesBackAsItWas) {
  TestHome from;
  const auto file = from->attachments().keep(std::string("żółw\0\xff", 9), "żółw.bin", "application/octet-stream");
  ASSERT_TRUE(from->kept().put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "krótko"}}));
  const auto thread = from->conversations().create({{"client_id", "t"}, {"title", "Zima"}, {"persona", "gazda"}});
  ASSERT_TRUE(from->conversations().change(thread->id, {{"system", "Mów."}, {"sampling", {{"temperature", 0.3}}}}));
  Json parts = Json::array({{{"type", "text"}, {"text", "Zażółć"}}, file_part(*file)});
  const Answerer by{.model = "m", .model_name = "M", .persona = "gazda", .persona_name = "Gazda"};
  const auto first = from->answers().begin({.client_id = "a", .thread = thread->id, .parts = parts, .by = by});
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(from->answers().close_left_over());
  parts.erase(1);
  const auto second = from->answers().begin({.client_id = "b",
                                             .thread = thread->id,
                                             .parent = first->answer.id,
                                             .parts = parts,
                                             .ref = first->said->id,
                                             .by = by});
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_TRUE(from->answers().close_left_over());
  ASSERT_TRUE(from->conversations().pin(first->answer.id, true));
  ASSERT_TRUE(from->conversations().rewrite(first->answer.id, {{"client_id", "e"}, {"text", "Inaczej"}}));
  // An answer from elsewhere, words erased in the middle of the tree, a name of the longest, and what is not said yet.
  ASSERT_TRUE(from->conversations().erase_message(second->said->id));
  {
    Transaction t(from->db());
    Message pasted{.thread = thread->id,
                   .parent = second->said->id,
                   .role = "assistant",
                   .actor_kind = "model",
                   .actor_name = "Inny",
                   .parts = parts,
                   .source = "pasted"};
    from->ledger().insert_message(pasted);
    Message result{.thread = thread->id,
                   .parent = pasted.id,
                   .role = "tool",
                   .actor_kind = "system",
                   .parts = {{{"type", "tool_result"}, {"id", "c1"}, {"text", "7"}}},
                   .source = "api"};
    from->ledger().insert_message(result);
    t.commit();
  }
  std::string name;
  for (int i = 0; i < 40; ++i) name += "Zima ";
  const auto unsent = from->attachments().keep("jeszcze nie", "b.txt", "text/plain");
  const Json draft = {{"text", "A może"}, {"parts", Json::array({file_part(*unsent)})}, {"at_ms", 1764115200000}};
  ASSERT_TRUE(from->conversations().change(thread->id, {{"title", name}, {"draft", draft}, {"tags", {"zima"}}}));
  const Json before = told(*from, thread->id);
  const fs::path zip = from.folder / "out.zip";
  ASSERT_TRUE(export_house(*from, zip, kGoOn));
  for (const std::string& exported :
       {*export_thread(*from, thread->id, "json"), *export_thread(*from, thread->id, "json", {.line_bytes = 1}),
        *read_text_file(zip)}) {
    TestHome to;
    const ImportReport report = import(*to, exported);
    EXPECT_EQ(report.problems, Json::array());
    EXPECT_EQ(told(*to, thread->id), before);
    EXPECT_EQ(to->personas().find("gazda")->text, "krótko");
    EXPECT_EQ(*to->attachments().content(unsent->hash), "jeszcze nie");
    EXPECT_EQ(import(*to, exported).messages, 0);
    EXPECT_EQ(told(*to, thread->id), before);
    EXPECT_EQ(*to->attachments().content(file->hash), std::string("żółw\0\xff", 9));
    ASSERT_TRUE(take_back_import(to->ledger(), report.id));
    EXPECT_EQ(count(*to, "threads"), 0);
  }
}

// A branch says where it came from, in a house where those ids are others too; a conversation with nothing but a draft
// comes along.
TEST(Export, WhereABranchCameFromAndWhatIsOnlyBegunComeBack) {
  TestHome from;
  const Json words = Json::array({{{"type", "text"}, {"text", "jeden"}}});
  const auto thread = from->conversations().create({{"client_id", "t"}, {"title", "Zima"}});
  const auto turn = from->answers().begin(
      {.client_id = "a", .thread = thread->id, .parts = words, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(turn && from->answers().close_left_over());
  const auto fork = from->conversations().fork(thread->id, {{"client_id", "f"}, {"at", turn->answer.id}});
  ASSERT_TRUE(fork);
  const auto begun = from->conversations().create({{"client_id", "d"}});
  ASSERT_TRUE(from->conversations().change(begun->id,
                                           {{"draft", {{"text", "Drogi"}, {"parts", Json::array()}, {"at_ms", 5}}}}));
  const fs::path zip = from.folder / "out.zip";
  ASSERT_TRUE(export_house(*from, zip, kGoOn));
  TestHome to;
  import(*to, *read_text_file(zip));
  for (const std::string& id : {thread->id, fork->id, begun->id}) EXPECT_EQ(told(*to, id), told(*from, id)) << id;
  EXPECT_EQ(to->conversations().thread(fork->id)->thread.origin["message"], turn->answer.id);
  EXPECT_EQ(to->conversations().message(*fork->head)->origin, turn->answer.id);
  EXPECT_EQ(*export_thread(*to, begun->id, "md"), *export_thread(*from, begun->id, "md"));
  // The branch alone, where what it came from was taken back and stands in the log as words that went: under new ids.
  TestHome other;
  const ImportReport whole = import(*other, *read_text_file(zip));
  ASSERT_TRUE(take_back_import(other->ledger(), whole.id));
  import(*other, *read_text_file(zip));
  const Thread again = other->conversations().thread(fork->id)->thread;
  const std::string at = again.origin["message"];
  EXPECT_NE(at, turn->answer.id);
  EXPECT_EQ(other->conversations().message(at)->thread, thread->id);
  EXPECT_EQ(other->conversations().message(*again.head)->origin, at);
}

TEST(Export, WhatDidNotComeWithItIsSaid) {
  TestHome from, to;
  const auto file = from->attachments().keep("treść pliku", "a.txt", "text/plain");
  const auto thread = from->conversations().create({{"client_id", "t"}, {"title", "Zima"}});
  const Json parts = Json::array({file_part(*file), {{"type", "text"}, {"text", "Co tam jest?"}}});
  const auto turn = from->answers().begin(
      {.client_id = "x", .thread = thread->id, .parts = parts, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(turn) << turn.error().message;
  ASSERT_TRUE(from->answers().close_left_over());
  const std::string exported = *export_thread(*from, thread->id, "json", {.file_bytes = 3});
  EXPECT_TRUE(Json::parse(exported)["attachments"][0]["content"].is_null());
  const ImportReport report = import(*to, exported);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0]["what"].get<std::string>().find(file->hash), std::string::npos);
  const auto there = to->conversations().message(turn->said->id);
  EXPECT_EQ(there->parts, parts);
  EXPECT_EQ(there->json()["parts"][0]["missing"], true);
  EXPECT_EQ(*to->said(*there), "[a.txt: this file is not here any more]\n\nCo tam jest?");
  EXPECT_NE(export_thread(*to, thread->id, "md")->find("a.txt (this file is not here any more)"), std::string::npos);
  // With the file it is whole again, in the house that lacked it too.
  EXPECT_EQ(import(*to, *export_thread(*from, thread->id, "json")).messages, 0);
  EXPECT_FALSE(to->conversations().message(turn->said->id)->json()["parts"][0].contains("missing"));
  // Gone from the disk is gone.
  fs::remove(from->attachments().folder() / file->hash);
  EXPECT_EQ(from->conversations().message(turn->said->id)->json()["parts"][0]["missing"], true);
  EXPECT_EQ(*from->said(*from->conversations().message(turn->said->id)),
            "[a.txt: this file is not here any more]\n\nCo tam jest?");
}

TEST(Export, MarkdownSpeaksTheLanguageOfItsReader) {
  TestHome home;
  const auto thread = home->conversations().create({{"client_id", "t"}});
  home->db().run("UPDATE threads SET created_ms = 1764115200000");
  EXPECT_EQ(*export_thread(*home, thread->id, "md", {.language = "pl"}), "# Rozmowa z 26.11.2025\n");
  EXPECT_EQ(*export_thread(*home, thread->id, "md"), "# Conversation of 2025-11-26\n");
  const Json parts = Json::array({{{"type", "text"}, {"text", "Co słychać?"}}});
  ASSERT_TRUE(home->answers().begin(
      {.client_id = "x", .thread = thread->id, .parts = parts, .by = {.model = "m", .model_name = "Bielik"}}));
  ASSERT_TRUE(home->answers().close_left_over());
  home->db().run("UPDATE threads SET title = ''");
  EXPECT_EQ(*export_thread(*home, thread->id, "md", {.language = "pl"}),
            "# Co słychać?\n\n**Ty**\n\nCo słychać?\n\n**Bielik**\n\n");
  const std::string answer = *home->conversations().thread(thread->id)->thread.head;
  ASSERT_TRUE(home->conversations().rewrite(answer, {{"client_id", "e"}, {"text", "Cicho."}}));
  EXPECT_EQ(*export_thread(*home, thread->id, "md", {.language = "pl"}),
            "# Co słychać?\n\n**Ty**\n\nCo słychać?\n\n**Bielik** (poprawione)\n\nCicho.\n");
  EXPECT_NE(export_thread(*home, thread->id, "md")->find("**You**"), std::string::npos);
}

// A thread with two branches, whose lines hold one message each.
TEST(Export, ALongThreadComesBackFromSeveralLines) {
  TestHome from;
  const auto thread = from->conversations().create({{"client_id", "t"}, {"title", "Zima"}});
  const auto say = [&](const char* client_id, std::optional<std::string> parent) {
    const auto turn = from->answers().begin({.client_id = client_id,
                                             .thread = thread->id,
                                             .parent = std::move(parent),
                                             .parts = Json::array({{{"type", "text"}, {"text", client_id}}}),
                                             .by = {.model = "m", .model_name = "M"}});
    EXPECT_TRUE(turn) << turn.error().message;
    EXPECT_TRUE(from->answers().close_left_over());
    return *turn;
  };
  const Turn a = say("a", {}), b = say("b", a.answer.id), c = say("c", a.answer.id);
  ASSERT_TRUE(from->kept().put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "krótko"}}));
  ASSERT_TRUE(from->kept().put(kPersona, "baca", {{"name", "Baca"}, {"text", "długo"}}));
  const fs::path zip = from.folder / "out.zip";
  ASSERT_TRUE(export_house(*from, zip, kGoOn, {.line_bytes = 1}));
  const std::string lines = *export_thread(*from, thread->id, "json", {.line_bytes = 1});
  EXPECT_EQ(std::ranges::count(lines, '\n'), 6);
  for (const std::string& exported : {lines, *read_text_file(zip)}) {
    TestHome to;
    const ImportReport counted = import(*to, exported, true);
    EXPECT_EQ(counted.messages, 6);
    EXPECT_EQ(counted.threads, 1);
    const ImportReport report = import(*to, exported);
    EXPECT_EQ(report.problems, Json::array());
    EXPECT_EQ(report.messages, 6);
    EXPECT_EQ(report.threads, 1);
    EXPECT_EQ(to->conversations().thread(thread->id)->thread.head, c.answer.id);
    EXPECT_EQ(to->conversations().message(b.said->id)->parent, a.answer.id);
    EXPECT_EQ(to->conversations().message(c.answer.id)->parent, c.said->id);
    EXPECT_EQ(import(*to, exported).messages, 0);
    EXPECT_EQ(import(*from, exported).messages, 0);
  }
  TestHome to;
  import(*to, *read_text_file(zip));
  EXPECT_EQ(to->personas().find("baca")->text, "długo");
  EXPECT_EQ(to->personas().find("gazda")->text, "krótko");
}

TEST(Export, AMessageAsLongAsAConversationMayBeComesBack) {
  TestHome to;
  Json exported = {{"watra", 1}, {"thread", {{"id", "t1"}, {"title", "Zima"}}}, {"messages", Json::array()}};
  Json message = {{"id", "m1"}, {"role", "user"}, {"parts", Json::array()}};
  message["parts"].push_back(Json{{"type", "text"}, {"text", std::string(kMostTalkBytes, 'x')}});
  exported["messages"].push_back(std::move(message));
  const ImportReport report = import(*to, dump(exported) + "\n", true);
  EXPECT_EQ(report.messages, 1);
  EXPECT_EQ(report.problems, Json::array());
}

}  // namespace
}  // namespace watra::home
