#include "server/grammar_desk.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <random>

#include "text/spm_bytes_test.h"

namespace watra::server {
namespace {

std::shared_ptr<const text::Tokenizer> bytes_tokenizer() {
  auto made = text::Tokenizer::create(text::spm_of_bytes({"</s>"}, {"abc", "true"}));
  EXPECT_TRUE(made) << made.error().to_string();
  return std::move(*made);
}

// Many words of their own letters: longer than a first look.
text::Shape slow_shape(unsigned seed) {
  std::mt19937 random(seed);
  std::string grammar = "root ::= \"a\"";
  for (int i = 0; i < 6'000; ++i) {
    grammar += " | \"";
    for (int k = 0; k < 12; ++k) grammar += static_cast<char>('a' + random() % 26);
    grammar += '"';
  }
  return *text::Shape::gbnf(grammar);
}

class GrammarDeskTest : public ::testing::Test {
 protected:
  void ask(text::Shape shape, std::string name, asio::cancellation_slot slot = {}) {
    const auto waits = [](GrammarDeskTest* self, text::Shape s, std::string n) -> Awaitable<void> {
      try {
        co_await self->desk_.compile(std::move(s), "field");
      } catch (const ApiError&) {
      }
      self->ended_.push_back(std::move(n));
    };
    asio::co_spawn(io_, waits(this, std::move(shape), std::move(name)),
                   asio::bind_cancellation_slot(slot, [](const std::exception_ptr&) {}));
  }
  GrammarDesk desk_{bytes_tokenizer(), {}, nullptr};
  asio::io_context io_;
  std::vector<std::string> ended_;
};

TEST_F(GrammarDeskTest, AShortOneWaitsForNoLongOnes) {
  for (unsigned i = 0; i < 3; ++i) ask(slow_shape(i), "slow");
  ask(text::Shape::json_object(), "short");
  io_.run();
  ASSERT_EQ(ended_.size(), 4u);
  EXPECT_TRUE(ended_[0] == "short" || ended_[1] == "short") << "behind the one that was being looked at, at most";
}

TEST_F(GrammarDeskTest, WhatNobodyWaitsForIsNotBegun) {
  asio::cancellation_signal gone[5];
  for (unsigned i = 0; i < 5; ++i) ask(slow_shape(10 + i), "slow", gone[i].slot());
  io_.poll();  // all have asked
  for (auto& signal : gone) signal.emit(asio::cancellation_type::all);
  ask(text::Shape::json_object(), "short");
  io_.run();
  EXPECT_EQ(ended_, std::vector<std::string>{"short"});
  EXPECT_LT(desk_.n_begun(), 5u);  // what was being made, and ours
}

TEST_F(GrammarDeskTest, KeptOnesComeAtOnce) {
  ask(text::Shape::json_object(), "one");
  io_.run();
  io_.restart();
  ask(text::Shape::json_object(), "again");
  io_.run();
  EXPECT_EQ(ended_.size(), 2u);
  EXPECT_EQ(desk_.n_begun(), 1u);
}

}  // namespace
}  // namespace watra::server
