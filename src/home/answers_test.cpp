#include "home/answers.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/fault.h"
#include "home/prompts.h"
#include "home/search.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

using Kind = AnswerStep::Kind;

Json text(const std::string& words) { return Json::array({{{"type", "text"}, {"text", words}}}); }

Turn begin(Home& home, const std::string& client) {
  const auto thread = home.conversations().create({{"client_id", "t-" + client}});
  auto turn = home.answers().begin(
      {.client_id = client, .thread = thread->id, .parts = text("Opowiedz"), .by = {.model = "m", .model_name = "M"}});
  EXPECT_TRUE(turn) << turn.error().message;
  return *turn;
}

AnswerStep piece(const Turn& t, const std::string& words, int part = 0, const char* kind = "text") {
  return {.kind = Kind::piece,
          .thread = t.answer.thread,
          .message = t.answer.id,
          .part = part,
          .part_kind = kind,
          .text = words};
}

AnswerStep ended(const Turn& t, const std::string& state = "done") {
  return {.kind = Kind::ended,
          .thread = t.answer.thread,
          .message = t.answer.id,
          .run = new_run(t.run, t.answer.thread, t.answer.id),
          .state = state};
}

TEST(Answers, PiecesAreToldAsTheyAreCommitted) {
  TestHome home;
  const Turn t = begin(*home, "a");
  EXPECT_EQ(t.answer.state, "running");
  const int64_t before = home->events().last();
  ASSERT_TRUE(home->answers().apply({piece(t, "myśl", 0, "reasoning"), piece(t, "Był ", 1), piece(t, "raz", 1)}));
  const Message under_way = *home->conversations().message(t.answer.id);
  EXPECT_EQ(under_way.parts, (Json::array({{{"type", "reasoning"}, {"text", "myśl"}, {"seconds", nullptr}},
                                           {{"type", "text"}, {"text", "Był raz"}}})));
  EXPECT_EQ(under_way.seq, home->events().last());
  // Text and events after `seq` make the whole: what a page does that comes in the middle.
  ASSERT_TRUE(home->answers().apply({piece(t, " baca", 1)}));
  const auto later = home->events().read(under_way.seq, 10);
  ASSERT_EQ(later->events.size(), 1u);
  EXPECT_EQ(Json::parse(later->events[0].data)["text"], " baca");
  AnswerStep end = ended(t);
  end.reasoning_s = 1.5;
  ASSERT_TRUE(home->answers().apply({end}));
  const Message whole = *home->conversations().message(t.answer.id);
  EXPECT_EQ(whole.text(), "Był raz baca");
  EXPECT_EQ(whole.parts[0]["seconds"], 1.5);
  EXPECT_EQ(whole.state, "done");
  EXPECT_FALSE(home->conversations().thread(t.answer.thread)->thread.run);
  EXPECT_EQ(search(home->ledger(), "baca", 5, std::nullopt)->hits.size(), 1u);
  std::vector<std::string> types;
  const auto told = home->events().read(before, 100);
  for (const Event& e : told->events) types.push_back(e.type);
  EXPECT_EQ(types, (std::vector<std::string>{"answer.piece", "answer.piece", "answer.piece", "answer.piece",
                                             "answer.ended", "thread.changed"}));
}

TEST(Answers, AHashThatIsKnownLaterIsThatOfTheAnswersToo) {
  TestHome home;
  const auto answer = [&](const char* client, const char* file, const char* sha256) {
    const Turn t = begin(*home, client);
    AnswerStep end = ended(t);
    end.facts = {{"model", {{"file", file}, {"sha256", sha256}}}, {"seed", 7}};
    EXPECT_TRUE(home->answers().apply({piece(t, "a"), end}));
    return t.answer.id;
  };
  const std::string old = answer("a", "m.gguf", "");
  home->db().run("UPDATE messages SET at_ms = 1000");
  const std::string lacking = answer("b", "m.gguf", ""), other = answer("c", "n.gguf", ""),
                    known = answer("d", "m.gguf", "1111");
  const int64_t before = home->events().last();
  EXPECT_EQ(*home->answers().learn_hash("m.gguf", 2000, "ab12"), 1);
  const auto sha256 = [&](const std::string& id) {
    return home->conversations().message(id)->facts["model"]["sha256"].get<std::string>();
  };
  EXPECT_EQ(sha256(lacking), "ab12");
  EXPECT_EQ(sha256(other), "");
  EXPECT_EQ(sha256(known), "1111");
  EXPECT_EQ(sha256(old), "") << "the file may have been another one then";
  const auto told = home->events().read(before, 10);
  ASSERT_EQ(told->events.size(), 1u);
  EXPECT_EQ(Json::parse(told->events[0].data)["id"], lacking);
  EXPECT_EQ(*home->answers().learn_hash("m.gguf", 2000, "ab12"), 0);
}

TEST(Answers, OneSyncForAllThatAreUnderWay) {
  TestHome home;
  const Turn a = begin(*home, "a"), b = begin(*home, "b");
  uint64_t commits = 0;
  {
    const fault::Arm counting("db.commit", 1000);
    ASSERT_TRUE(home->answers().apply({piece(a, "x"), piece(b, "y"), piece(a, "z")}));
    commits = counting.passages();
  }
  EXPECT_EQ(commits, 1u);
}

TEST(Answers, WhatCouldNotBeWrittenIsNotToldAndMayBeTriedAgain) {
  TestHome home;
  const Turn t = begin(*home, "a");
  const std::vector<AnswerStep> steps = {piece(t, "jeden "), piece(t, "dwa")};
  const int64_t before = home->events().last();
  for (uint64_t nth = 0;; ++nth) {
    const fault::Arm arm("db.", nth);
    const Status done = home->answers().apply(steps);
    if (!arm.fired()) {
      ASSERT_TRUE(done);
      ASSERT_GT(nth, 4u);
      break;
    }
    EXPECT_FALSE(done);
    EXPECT_EQ(home->events().last(), before);
    EXPECT_EQ(home->conversations().message(t.answer.id)->text(), "");
  }
  EXPECT_EQ(home->conversations().message(t.answer.id)->text(), "jeden dwa");
}

TEST(Answers, OneAtATimeInAThread) {
  TestHome home;
  const Turn t = begin(*home, "a");
  const auto second = home->answers().begin(
      {.client_id = "b", .thread = t.answer.thread, .parts = text("x"), .by = {.model = "m", .model_name = "M"}});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "thread.busy");
  const auto again = home->answers().begin(
      {.client_id = "a", .thread = t.answer.thread, .parts = text("x"), .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->fresh);
  EXPECT_EQ(again->answer.id, t.answer.id);
  EXPECT_EQ(again->run, t.run);
}

TEST(Answers, AgainAndGoOn) {
  TestHome home;
  const Turn t = begin(*home, "a");
  ASSERT_TRUE(home->answers().apply({piece(t, "Pierwsza"), ended(t, "stopped")}));
  const auto again = home->answers().begin(
      {.client_id = "b", .thread = t.answer.thread, .parent = t.said->id, .by = {.model = "n", .model_name = "N"}});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->said);
  EXPECT_EQ(again->answer.parent, t.said->id);
  ASSERT_TRUE(home->answers().apply({piece(*again, "Druga"), ended(*again)}));
  const auto on = home->answers().begin(
      {.client_id = "c", .thread = t.answer.thread, .go_on = t.answer.id, .by = {.model = "m", .model_name = "M"}});
  ASSERT_TRUE(on) << on.error().message;
  EXPECT_EQ(on->answer.id, t.answer.id);
  EXPECT_EQ(on->answer.text(), "Pierwsza");
  ASSERT_TRUE(home->answers().apply({piece(*on, " i dalej"), ended(*on)}));
  EXPECT_EQ(home->conversations().message(t.answer.id)->text(), "Pierwsza i dalej");
  EXPECT_EQ(home->conversations().message(again->answer.id)->text(), "Druga");
  const auto wrong = home->answers().begin(
      {.client_id = "d", .thread = t.answer.thread, .parent = t.answer.id, .by = {.model = "m", .model_name = "M"}});
  EXPECT_EQ(wrong.error().code, "request.invalid");
}

// A child writes an answer and tells us, after each commit, how many words it has shown; we kill it in the middle.
TEST(Answers, KilledInTheMiddleEveryShownWordIsThere) {
  TestHome home;
  home.home.reset();
  int shown[2];
  ASSERT_EQ(pipe(shown), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto mine = Home::open(home.folder);
    if (!mine || !(*mine)->recover()) _exit(1);
    const auto thread = (*mine)->conversations().create({{"client_id", "t"}});
    const auto t = (*mine)->answers().begin(
        {.client_id = "a", .thread = thread->id, .parts = text("x"), .by = {.model = "m", .model_name = "M"}});
    for (int i = 0;; ++i) {
      if (!(*mine)->answers().apply({piece(*t, "słowo" + std::to_string(i) + " ")})) _exit(2);
      if (write(shown[1], &i, sizeof(i)) != sizeof(i)) _exit(3);
    }
  }
  int last = -1;
  for (int i = 0; last < 40; ++i) ASSERT_EQ(read(shown[0], &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  close(shown[1]);
  for (int next = 0; read(shown[0], &next, sizeof(next)) == static_cast<ssize_t>(sizeof(next));) last = next;
  close(shown[0]);
  home.reopen();
  Statement s = home->db().query("SELECT id FROM messages WHERE role = 'assistant'");
  ASSERT_TRUE(s.step());
  const Message m = *home->conversations().message(s.text(0));
  EXPECT_EQ(m.state, "interrupted");
  for (int i = 0; i <= last; ++i) EXPECT_NE(m.text().find("słowo" + std::to_string(i) + " "), std::string::npos) << i;
  EXPECT_FALSE(home->conversations().thread(m.thread)->thread.run);
  const Event end = home->events().read(home->events().last() - 2, 10)->events[0];
  EXPECT_EQ(end.type, "answer.ended");
  EXPECT_EQ(Json::parse(end.data)["run"]["state"], "interrupted");
}

TEST(Answers, TwoWritersLoseNothing) {
  TestHome home;
  const Turn a = begin(*home, "a"), b = begin(*home, "b");
  const auto write = [&](const Turn& t) {
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(home->answers().apply({piece(t, std::to_string(i) + ",")}));
  };
  std::thread other([&] { write(a); });
  write(b);
  other.join();
  const std::string first = home->conversations().message(a.answer.id)->text();
  EXPECT_EQ(first, home->conversations().message(b.answer.id)->text());
  EXPECT_TRUE(first.ends_with("58,59,"));
}

TEST(Prompts, AreReadAsTheyWereAndLoseWhatIsErased) {
  TestHome home;
  const Turn t = begin(*home, "a");
  const std::string words(500, 'w');
  Json prompt = {{"model", "m"}, {"n_tokens", 3}, {"spans", Json::array()}};
  for (const Json& of : {Json(nullptr), Json(t.said->id), Json(nullptr)})
    prompt["spans"].push_back({{"kind", "content"}, {"message", of}, {"text", of.is_null() ? "<|im_start|>" : words}});
  AnswerStep prepared{.kind = Kind::prepared,
                      .thread = t.answer.thread,
                      .message = t.answer.id,
                      .facts = {{"seed", 1}},
                      .prompt = prompt};
  ASSERT_TRUE(home->answers().apply({prepared}));
  EXPECT_EQ((*read_prompt(home->db(), t.answer.id))["spans"][1]["text"], words);
  ASSERT_TRUE(home->answers().apply({piece(t, "x"), ended(t)}));
  ASSERT_TRUE(home->conversations().erase_message(t.said->id));
  const auto left = read_prompt(home->db(), t.answer.id);
  ASSERT_TRUE(left);
  EXPECT_EQ((*left)["spans"][1]["text"], "");
  EXPECT_EQ((*left)["spans"][0]["text"], "<|im_start|>");
  EXPECT_EQ(read_prompt(home->db(), t.said->id).error().code, "message.unknown");
}

}  // namespace
}  // namespace watra::home
