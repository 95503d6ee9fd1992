#include "home/conversations.h"

#include <fstream>
#include <set>

#include "base/fault.h"
#include "base/must_test.h"
#include "home/search.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

Json text(const std::string& words) { return Json::array({{{"type", "text"}, {"text", words}}}); }

struct Talk {
  TestHome home;
  Conversations& talks = home->conversations();
  int n = 0;

  std::string client() { return "c" + std::to_string(++n); }
  Thread thread() { return *talks.create({{"client_id", client()}}); }
  // Said and answered at once.
  Turn turn(const std::string& thread, const std::optional<std::string>& parent, const std::string& words,
            const std::string& answer) {
    auto t = home->answers().begin({.client_id = client(),
                                    .thread = thread,
                                    .parent = parent,
                                    .parts = text(words),
                                    .by = {.model = "m", .model_name = "M"}});
    EXPECT_TRUE(t) << t.error().message;
    finish(*t, answer);
    return *t;
  }
  void finish(const Turn& t, const std::string& answer, const std::string& state = "done") {
    const Status done = home->answers().apply({{.kind = AnswerStep::Kind::piece,
                                                .thread = t.answer.thread,
                                                .message = t.answer.id,
                                                .part_kind = "text",
                                                .text = answer},
                                               {.kind = AnswerStep::Kind::ended,
                                                .thread = t.answer.thread,
                                                .message = t.answer.id,
                                                .run = new_run(t.run, t.answer.thread, t.answer.id),
                                                .state = state}});
    EXPECT_TRUE(done) << done.error().message;
  }
};

std::vector<std::string> ids(const std::vector<Message>& messages) {
  std::vector<std::string> out;
  for (const auto& m : messages) out.push_back(m.id);
  return out;
}

TEST(Conversations, AnEditIsASiblingAndNothingIsOverwritten) {
  Talk t;
  const Thread thread = t.thread();
  const Turn first = t.turn(thread.id, std::nullopt, "Jak rozpalić watrę?", "Suchym drewnem.");
  const Turn second = t.turn(thread.id, first.answer.id, "A na deszczu?", "Pod okapem.");
  const Turn edit = t.turn(thread.id, first.answer.id, "A w śniegu?", "Na kamieniach.");
  EXPECT_EQ(ids(*t.talks.path(edit.answer.id)),
            (std::vector{first.said->id, first.answer.id, edit.said->id, edit.answer.id}));
  EXPECT_EQ(ids(*t.talks.path(second.answer.id)),
            (std::vector{first.said->id, first.answer.id, second.said->id, second.answer.id}));
  const auto all = t.talks.messages(thread.id, 100, std::nullopt);
  ASSERT_EQ(all->messages.size(), 6u);
  for (size_t i = 1; i < 6; ++i) EXPECT_GT(all->messages[i].log, all->messages[i - 1].log);
  EXPECT_EQ(t.talks.message(second.said->id)->text(), "A na deszczu?");
  const auto seen = t.talks.thread(thread.id);
  EXPECT_EQ(seen->thread.head, edit.answer.id);
  EXPECT_EQ(seen->thread.n_messages, 6);
  EXPECT_EQ(seen->thread.title, "Jak rozpalić watrę?");
  EXPECT_FALSE(seen->thread.named);
}

TEST(Conversations, ATitleEndsWithAWord) {
  EXPECT_EQ(title_of("  Jak  rozpalić\nwatrę? "), "Jak rozpalić watrę?");
  EXPECT_EQ(title_of("Opowiedz o bacy, który nie pozwolił zgasnąć ogniowi przez całą zimę"),
            "Opowiedz o bacy, który nie pozwolił zgasnąć ogniowi przez…");
  EXPECT_EQ(title_of(std::string(70, 'x')), std::string(60, 'x') + "…");
  const std::string exact = "Sześćdziesiąt znaków co do jednego ma ten oto właśnie tytuł.";
  EXPECT_EQ(title_of(exact), exact);
  EXPECT_EQ(title_of(exact + " Dalej"), exact + "…");
}

TEST(Conversations, PagesOfATreeMeet) {
  Talk t;
  const Thread thread = t.thread();
  std::optional<std::string> parent;
  for (int i = 0; i < 5; ++i) parent = t.turn(thread.id, parent, "q" + std::to_string(i), "a").answer.id;
  const auto newest = t.talks.messages(thread.id, 4, std::nullopt);
  EXPECT_TRUE(newest->more);
  const auto rest = t.talks.messages(thread.id, 10, newest->messages[0].log);
  EXPECT_FALSE(rest->more);
  EXPECT_EQ(newest->messages.size() + rest->messages.size(), 10u);
  EXPECT_LT(rest->messages.back().log, newest->messages[0].log);
}

TEST(Conversations, AnAnswerInThePersonsWordsIsAVersionBesideIt) {
  Talk t;
  const Thread thread = t.thread();
  const auto begun = t.home->answers().begin(
      {.client_id = t.client(), .thread = thread.id, .parts = text("Gdzie?"), .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(t.home->answers().apply({{.kind = AnswerStep::Kind::piece,
                                        .thread = thread.id,
                                        .message = begun->answer.id,
                                        .part_kind = "reasoning",
                                        .text = "Hala czy las?"}}));
  EXPECT_EQ(t.talks.rewrite(begun->answer.id, {{"client_id", t.client()}, {"text", "x"}}).error().code, "thread.busy");
  ASSERT_TRUE(t.home->answers().apply({{.kind = AnswerStep::Kind::piece,
                                        .thread = thread.id,
                                        .message = begun->answer.id,
                                        .part = 1,
                                        .part_kind = "text",
                                        .text = "W lesie"},
                                       {.kind = AnswerStep::Kind::ended,
                                        .thread = thread.id,
                                        .message = begun->answer.id,
                                        .run = new_run(begun->run, thread.id, begun->answer.id),
                                        .facts = {{"seed", 7}},
                                        .state = "done"}}));
  const int64_t before = t.home->events().last();
  const Json body = {{"client_id", t.client()}, {"text", "Na hali, pod źródłem"}};
  const Message mine = *t.talks.rewrite(begun->answer.id, body);
  EXPECT_EQ(t.talks.rewrite(begun->answer.id, body)->id, mine.id) << "the same client_id makes it once";
  EXPECT_EQ(mine.parent, begun->answer.parent);
  EXPECT_EQ(mine.parts, (Json::array({{{"type", "reasoning"}, {"text", "Hala czy las?"}, {"seconds", nullptr}},
                                      {{"type", "text"}, {"text", "Na hali, pod źródłem"}}})));
  EXPECT_EQ(mine.source, "edited");
  EXPECT_EQ(mine.origin, begun->answer.id);
  EXPECT_TRUE(mine.facts.is_null()) << "no model wrote it";
  EXPECT_EQ(mine.actor_name, "M");
  EXPECT_EQ(t.talks.message(begun->answer.id)->text(), "W lesie");
  const auto told = t.home->events().read(before, 10);
  ASSERT_EQ(told->events.size(), 2u);
  EXPECT_EQ(told->events[0].type, "thread.message");
  EXPECT_EQ(Json::parse(told->events[1].data)["head"], mine.id);
  const auto found = search(t.home->ledger(), "zrodlem", 5, std::nullopt);
  ASSERT_EQ(found->hits.size(), 1u);
  EXPECT_EQ(found->hits[0].json()["version"], (Json{{"at", 2}, {"of", 2}}));
  // It goes on as any answer does.
  const auto on = t.home->answers().begin(
      {.client_id = t.client(), .thread = thread.id, .go_on = mine.id, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(on) << on.error().message;
  ASSERT_TRUE(t.home->answers().apply({{.kind = AnswerStep::Kind::piece,
                                        .thread = thread.id,
                                        .message = mine.id,
                                        .part = 1,
                                        .part_kind = "text",
                                        .text = ", gdzie owce."},
                                       {.kind = AnswerStep::Kind::ended,
                                        .thread = thread.id,
                                        .message = mine.id,
                                        .run = new_run(on->run, thread.id, mine.id),
                                        .state = "done"}}));
  EXPECT_EQ(t.talks.message(mine.id)->text(), "Na hali, pod źródłem, gdzie owce.");
  EXPECT_EQ(t.talks.message(mine.id)->source, "edited");
  // What is none is refused by name.
  const auto refused = [&](const std::string& id, const Json& wish) { return t.talks.rewrite(id, wish).error(); };
  EXPECT_TRUE(refused(*mine.parent, {{"client_id", t.client()}, {"text", "x"}}).message.starts_with("id: "));
  EXPECT_TRUE(refused(mine.id, {{"client_id", t.client()}, {"text", ""}}).message.starts_with("text: "));
  ASSERT_TRUE(t.talks.erase_message(mine.id));
  EXPECT_TRUE(refused(mine.id, {{"client_id", t.client()}, {"text", "x"}}).message.starts_with("id: "));
  EXPECT_EQ(refused("m_no", {{"client_id", t.client()}, {"text", "x"}}).code, "message.unknown");
}

TEST(Conversations, ManyAtOnceAreChangedAllOrNone) {
  Talk t;
  const std::string a = t.thread().id, b = t.thread().id;
  ASSERT_TRUE(t.talks.change(a, {{"tags", {"zima", "owce"}}}));
  const auto changed = t.talks.change_many({{"ids", {b, a, b}},
                                            {"archived", true},
                                            {"folder", "Hala"},
                                            {"add_tags", {"owce", "las"}},
                                            {"remove_tags", Json::array({"zima"})}});
  ASSERT_TRUE(changed) << changed.error().message;
  ASSERT_EQ(changed->size(), 2u);
  EXPECT_EQ((*changed)[0].id, b);
  EXPECT_EQ((*changed)[0].tags, (Json{"owce", "las"}));
  EXPECT_EQ((*changed)[1].tags, (Json{"owce", "las"}));
  EXPECT_EQ((*changed)[1].folder, "Hala");
  EXPECT_TRUE((*changed)[1].archived);
  EXPECT_EQ(t.talks.list(10, std::nullopt, true)->threads.size(), 2u);
  // One that is not there, or one value that is none, and nothing has changed.
  const int64_t before = t.home->events().last();
  EXPECT_EQ(t.talks.change_many({{"ids", {a, "t_no"}}, {"archived", false}}).error().code, "thread.unknown");
  const auto refused = [&](const Json& body) { return t.talks.change_many(body).error().message; };
  EXPECT_TRUE(refused({{"ids", Json::array()}}).starts_with("ids: "));
  EXPECT_TRUE(refused({{"ids", Json::array({a})}, {"archived", 1}}).starts_with("archived: "));
  EXPECT_TRUE(refused({{"ids", Json::array({a})}, {"add_tags", Json::array({""})}}).starts_with("add_tags: "));
  Json many = Json::array();
  for (int i = 0; i < 49; ++i) many.push_back("t" + std::to_string(i));
  EXPECT_TRUE(refused({{"ids", Json::array({a})}, {"add_tags", many}}).starts_with("add_tags: "));
  EXPECT_EQ(t.home->events().last(), before);
  EXPECT_TRUE(t.talks.thread(a)->thread.archived);
  ASSERT_TRUE(t.talks.change_many({{"ids", Json::array({a})}, {"folder", nullptr}}));
  EXPECT_FALSE(t.talks.thread(a)->thread.folder);
}

TEST(Conversations, ManyAtOnceAreErasedAllOrNone) {
  Talk t;
  const std::string a = t.thread().id, b = t.thread().id, kept = t.thread().id;
  t.turn(a, std::nullopt, "Raz", "Jeden");
  t.turn(kept, std::nullopt, "Raz", "Jeden");
  const auto busy = t.home->answers().begin(
      {.client_id = t.client(), .thread = b, .parts = text("Dwa"), .by = {.model = "m", .model_name = "M"}});
  EXPECT_EQ(t.talks.erase_many({{"ids", {a, b}}}).error().code, "thread.busy");
  EXPECT_EQ(search(t.home->ledger(), "raz", 5, std::nullopt)->hits.size(), 2u);
  t.finish(*busy, "Dwa");
  EXPECT_EQ(t.talks.erase_many({{"ids", {a, b}}})->n, 4);
  EXPECT_EQ(t.talks.thread(a).error().code, "thread.unknown");
  EXPECT_EQ(search(t.home->ledger(), "raz", 5, std::nullopt)->hits.size(), 1u);
  EXPECT_EQ(t.talks.erase_many({{"ids", Json::array({a})}}).error().code, "thread.unknown");
  EXPECT_EQ(t.talks.list(10, std::nullopt, false)->threads.size(), 1u);
}

TEST(Conversations, TheSameClientIdMakesNothingTwice) {
  Talk t;
  const auto a = t.talks.create({{"client_id", "same"}, {"title", "Hala"}});
  const int64_t after = t.home->events().last();
  const auto b = t.talks.create({{"client_id", "same"}, {"title", "Inna"}});
  EXPECT_EQ(a->id, b->id);
  EXPECT_EQ(b->title, "Hala");
  EXPECT_EQ(t.home->events().last(), after);
  t.home->db().run("UPDATE client_ids SET at_ms = at_ms - 90000000");  // more than a day
  EXPECT_NE(t.talks.create({{"client_id", "same"}})->id, a->id);
  for (const Json& bad : {Json(nullptr), Json(""), Json("ż"), Json(std::string(65, 'a')), Json(5)})
    EXPECT_EQ(t.talks.create({{"client_id", bad}}).error().code, "request.invalid");
}

TEST(Conversations, ChangesNameWhatTheyChange) {
  Talk t;
  const Thread thread = t.thread();
  const Turn turn = t.turn(thread.id, std::nullopt, "x", "y");
  const auto changed = t.talks.change(thread.id, {{"title", "Zima"},
                                                  {"pinned", true},
                                                  {"tags", {"a", "b"}},
                                                  {"sampling", {{"temperature", 0.3}}},
                                                  {"head", turn.said->id}});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_TRUE(changed->named && changed->pinned);
  EXPECT_EQ(changed->tags, (Json{"a", "b"}));
  EXPECT_EQ(changed->sampling, (Json{{"temperature", 0.3}}));
  EXPECT_EQ(changed->head, turn.said->id);
  EXPECT_EQ(t.talks.change(thread.id, {{"system", "Mów krótko."}})->title, "Zima");
  const Thread other = t.thread();
  for (const Json& bad : {Json{{"title", ""}}, Json{{"pinned", 1}}, Json{{"sampling", {{"temperature", 9}}}},
                          Json{{"tags", "a"}}, Json{{"draft", "x"}}}) {
    const auto refused = t.talks.change(thread.id, bad);
    ASSERT_FALSE(refused) << bad.dump();
    EXPECT_EQ(refused.error().code, "request.invalid");
  }
  EXPECT_EQ(t.talks.change(other.id, {{"head", turn.said->id}}).error().code, "request.invalid");
  EXPECT_EQ(t.talks.change("t_no", {{"title", "x"}}).error().code, "thread.unknown");
}

TEST(Conversations, OfTwoDraftsTheLaterStays) {
  Talk t;
  const Thread thread = t.thread();
  const auto draft = [](const char* words, int at) {
    return Json{{"draft", {{"text", words}, {"parts", Json::array()}, {"at_ms", at}}}};
  };
  t.talks.change(thread.id, draft("phone", 20));
  EXPECT_EQ(t.talks.change(thread.id, draft("desk", 10))->draft["text"], "phone");
  EXPECT_EQ(t.talks.change(thread.id, draft("desk", 30))->draft["text"], "desk");
  EXPECT_TRUE(t.talks.change(thread.id, {{"draft", nullptr}})->draft.is_null());
}

TEST(Conversations, ADraftGoesWithTheWordsThatSayIt) {
  Talk t;
  const Thread thread = t.thread();
  const Json file = {
      {"type", "attachment"}, {"hash", std::string(64, 'a')}, {"name", "a.md"}, {"mime", "text/plain"}, {"bytes", 1u}};
  const auto lay = [&](const char* words, Json files = Json::array()) {
    EXPECT_TRUE(t.talks.change(thread.id, {{"draft", {{"text", words}, {"parts", files}, {"at_ms", now_ms()}}}}));
  };
  const auto left = [&]() -> std::string {
    const Json draft = t.talks.thread(thread.id)->thread.draft;
    return draft.is_null() ? "" : draft.at("text").get<std::string>();
  };
  lay("Jak rozpalić watrę? ");  // blanks at its end are not said
  const Turn first = t.turn(thread.id, std::nullopt, "Jak rozpalić watrę?", "Suchym drewnem.");
  EXPECT_EQ(left(), "");
  lay("A na deszczu");
  const auto again = [&](TurnWish wish) {
    wish.client_id = t.client(), wish.thread = thread.id, wish.by = {.model = "m", .model_name = "M"};
    const auto turn = t.home->answers().begin(wish);
    ASSERT_TRUE(turn) << turn.error().message;
    t.finish(*turn, "Drzazgami.");
  };
  again({.parent = first.said->id});  // once more
  EXPECT_EQ(left(), "A na deszczu");
  again({.go_on = first.answer.id});  // to its end
  EXPECT_EQ(left(), "A na deszczu");
  again({.parts = {{{"type", "text"}, {"text", "A na deszczu"}}}, .go_on = first.answer.id});  // says no parts
  EXPECT_EQ(left(), "A na deszczu");
  t.turn(thread.id, std::nullopt, "Jak rozpalić ogień?", "Ostrożnie.");  // an edit of what was said before
  EXPECT_EQ(left(), "A na deszczu");
  lay("A na deszczu", Json::array({file}));  // the same words with a file are other ones
  t.turn(thread.id, first.answer.id, "A na deszczu", "Pod okapem.");
  EXPECT_EQ(left(), "A na deszczu");
}

TEST(Conversations, GoOnWithoutAPersonaThatWasRemoved) {
  Talk t;
  ASSERT_TRUE(t.home->kept().put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "Krótko."}}));
  ASSERT_TRUE(t.home->kept().put(kPersona, "baca", {{"name", "Baca"}, {"text", "Długo."}}));
  const auto his = t.talks.create({{"client_id", t.client()}, {"persona", "gazda"}});
  const auto other = t.talks.create({{"client_id", t.client()}, {"persona", "baca"}});
  const int64_t before = t.home->events().last();
  ASSERT_TRUE(t.home->kept().remove(kPersona, "gazda"));
  EXPECT_EQ(t.talks.thread(his->id)->thread.persona, std::nullopt);
  EXPECT_EQ(t.talks.thread(other->id)->thread.persona, "baca");
  int n_told = 0;
  const auto told = t.home->events().read(before, 100);
  for (const Event& e : told->events)
    if (e.type == "thread.changed") {
      ++n_told;
      EXPECT_EQ(e.thread, his->id);
    }
  EXPECT_EQ(n_told, 1);
}

TEST(Conversations, PinnedFirstThenNewest) {
  Talk t;
  std::vector<std::string> made;
  for (int i = 0; i < 4; ++i) {
    made.push_back(t.thread().id);
    t.home->db().run("UPDATE threads SET updated_ms = ? WHERE id = ?", 1000 + i, made.back());
  }
  t.talks.change(made[0], {{"pinned", true}});
  t.talks.change(made[1], {{"archived", true}});
  const auto page = t.talks.list(2, std::nullopt, false);
  ASSERT_EQ(page->threads.size(), 2u);
  EXPECT_EQ(page->threads[0].id, made[0]);
  EXPECT_EQ(page->threads[1].id, made[3]);
  EXPECT_TRUE(page->more);
  const auto next = t.talks.list(2, Before{page->threads[1].updated_ms, page->threads[1].id}, false);
  ASSERT_EQ(next->threads.size(), 1u);
  EXPECT_EQ(next->threads[0].id, made[2]);
  EXPECT_EQ(t.talks.list(5, std::nullopt, true)->threads[0].id, made[1]);
}

TEST(Conversations, ManyOfOneTimeComeOnceEach) {
  Talk t;
  for (int i = 0; i < 23; ++i) t.thread();
  t.home->db().run("UPDATE threads SET updated_ms = 1000");
  t.talks.change(t.talks.list(1, std::nullopt, false)->threads[0].id, {{"pinned", true}});
  std::set<std::string> seen;
  std::optional<Before> before;
  for (bool more = true; more;) {
    const auto page = t.talks.list(5, before, false);
    ASSERT_TRUE(page && !page->threads.empty());
    for (const Thread& thread : page->threads) EXPECT_TRUE(seen.insert(thread.id).second) << thread.id;
    before = Before{page->threads.back().updated_ms, page->threads.back().id};
    more = page->more;
  }
  EXPECT_EQ(seen.size(), 23u);
  EXPECT_TRUE(t.talks.list(5, Before{1000, ""}, false)->threads.empty());  // the time alone: behind all of it
  EXPECT_EQ(t.talks.list(50, Before{1001, ""}, false)->threads.size(), 22u);
}

// More of them pinned than a page has, and some that are not are newer: none is lost, none comes twice, also when the
// last one of a page is unpinned before the next is asked for.
TEST(Conversations, PinnedOnesComeInPagesToo) {
  Talk t;
  std::vector<std::string> made;
  for (int i = 0; i < 17; ++i) {
    made.push_back(t.thread().id);
    t.home->db().run("UPDATE threads SET updated_ms = ?, pinned = ?, archived = 1 WHERE id = ?", 1000 + i / 3, i < 11,
                     made.back());
  }
  for (const bool said : {false, true}) {
    std::set<std::string> seen, moved;  // what was unpinned stands among the others now, and comes with them again
    std::optional<Before> before;
    for (bool more = true; more;) {
      const auto page = t.talks.list(5, before, true);
      ASSERT_TRUE(page && !page->threads.empty());
      for (const Thread& thread : page->threads)
        EXPECT_TRUE(seen.insert(thread.id).second || moved.contains(thread.id)) << thread.id;
      const Thread& last = page->threads.back();
      before = Before{last.updated_ms, last.id};
      if (said) {
        before->pinned = last.pinned;
        t.talks.change(last.id, {{"pinned", false}});
        moved.insert(last.id);
      }
      more = page->more;
    }
    EXPECT_EQ(seen.size(), made.size());
  }
}

TEST(Conversations, AForkKeepsWhereItCameFrom) {
  Talk t;
  const Thread thread = t.thread();
  const Turn first = t.turn(thread.id, std::nullopt, "jeden", "dwa");
  t.turn(thread.id, first.answer.id, "trzy", "cztery");
  const auto fork = t.talks.fork(thread.id, {{"client_id", "f"}, {"at", first.answer.id}});
  ASSERT_TRUE(fork) << fork.error().message;
  const auto path = t.talks.path(*fork->head);
  ASSERT_EQ(path->size(), 2u);
  EXPECT_EQ((*path)[1].origin, first.answer.id);
  EXPECT_EQ((*path)[1].text(), "dwa");
  EXPECT_EQ(fork->origin, (Json{{"thread", thread.id}, {"message", first.answer.id}}));
}

// No file of the home holds the word any more: not the database, not its log of changes, not an attachment.
bool is_in_files(const fs::path& folder, const std::string& word) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    if (bytes.find(word) != std::string::npos) return true;
  }
  return false;
}

TEST(Conversations, ErasedWordsAreNowhere) {
  Talk t;
  const Thread thread = t.thread();
  const auto file = t.home->attachments().keep("tajemniczyplik", "a.txt", "text/plain");
  ASSERT_TRUE(file);
  const std::string word = "krzesiwo";
  Json parts = text("Moje " + word + " leży pod progiem");
  parts.push_back({{"type", "attachment"},
                   {"hash", file->hash},
                   {"name", "a.txt"},
                   {"mime", "text/plain"},
                   {"bytes", 14u},
                   {"n_tokens", nullptr}});
  const auto turn = t.home->answers().begin(
      {.client_id = "e", .thread = thread.id, .parts = parts, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(turn) << turn.error().message;
  t.finish(*turn, "Dobre miejsce.");
  ASSERT_EQ(search(t.home->ledger(), word, 10, std::nullopt)->hits.size(), 1u);
  ASSERT_TRUE(is_in_files(t.home.folder, word));
  ASSERT_TRUE(is_in_files(t.home.folder, "tajemniczyplik"));

  const auto erased = t.talks.erase_message(turn->said->id);
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_EQ(erased->n, 1);
  EXPECT_TRUE(search(t.home->ledger(), word, 10, std::nullopt)->hits.empty());
  const auto left = t.talks.message(turn->said->id);
  EXPECT_EQ(left->state, "erased");
  EXPECT_TRUE(left->parts.empty());
  EXPECT_EQ(t.talks.thread(thread.id)->thread.title, "");
  EXPECT_FALSE(is_in_files(t.home.folder, word));
  EXPECT_FALSE(is_in_files(t.home.folder, "tajemniczyplik"));
  Statement s = t.home->db().query("SELECT content, erased_at FROM log WHERE id = ?", turn->said->id);
  ASSERT_TRUE(s.step());
  EXPECT_TRUE(s.is_null(0));
  EXPECT_FALSE(s.is_null(1));
  Statement receipt = t.home->db().query("SELECT content FROM log WHERE id = ?", erased->receipt);
  ASSERT_TRUE(receipt.step());
  EXPECT_EQ(receipt.json(0)["ids"], Json::array({turn->said->id}));
}

// The file of an erased attachment goes even where the process ends, or the disk refuses, right after the erasing; one
// that was sent again meanwhile stays.
TEST(Conversations, ErasedFilesAreRemovedAtTheNextStart) {
  Talk t;
  const Thread thread = t.thread();
  const auto ask = [&](const std::string& words) {
    const Attachment file = must(t.home->attachments().keep(words, "a.txt", "text/plain"));
    Json parts = text("Czytaj");
    parts.push_back({{"type", "attachment"},
                     {"hash", file.hash},
                     {"name", "a.txt"},
                     {"mime", "text/plain"},
                     {"bytes", static_cast<uint64_t>(file.bytes)},
                     {"n_tokens", nullptr}});
    const auto turn = must(t.home->answers().begin(
        {.client_id = file.hash, .thread = thread.id, .parts = parts, .by = {.model = "m", .model_name = "M"}}));
    t.finish(turn, "Dobrze.");
    return turn.said->id;
  };
  const std::string first = ask("tajemniczyplik"), second = ask("drugiplik");
  {
    const fault::Arm arm("file.remove", 0);
    ASSERT_TRUE(t.talks.erase_message(first));
    EXPECT_TRUE(arm.fired());
  }
  EXPECT_TRUE(is_in_files(t.home.folder, "tajemniczyplik"));
  {
    const fault::Arm arm("file.remove", 0);
    ASSERT_TRUE(t.talks.erase_message(second));
  }
  const Attachment again = must(t.home->attachments().keep("drugiplik", "a.txt", "text/plain"));
  t.home.reopen();
  EXPECT_FALSE(is_in_files(t.home.folder / "attachments", "tajemniczyplik"));
  EXPECT_EQ(must(t.home->attachments().content(again.hash)), "drugiplik");
}

TEST(Conversations, ErasingAThreadErasesItsWords) {
  Talk t;
  const Thread thread = t.thread();
  t.turn(thread.id, std::nullopt, "pierwszesłowo", "drugiesłowo");
  const auto erased = t.talks.erase_thread(thread.id);
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_EQ(erased->n, 2);
  EXPECT_EQ(t.talks.thread(thread.id).error().code, "thread.unknown");
  EXPECT_FALSE(is_in_files(t.home.folder, "pierwszesłowo"));
  EXPECT_FALSE(is_in_files(t.home.folder, "drugiesłowo"));
  EXPECT_EQ(t.home->events().read(0, 100)->events.back().type, "thread.removed");
}

TEST(Conversations, WhatIsBeingWrittenIsNotErased) {
  Talk t;
  const Thread thread = t.thread();
  const auto turn = t.home->answers().begin(
      {.client_id = "w", .thread = thread.id, .parts = text("x"), .by = {.model = "m", .model_name = "M"}});
  EXPECT_EQ(t.talks.erase_thread(thread.id).error().code, "thread.busy");
  EXPECT_EQ(t.talks.erase_message(turn->answer.id).error().code, "message.busy");
}

}  // namespace
}  // namespace watra::home
