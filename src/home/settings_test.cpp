#include "home/settings.h"

#include <set>

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
  ASSERT_TRUE(p.put("gazda", {{"name", "Gazda"}, {"text", "Mówisz krótko."}}));
  ASSERT_TRUE(p.put("gazda", {{"name", "Gazda"}, {"text", "Mówisz długo."}}));
  ASSERT_EQ(p.list()->size(), 1u);
  EXPECT_EQ(p.find("gazda")->text, "Mówisz długo.");
  ASSERT_TRUE(p.remove("gazda"));
  EXPECT_EQ(p.remove("gazda").error().code, "persona.unknown");
  EXPECT_FALSE(p.put("a/b", {{"name", "x"}, {"text", ""}}));
  ASSERT_TRUE(p.put_preset("mine", {{"name", {{"pl", "Mój"}, {"en", "Mine"}}}, {"sampling", {{"top_p", 0.5}}}}));
  EXPECT_EQ(p.presets()->back()["sampling"]["top_p"], 0.5);
  EXPECT_EQ(p.remove_preset("calm").error().code, "preset.builtin");
  EXPECT_EQ(p.put_preset("calm", {{"name", {{"pl", "x"}, {"en", "x"}}}, {"sampling", Json::object()}}).error().code,
            "preset.builtin");
  ASSERT_TRUE(p.put_set("s", {{"name", "Pytania"}, {"questions", {"a", "b"}}}));
  EXPECT_EQ((*p.sets())[0]["questions"].size(), 2u);
  ASSERT_TRUE(p.remove_set("s"));
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
