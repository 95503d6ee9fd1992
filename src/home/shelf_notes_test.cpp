#include "home/shelf_notes.h"

#include "home/test_home_test.h"

namespace watra::home {
namespace {

const SpeedOf kModel{"/models/a.gguf", "10:1", "--draft auto"};

NotedSpeed speed_of(const ShelfNotes& notes, const SpeedOf& of) {
  const auto found = notes.speed_of(of);
  EXPECT_TRUE(found);
  return found && *found ? **found : NotedSpeed{};
}

void note(ShelfNotes& notes, const SpeedOf& of, double tokens_per_s) {
  ASSERT_TRUE(notes.note_speed(of, tokens_per_s));
}

TEST(ShelfNotes, ASpeedIsTheMedianOfAnswers) {
  TestHome home;
  ShelfNotes notes(home->db());
  EXPECT_EQ(speed_of(notes, kModel).n_answers, 0);
  note(notes, kModel, 5);
  EXPECT_EQ(speed_of(notes, kModel).tokens_per_s, 5);
  note(notes, kModel, 50);  // one that stands out moves little
  note(notes, kModel, 4);
  EXPECT_EQ(speed_of(notes, kModel).tokens_per_s, 5);
  note(notes, kModel, 6);
  EXPECT_EQ(speed_of(notes, kModel).tokens_per_s, 5.5);
  EXPECT_EQ(speed_of(notes, kModel).n_answers, 4);
}

TEST(ShelfNotes, OnlyTheNewestSpeedsCount) {
  TestHome home;
  ShelfNotes notes(home->db());
  for (int i = 0; i < 100; ++i) note(notes, kModel, 1);
  for (int64_t i = 0; i < ShelfNotes::kKeptSpeeds; ++i) note(notes, kModel, 9);
  EXPECT_EQ(speed_of(notes, kModel).tokens_per_s, 9);
  EXPECT_EQ(speed_of(notes, kModel).n_answers, ShelfNotes::kKeptSpeeds);
}

TEST(ShelfNotes, SpeedsAreOfOneFileUnderOneSetOfSettings) {
  TestHome home;
  ShelfNotes notes(home->db());
  SpeedOf plain = kModel, other = kModel, changed = kModel;
  plain.settings = "--draft none";
  other.file = "/models/b.gguf";
  changed.stamp = "11:2";
  note(notes, kModel, 5);
  note(notes, plain, 2);
  note(notes, other, 7);
  EXPECT_EQ(speed_of(notes, kModel).tokens_per_s, 5);
  EXPECT_EQ(speed_of(notes, plain).tokens_per_s, 2);
  EXPECT_EQ(speed_of(notes, other).tokens_per_s, 7);
  EXPECT_EQ(speed_of(notes, changed).n_answers, 0) << "another file lies there now";
  note(notes, changed, 3);
  EXPECT_EQ(speed_of(notes, changed).tokens_per_s, 3);
  EXPECT_EQ(speed_of(notes, kModel).n_answers, 0);
  EXPECT_EQ(speed_of(notes, plain).n_answers, 0);
  EXPECT_EQ(speed_of(notes, other).tokens_per_s, 7);
}

}  // namespace
}  // namespace watra::home
