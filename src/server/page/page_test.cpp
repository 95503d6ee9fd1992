// The page as it leaves: language, look, tags; and that what was built into this program is whole.
#include "server/page/page.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

constexpr std::string_view kIndex =
    "<!doctype html>\n<html lang=\"pl\" data-theme=\"watra\" data-motion=\"full\">\n<body lang=\"x\"></body></html>";

TEST(Page, FirstTagCarriesTheLook) {
  const std::string page = with_look(kIndex, {"en", "poranek", "still"}, "pl");
  EXPECT_NE(page.find("<html lang=\"en\" data-theme=\"poranek\" data-motion=\"still\">"), std::string::npos);
  EXPECT_NE(page.find("<body lang=\"x\">"), std::string::npos);  // nothing else changes
  EXPECT_EQ(with_look(kIndex, {}, "pl-PL"), kIndex);             // unset: as it is
}

TEST(Page, WhatIsNoWordNeverEntersTheTag) {
  for (const char* evil : {"\"><script>", "a b", "x\" onload=\"y", "\n"})
    EXPECT_EQ(with_look(kIndex, {"pl", evil, evil}, ""), kIndex) << evil;
  EXPECT_EQ(with_look("no tag at all", {"pl", "watra", "full"}, ""), "no tag at all");
}

TEST(Page, LanguageIsTheOneWantedMost) {
  EXPECT_EQ(language_of("pl-PL,pl;q=0.9,en;q=0.8"), "pl");
  EXPECT_EQ(language_of("de, en;q=0.3, pl;q=0.5"), "pl");
  EXPECT_EQ(language_of("en-GB,en;q=0.9,pl;q=0.8"), "en");
  EXPECT_EQ(language_of("pls, de;q=x"), "en");
  EXPECT_EQ(language_of(""), "en");
}

TEST(Page, TagsAreComparedAsHttpSays) {
  EXPECT_TRUE(names_tag("\"0123456789abcdef\"", "0123456789abcdef"));
  EXPECT_TRUE(names_tag("\"x\", W/\"0123456789abcdef\"", "0123456789abcdef"));
  EXPECT_TRUE(names_tag("*", "0123456789abcdef"));
  EXPECT_FALSE(names_tag("\"0123456789abcdee\"", "0123456789abcdef"));
  EXPECT_FALSE(names_tag("", "0123456789abcdef"));
}

TEST(Page, EveryFileIsARoute) {
  static constexpr std::string_view kScript = "let a = 1;";
  static const std::vector<PageFile> files = {
      {"/index.html", "text/html", "00", {kIndex.begin(), kIndex.end()}, {}},
      {"/assets/a-1.js", "text/javascript", "11", {kScript.begin(), kScript.end()}, {}}};
  Router router;
  add_page(router, files, [] { return PageLook{}; });
  ASSERT_NE(router.find("GET", "/").route, nullptr);
  EXPECT_EQ(router.find("GET", "/").route->access, Access::open);
  EXPECT_NE(router.find("GET", "/assets/a-1.js").route, nullptr);
  EXPECT_EQ(router.find("GET", "/index.html").route, nullptr);  // one address for one page
  EXPECT_EQ(router.find("GET", "/assets/b.js").route, nullptr);
  EXPECT_EQ(router.find("GET", "/assets/../token").route, nullptr);
  EXPECT_EQ(router.find("POST", "/").route, nullptr);
}

TEST(Page, WhatIsBuiltInIsWhole) {
  for (const PageFile& file : embedded_page()) {
    EXPECT_FALSE(file.plain.empty()) << file.path;
    EXPECT_EQ(file.tag.size(), 16u) << file.path;
    if (!file.gzip.empty()) {
      EXPECT_LT(file.gzip.view().size(), file.plain.view().size()) << file.path;
      EXPECT_EQ(file.gzip.view().substr(0, 2), "\x1f\x8b") << file.path;
    }
  }
}

}  // namespace
}  // namespace watra::server
