#include "home/search.h"

#include "base/cpu_clock.h"
#include "home/fold.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

struct Shelf {
  TestHome home;
  std::string thread = home->conversations().create({{"client_id", "t"}})->id;
  std::string say(const std::string& words, int64_t at_ms, std::optional<std::string> parent = std::nullopt) {
    Transaction t(home->db());
    Message m{.thread = thread, .at_ms = at_ms, .parts = Json::array({{{"type", "text"}, {"text", words}}})};
    m.parent = std::move(parent);
    home->ledger().insert_message(m);
    t.commit();
    return m.id;
  }
  size_t n(const std::string& query) {
    const auto found = search(home->ledger(), query, 50, std::nullopt);
    EXPECT_TRUE(found) << found.error().message;
    return found->hits.size();
  }
};

TEST(Fold, PolishLosesItsMarks) {
  EXPECT_EQ(folded("Zażółć GĘŚLĄ jaźń"), "zazolc gesla jazn");
  EXPECT_EQ(folded("Łódź"), "lodz");
  EXPECT_EQ(folded("ﬁ ½ Straße"), "fi 1⁄2 strasse");
  EXPECT_EQ(folded("a\xff"
                   "b"),
            "ab");
}

TEST(Fold, PlacesLeadBack) {
  const std::string text = "w Łodzi";
  const Folded f = folded_with_places(text);
  EXPECT_EQ(f.text, "w lodzi");
  EXPECT_EQ(f.from[2], 2u);
  EXPECT_EQ(f.from[3], 4u);  // ł has two bytes
  EXPECT_EQ(f.from.back(), text.size());
}

TEST(Search, ControlCharactersAreNoWords) {
  Shelf shelf;
  shelf.say("krzesiwo z Łodzi", 1);
  EXPECT_TRUE(search_terms(std::string("\0", 1)).empty());
  EXPECT_TRUE(search_terms("\"\x01 \x7f\" \x1f").empty());
  EXPECT_EQ(shelf.n(std::string("\0", 1)), 0u);
  EXPECT_EQ(shelf.n("\"\x01\""), 0u);
  EXPECT_EQ(shelf.n(std::string("krzesiwo\0lodzi", 14)), 1u);
}

TEST(Search, FindsWithoutMarksAndCapitals) {
  Shelf s;
  s.say("Byłem w Łodzi, potem na Hali Gąsienicowej.", 10);
  s.say("Zwykły dzień", 20);
  EXPECT_EQ(s.n("lodzi"), 1u);
  EXPECT_EQ(s.n("ŁODZI"), 1u);
  EXPECT_EQ(s.n("gasienicow"), 1u);
  EXPECT_EQ(s.n("gąsienicową"), 0u);
  EXPECT_EQ(s.n("sienic"), 1u);
  EXPECT_EQ(s.n("na hali"), 1u);
  EXPECT_EQ(s.n("hali łodzi"), 1u);      // all words, any order
  EXPECT_EQ(s.n("\"hali łodzi\""), 0u);  // quotes keep words together
  EXPECT_EQ(s.n("„na hali”"), 1u);
  EXPECT_EQ(s.n("hali giewont"), 0u);
}

TEST(Search, ShortWordsToo) {
  Shelf s;
  s.say("To jest ę i % i _", 1);
  s.say("nic", 2);
  EXPECT_EQ(s.n("e"), 1u);
  EXPECT_EQ(s.n("%"), 1u);
  EXPECT_EQ(s.n("_"), 1u);
  EXPECT_EQ(s.n("to je"), 1u);
}

TEST(Search, NothingBreaksTheQuery) {
  Shelf s;
  s.say("słowa \"w cudzysłowie\" OR NEAR(x) * ^ - : {}", 1);
  for (const char* q :
       {"\"", "\"\"\"", "OR", "NEAR(", "słowa*", "a:b", "-", "(", "{}", "near(x)", "'; DROP TABLE log; --"})
    EXPECT_LE(s.n(q), 1u) << q;
  EXPECT_EQ(s.n("NEAR(x)"), 1u);
  EXPECT_EQ(search(s.home->ledger(), "", 5, std::nullopt).error().code, "request.invalid");
  EXPECT_EQ(search(s.home->ledger(), std::string(201, 'a'), 5, std::nullopt).error().code, "request.invalid");
}

TEST(Search, NewestFirstInPages) {
  Shelf s;
  for (int i = 1; i <= 5; ++i) s.say("baca numer " + std::to_string(i), i);
  const auto first = search(s.home->ledger(), "baca", 2, std::nullopt);
  ASSERT_EQ(first->hits.size(), 2u);
  EXPECT_TRUE(first->more);
  EXPECT_EQ(first->hits[0].at_ms, 5);
  const auto rest = search(s.home->ledger(), "baca", 10, Before{first->hits[1].at_ms, first->hits[1].message});
  EXPECT_EQ(rest->hits.size(), 3u);
  EXPECT_FALSE(rest->more);
  EXPECT_EQ(search(s.home->ledger(), "baca", 10, Before{4, ""})->hits.size(), 3u) << "the time alone: behind all of it";
  EXPECT_EQ(search(s.home->ledger(), "baca", 10, Before{4, "m_never"}).error().code, "request.invalid");
}

// An import gives many messages one time, and a page may end among them; what is erased between two pages takes nothing
// else with it.
TEST(Search, ManyOfOneTimeComeOnceEach) {
  for (const char* query : {"baca", "ba"}) {
    Shelf s;
    std::vector<std::string> said;
    for (int i = 0; i < 23; ++i) said.push_back(s.say("baca numer " + std::to_string(i), i < 20 ? 7 : 8));
    std::vector<std::string> seen;
    std::optional<Before> before;
    for (bool more = true; more;) {
      const auto page = search(s.home->ledger(), query, 5, before);
      ASSERT_TRUE(page && !page->hits.empty());
      for (const Hit& hit : page->hits) seen.push_back(hit.message);
      before = Before{page->hits.back().at_ms, page->hits.back().message};
      more = page->more;
      ASSERT_TRUE(s.home->conversations().erase_message(page->hits.back().message));
    }
    std::ranges::reverse(seen);
    EXPECT_EQ(seen, said) << query;
  }
}

TEST(Search, VersionsOfOneMessageAreToldApart) {
  Shelf s;
  const std::string root = s.say("Jak długo pali się watra?", 1);
  const std::string first = s.say("Watra pali się do rana.", 2, root),
                    second = s.say("Watra pali się do jesieni.", 3, root);
  const std::string below = s.say("A ta druga watra?", 4, first), edited = s.say("Ile drewna bierze watra?", 5);
  const auto found = search(s.home->ledger(), "watra", 10, std::nullopt);
  ASSERT_TRUE(found);
  std::map<std::string, Json> told;
  for (const Hit& hit : found->hits) told[hit.message] = hit.json().value("version", Json());
  EXPECT_EQ(told.size(), 5u);
  EXPECT_EQ(told[first], (Json{{"at", 1}, {"of", 2}}));
  EXPECT_EQ(told[second], (Json{{"at", 2}, {"of", 2}}));
  EXPECT_EQ(told[root], (Json{{"at", 1}, {"of", 2}}));
  EXPECT_EQ(told[edited], (Json{{"at", 2}, {"of", 2}}));
  EXPECT_EQ(told[below], Json()) << "the only one in its place";
}

TEST(Search, SnippetsShowTheOriginal) {
  Shelf s;
  s.say(std::string(200, '-') + " nad Łódzką rzeką i znów łódzką " + std::string(300, '+'), 1);
  const auto found = search(s.home->ledger(), "lodzka", 5, std::nullopt);
  ASSERT_EQ(found->hits.size(), 1u);
  std::string marked, all;
  for (const Json& part : found->hits[0].snippet) {
    all += part["text"].get<std::string>();
    if (part["hit"].get<bool>()) marked += "[" + part["text"].get<std::string>() + "]";
  }
  EXPECT_EQ(marked, "[Łódzką][łódzką]");
  EXPECT_TRUE(all.starts_with("…-"));
  EXPECT_TRUE(all.ends_with("+…"));
  EXPECT_LT(all.size(), 250u);
}

TEST(Search, TenThousandMessagesWhileOneTypes) {
  Shelf s;
  {
    Transaction t(s.home->db());
    for (int i = 0; i < 10000; ++i) s.say("wiadomość o pogodzie na hali, numer " + std::to_string(i), i + 1);
    s.say("jedyna o Giewoncie", 5000);
    t.commit();
  }
  const double began = thread_cpu_seconds();
  EXPECT_EQ(s.n("giewon"), 1u);
  EXPECT_EQ(s.n("pogod"), 50u);
  EXPECT_LT(thread_cpu_seconds() - began, 1);
}

}  // namespace
}  // namespace watra::home
