#include "home/settings.h"

#include <set>

#include "home/kept.h"
#include "home/test_home_test.h"

namespace watra::home {
namespace {

TEST(Settings, TheSchemaIsWhole) {
  const Json& schema = settings_schema();
  std::set<std::string> groups;
  for (const Json& g : schema["groups"]) groups.insert(g["id"]);
  for (const Json& s : schema["settings"]) {
    const std::string key = s["key"];
    EXPECT_TRUE(groups.count(s["group"])) << key;
    for (const char* words : {"name", "what"})
      for (const char* language : {"pl", "en"}) EXPECT_FALSE(s[words][language].get<std::string>().empty()) << key;
    check_setting(s, s["default"], key);  // throws where a default would be refused
    if (s["type"] == "int" || s["type"] == "float") {
      EXPECT_LT(s["min"], s["max"]) << key;
    }
    if (s["type"] == "choice") {
      EXPECT_GE(s["choices"].size(), 2u) << key;
    }
  }
  for (const char* key : {"look.language", "look.sound", "look.custom_theme", "house.first_start_done", "engine.n_ctx",
                          "sampling.typical_p", "sampling.dry_base", "sampling.stop"})
    EXPECT_TRUE(find_setting(key)) << key;
}

TEST(Settings, OneWrongValueRefusesAll) {
  TestHome home;
  Settings& settings = home->settings();
  const auto refused = settings.change({{"look.theme", "papier"}, {"sampling.temperature", 5.1}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "request.invalid");
  EXPECT_TRUE(refused.error().message.starts_with("sampling.temperature:"));
  EXPECT_EQ(refused.error().hint, "0.0..5.0");
  EXPECT_EQ(*settings.value("look.theme"), "watra");
  for (const Json& bad : {Json{{"no.such", 1}}, Json{{"look.theme", "x"}}, Json{{"sampling.top_k", 1.5}},
                          Json{{"look.sound", 1}}, Json{{"sampling.stop", "a"}},
                          Json{{"look.custom_theme", {{"name", "a"}, {"base", "watra"}, {"tokens", {{"bg", "red"}}}}}}})
    EXPECT_FALSE(settings.change(bad)) << bad.dump();
}

TEST(Settings, ChangesAreKeptAndTold) {
  TestHome home;
  ASSERT_TRUE(home->settings().change({{"look.theme", "papier"}, {"sampling.top_k", 10}}));
  const auto told = home->events().read(0, 10);
  ASSERT_EQ(told->events.size(), 1u);
  EXPECT_EQ(Json::parse(told->events[0].data), (Json{{"values", {{"look.theme", "papier"}, {"sampling.top_k", 10}}}}));
  home.reopen();
  EXPECT_EQ(*home->settings().value("look.theme"), "papier");
  EXPECT_EQ((*home->settings().sampling())["top_k"], 10);
  EXPECT_EQ((*home->settings().sampling())["temperature"], 0.8);
  const auto back = home->settings().change({{"look.theme", nullptr}});
  EXPECT_EQ((*back)["look.theme"], "watra");
}

TEST(Settings, SamplingIsCheckedByTheSameList) {
  TestHome home;
  EXPECT_EQ(
      *home->settings().checked_sampling_of({{"temperature", 1}, {"top_k", 5.0}, {"unknown", 1}, {"seed", nullptr}}),
      (Json{{"temperature", 1}, {"top_k", 5}}));
  const auto refused = home->settings().checked_sampling_of({{"min_p", -1}});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("sampling.min_p:"));
}

TEST(Personas, PresetsAndSets) {
  TestHome home;
  Personas& p = home->personas();
  Kept& kept = home->kept();
  ASSERT_TRUE(kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "Mówisz krótko."}}));
  ASSERT_TRUE(kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "Mówisz długo."}}));
  ASSERT_EQ(kept.list(kPersona)->size(), 1u);
  EXPECT_EQ(p.find("gazda")->text, "Mówisz długo.");
  ASSERT_TRUE(kept.remove(kPersona, "gazda"));
  EXPECT_EQ(kept.remove(kPersona, "gazda").error().code, "persona.unknown");
  EXPECT_FALSE(kept.put(kPersona, "a/b", {{"name", "x"}, {"text", ""}}));
  ASSERT_TRUE(kept.put(kPreset, "mine", {{"name", {{"pl", "Mój"}, {"en", "Mine"}}}, {"sampling", {{"top_p", 0.5}}}}));
  EXPECT_EQ(kept.list(kPreset)->back()["sampling"]["top_p"], 0.5);
  EXPECT_EQ(kept.remove(kPreset, "calm").error().code, "preset.builtin");
  EXPECT_EQ(
      kept.put(kPreset, "calm", {{"name", {{"pl", "x"}, {"en", "x"}}}, {"sampling", Json::object()}}).error().code,
      "preset.builtin");
  ASSERT_TRUE(kept.put(kSet, "s", {{"name", "Pytania"}, {"questions", {"a", "b"}}}));
  EXPECT_EQ((*kept.list(kSet))[0]["questions"].size(), 2u);
  ASSERT_TRUE(kept.remove(kSet, "s"));
}

TEST(Kept, WordsKeptReady) {
  TestHome home;
  Kept& kept = home->kept();
  const Json words = {{"name", "List"}, {"text", "Napisz list do {{komu}} o {{temat}}."}};
  const auto made = kept.put(kPhrase, "list", words);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)["text"], words["text"]);
  ASSERT_TRUE(kept.put(kPhrase, "a", {{"name", "Bajka"}, {"text", "Opowiedz bajkę."}}));
  home.reopen();
  const auto list = home->kept().list(kPhrase);
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0]["name"], "Bajka");  // by their names
  EXPECT_EQ((*list)[1], *made);
  EXPECT_EQ(*home->kept().find(kPhrase, "list"), *made);
  for (const Json& bad :
       {Json{{"name", "x"}}, Json{{"name", ""}, {"text", "x"}}, Json{{"name", "x"}, {"text", ""}},
        Json{{"name", std::string(81, 'x')}, {"text", "x"}}, Json{{"name", "x"}, {"text", std::string(65537, 'x')}}})
    EXPECT_EQ(home->kept().put(kPhrase, "bad", bad).error().code, "request.invalid");
  const auto stale = home->kept().put(kPhrase, "list", {{"name", "x"}, {"text", "x"}, {"if_updated_ms", 1}});
  EXPECT_EQ(stale.error().code, "phrase.changed");
  ASSERT_TRUE(home->kept().remove(kPhrase, "list"));
  EXPECT_EQ(home->kept().remove(kPhrase, "list").error().code, "phrase.unknown");
  EXPECT_EQ(home->kept().find(kPhrase, "list").error().code, "phrase.unknown");
}

TEST(Personas, NewConversationsBeginWithTheOneThatTheSettingsName) {
  TestHome home;
  const auto begun = [&](Json body) {
    body["client_id"] = make_id("c_");
    const auto thread = home->conversations().create(body);
    EXPECT_TRUE(thread) << thread.error().message;
    return thread->persona;
  };
  ASSERT_TRUE(home->kept().put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "Krótko."}}));
  ASSERT_TRUE(home->kept().put(kPersona, "baca", {{"name", "Baca"}, {"text", "Długo."}}));
  EXPECT_EQ(begun(Json::object()), std::nullopt);
  EXPECT_EQ(home->settings().change({{"house.persona", "juhas"}}).error().code, "persona.unknown");
  ASSERT_TRUE(home->settings().change({{"house.persona", "gazda"}}));
  EXPECT_EQ(begun(Json::object()), "gazda");
  EXPECT_EQ(begun({{"persona", "baca"}}), "baca");
  EXPECT_EQ(begun({{"persona", nullptr}}), std::nullopt);
  ASSERT_TRUE(home->kept().remove(kPersona, "baca"));  // another one: the setting stays
  EXPECT_EQ(*home->settings().value("house.persona"), "gazda");
  const int64_t before = home->events().last();
  ASSERT_TRUE(home->kept().remove(kPersona, "gazda"));
  EXPECT_EQ(*home->settings().value("house.persona"), "");
  EXPECT_EQ(begun(Json::object()), std::nullopt);
  bool is_told = false;
  const auto page = home->events().read(before, 100);
  for (const Event& e : page->events)
    is_told |= e.type == "engine.settings" && Json::parse(e.data) == Json{{"values", {{"house.persona", ""}}}};
  EXPECT_TRUE(is_told);
}

TEST(Personas, NobodyWritesOverWhatTheyHaveNotRead) {
  TestHome home;
  Kept& kept = home->kept();
  const int64_t before = home->events().last();
  const auto made = kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "a"}, {"if_updated_ms", 0}});
  ASSERT_TRUE(made) << made.error().message;
  const int64_t seen_first = made->at("updated_ms");
  const auto there = kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "b"}, {"if_updated_ms", seen_first}});
  ASSERT_TRUE(there) << there.error().message;
  const int64_t seen_last = there->at("updated_ms");
  EXPECT_GT(seen_last, seen_first);
  for (const int64_t seen : {int64_t{0}, seen_first}) {
    const auto stale = kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "c"}, {"if_updated_ms", seen}});
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().code, "persona.changed");
  }
  EXPECT_EQ(home->personas().find("gazda")->text, "b");
  ASSERT_TRUE(kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "d"}}));  // who does not ask writes over
  EXPECT_EQ(kept.put(kPersona, "gazda", {{"name", "x"}, {"text", ""}, {"if_updated_ms", "1"}}).error().code,
            "request.invalid");
  ASSERT_TRUE(kept.remove(kPersona, "gazda"));
  EXPECT_EQ(kept.put(kPersona, "gazda", {{"name", "Gazda"}, {"text", "b"}, {"if_updated_ms", seen_last}}).error().code,
            "persona.changed");
  const Json words = {{"pl", "x"}, {"en", "x"}};
  const auto preset = kept.put(kPreset, "mine", {{"name", words}, {"sampling", Json::object()}});
  ASSERT_TRUE(preset);
  EXPECT_EQ(
      kept.put(kPreset, "mine", {{"name", words}, {"sampling", Json::object()}, {"if_updated_ms", 0}}).error().code,
      "preset.changed");
  ASSERT_TRUE(kept.put(kSet, "s", {{"name", "Pytania"}, {"questions", {"tajne"}}}));
  EXPECT_EQ(kept.put(kSet, "s", {{"name", "x"}, {"questions", Json::array()}, {"if_updated_ms", 1}}).error().code,
            "set.changed");
  ASSERT_TRUE(kept.remove(kSet, "s"));
  // Told without a word of what they say.
  std::vector<std::string> told;
  const auto page = home->events().read(before, 100);
  for (const Event& e : page->events) {
    told.push_back(e.type + (Json::parse(e.data).at("updated_ms").is_null() ? " gone" : ""));
    EXPECT_EQ(e.data.find("tajne"), std::string::npos);
  }
  EXPECT_EQ(told,
            (std::vector<std::string>{"persona.changed", "persona.changed", "persona.changed", "persona.changed gone",
                                      "preset.changed", "set.changed", "set.changed gone"}));
}

TEST(Attachments, OnceByTheirBytes) {
  TestHome home;
  const auto a = home->attachments().keep("zażółć", "a.md", "application/octet-stream");
  const auto b = home->attachments().keep("zażółć", "b.md", "text/markdown");
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->hash, b->hash);
  EXPECT_EQ(a->hash.size(), 64u);
  EXPECT_EQ(a->mime, "text/plain");
  EXPECT_EQ(*home->attachments().content(a->hash), "zażółć");
  const std::string png = std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\0\x80", 24);
  const auto image = home->attachments().keep(png, "a.png", "image/png");
  EXPECT_EQ(image->width, 256);
  EXPECT_EQ(image->height, 128);
  EXPECT_FALSE(image->is_text());
  EXPECT_EQ(home->attachments().find("nope").error().code, "attachment.unknown");
}

}  // namespace
}  // namespace watra::home
