#include "engine/stop_strings.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/cpu_clock.h"

namespace watra::engine {
namespace {

StopMatcher matcher(std::vector<std::string> stops) {
  auto made = StopMatcher::create(stops);
  EXPECT_TRUE(made.has_value());
  return std::move(*made);
}

struct Streamed {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Streamed&) const = default;
};

// The definition, on the whole text: the match that ends first, of those the longest, of those the first in the list.
Streamed naive(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> best;
    for (size_t s = 0; s < stops.size(); ++s) {
      const bool ends_here =
          end >= stops[s].size() && text.compare(end - stops[s].size(), stops[s].size(), stops[s]) == 0;
      if (ends_here && (!best || stops[s].size() > stops[*best].size())) best = s;
    }
    if (best) return {text.substr(0, end - stops[*best].size()), best};
  }
  return {text, std::nullopt};
}

// Longest end of `text` that begins a stop string without being one.
size_t naive_held(const std::vector<std::string>& stops, const std::string& text) {
  size_t held = 0;
  for (const auto& stop : stops) {
    for (size_t n = 1; n < stop.size() && n <= text.size(); ++n) {
      if (text.compare(text.size() - n, n, stop, 0, n) == 0) held = std::max(held, n);
    }
  }
  return held;
}

bool ends_with_whole_character(std::string_view text) {
  size_t i = text.size();
  while (i > 0 && (static_cast<unsigned char>(text[i - 1]) & 0xC0) == 0x80) --i;
  if (i == 0) return text.empty();
  const auto lead = static_cast<unsigned char>(text[i - 1]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return text.size() - (i - 1) == length;
}

TEST(StopStrings, AnswersBeforeTheStopAndNamesIt) {
  auto m = matcher({"\nUser:", "###"});
  EXPECT_EQ(m.feed("Hello").text, "Hello");
  EXPECT_EQ(m.feed(" there\nUs").text, " there");
  EXPECT_EQ(m.held(), "\nUs");
  const auto out = m.feed("er: what");
  EXPECT_EQ(out.text, "");
  EXPECT_EQ(out.stop, 0u);
  EXPECT_EQ(m.feed("more").text, "");
  EXPECT_EQ(m.finish(), "");
  m.reset();
  EXPECT_EQ(m.feed("a##").text, "a");
  EXPECT_EQ(m.feed("b").text, "##b");
}

TEST(StopStrings, AFalseStartIsReleasedAsSoonAsItIsOne) {
  auto m = matcher({"aab"});
  EXPECT_EQ(m.feed("aa").text, "");
  EXPECT_EQ(m.feed("a").text, "a");  // "aa" may still begin it
  EXPECT_EQ(m.feed("c").text, "aac");
  EXPECT_EQ(m.feed("a").text, "");
  EXPECT_EQ(m.finish(), "a");
}

TEST(StopStrings, TheFirstToEndWinsThenTheLongest) {
  auto m = matcher({"abcd", "bc"});
  const auto first = m.feed("xabcd");
  EXPECT_EQ(first.text, "xa");
  EXPECT_EQ(first.stop, 1u);
  auto n = matcher({"bc", "abc", "abc"});
  const auto longest = n.feed("xabcd");
  EXPECT_EQ(longest.text, "x");
  EXPECT_EQ(longest.stop, 1u);
}

TEST(StopStrings, NeverEmitsHalfACharacter) {
  auto m = matcher({"łoś"});
  const std::string text = "żółwł";
  std::string shown;
  for (const char c : text) {
    const auto out = m.feed(std::string_view(&c, 1));
    EXPECT_TRUE(ends_with_whole_character(out.text));
    shown += out.text;
  }
  EXPECT_EQ(shown, "żółw");  // the last letter may begin the stop string
  EXPECT_EQ(m.finish(), "ł");
  // Without stop strings characters are kept whole all the same, and bytes that are no UTF-8 pass.
  auto none = matcher({});
  EXPECT_EQ(none.feed("\xF0\x9F").text, "");
  EXPECT_EQ(none.feed("\x92\xA7").text, "\xF0\x9F\x92\xA7");
  EXPECT_EQ(none.feed("\xFF\x80\x80\x80").text, "\xFF\x80\x80\x80");
  EXPECT_EQ(none.feed("a\xE2\x82").text, "a");
  EXPECT_EQ(none.finish(), "\xE2\x82");
}

TEST(StopStrings, RefusesEmptyAndBrokenStrings) {
  const std::vector<std::string> empty = {"ok", ""}, cut = {"\xC5"}, stray = {"\x82"};
  for (const auto& stops : {empty, cut, stray}) {
    const auto made = StopMatcher::create(stops);
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, "engine.bad_stop");
  }
}

TEST(StopStrings, EqualsASearchOfTheWholeTextHoweverItIsCut) {
  std::mt19937 rng(7);
  const std::vector<std::string> alphabet = {"a", "b", "ł", "€", "𝄞"};
  const auto word = [&](size_t longest, size_t letters) {
    std::string w;
    for (size_t n = 1 + rng() % longest; n > 0; --n) w += alphabet[rng() % letters];
    return w;
  };
  int n_stopped = 0;
  for (int round = 0; round < 20000; ++round) {
    const size_t letters = 1 + rng() % alphabet.size();
    std::vector<std::string> stops;
    for (size_t n = rng() % 4; n > 0; --n) stops.push_back(word(6, letters));
    const std::string text = word(40, letters);
    const Streamed expected = naive(stops, text);
    n_stopped += expected.stop.has_value();

    auto m = matcher(stops);
    Streamed got;
    for (size_t at = 0; at < text.size() && !got.stop;) {
      const size_t n = std::min<size_t>(text.size() - at, rng() % 6);
      const auto out = m.feed(std::string_view(text).substr(at, n));
      at += n;
      got.text += out.text;
      got.stop = out.stop;
      ASSERT_TRUE(ends_with_whole_character(got.text)) << text;
      if (!got.stop && ends_with_whole_character(text.substr(0, at))) {
        ASSERT_EQ(m.held().size(), naive_held(stops, text.substr(0, at)))
            << "holds back exactly what it must: " << text;
      }
      if (rng() % 8 == 0) m = StopMatcher(m);  // a copy goes on where the original was
    }
    got.text += m.finish();
    ASSERT_EQ(got, expected) << text;
  }
  EXPECT_GT(n_stopped, 2000);
}

TEST(StopStrings, IsLinearForTheWorstStrings) {
  // Every position of "aaa...a" is one byte away from a match of thousands.
  const std::string stop = std::string(4000, 'a') + "b";
  auto m = matcher({stop, std::string(3000, 'a') + "c"});
  const std::string text(1 << 20, 'a');
  const double start = thread_cpu_seconds();
  size_t shown = 0;
  for (size_t at = 0; at < text.size(); at += 4096)
    shown += m.feed(std::string_view(text).substr(at, 4096)).text.size();
  EXPECT_EQ(shown, text.size() - 4000);
  EXPECT_LT(thread_cpu_seconds() - start, 2);  // quadratic would take 4 * 10^9 steps
}

}  // namespace
}  // namespace watra::engine
