// A grammar in the scheduler: answers are held to it, alone and with drafts, and drafts change nothing.
#include "engine/grammar_mask.h"

#include <regex>

#include "engine/random_proposer_test.h"
#include "engine/watched_request_test.h"

namespace watra::engine {
namespace {

struct Held {
  std::string text;
  Finished finished;
};

// `whole`: prompt and answer, for drafts that are mostly right; empty = no drafts.
Held ask(const std::shared_ptr<const text::Grammar>& grammar, int64_t seed, const Tokens& whole) {
  SchedulerOptions options;
  options.speculation = {.max_nodes = 7, .shape = seed % 2 ? DraftShape::tree : DraftShape::chain, .always = true};
  if (!whole.empty())
    options.make_proposers = [&](int64_t) {
      std::vector<std::unique_ptr<Proposer>> p;
      p.push_back(std::make_unique<NoisyOracle>(whole, static_cast<uint32_t>(seed)));
      return p;
    };
  auto scheduler = Scheduler::create(talking_model(), options);
  EXPECT_TRUE(scheduler) << scheduler.error().to_string();
  Watched w(prompt(20, static_cast<TokenId>(seed)), 60);
  w.request.generate.ignore_end = false;
  w.request.sampling.temperature = seed % 3 ? 1.0 : 0.0;
  w.request.sampling.seed = seed;
  w.request.mask = std::make_unique<GrammarMask>(grammar);
  w.into(**scheduler);
  for (int i = 0; i < 1000 && !w.handle->finished(); ++i) (*scheduler)->step();
  EXPECT_FALSE(w.result.error) << w.result.error->to_string();
  return {w.text, w.result};
}

TEST(GrammarMask, HoldsAtEveryDraftedPosition) {
  text::GrammarCompiler compiler(talking_model().tokenizer);
  const auto grammar = compiler.compile(*text::Shape::gbnf("root ::= ([a-e] [0-3]){4,12} \"!\""));
  ASSERT_TRUE(grammar) << grammar.error().to_string();
  const std::regex whole("([a-e][0-3]){4,12}!"), begun("([a-e][0-3])*[a-e]?!?");
  SpeculationCounts counts;
  int n_whole = 0;
  for (int64_t seed = 0; seed < 12; ++seed) {
    const Held plain = ask(*grammar, seed, {});
    Tokens tokens = prompt(20, static_cast<TokenId>(seed));
    tokens.insert(tokens.end(), plain.finished.ids.begin(), plain.finished.ids.end());
    const Held drafted = ask(*grammar, seed, tokens);
    EXPECT_EQ(plain.text, drafted.text) << seed;
    EXPECT_EQ(plain.finished.ids, drafted.finished.ids);
    EXPECT_EQ(plain.finished.reason, drafted.finished.reason);
    const bool ended = plain.finished.reason == FinishReason::stop;
    EXPECT_TRUE(std::regex_match(plain.text, ended ? whole : begun)) << plain.text;
    n_whole += ended;
    counts += drafted.finished.stats.speculation;
  }
  EXPECT_GT(n_whole, 0) << "an end comes where the grammar is complete";
  EXPECT_GT(counts.n_accepted, 20);
}

TEST(GrammarMask, RefusesByAnError) {
  text::GrammarCompiler compiler(talking_model().tokenizer);
  GrammarMask mask(*compiler.compile(text::Shape::literal("!")));
  const Status refused = mask.advance(3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "engine.token_refused");
  std::vector<uint32_t> bits(mask_words(kTalkingVocab) + 1, 0xFFFFFFFF);
  ASSERT_TRUE(mask.fill(bits));
  EXPECT_EQ(bits.back(), 0u) << "what pads a row is never allowed";
}

}  // namespace
}  // namespace watra::engine
