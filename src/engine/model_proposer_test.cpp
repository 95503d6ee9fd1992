// A draft model's proposals: a draft that is the target is always right, whatever happened before leaves no trace in
// what it proposes next, and a shared cache stays the target's.
#include "engine/model_proposer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/tiny_model_test.h"

namespace watra::engine {
namespace {

constexpr int64_t kVocab = 100;

class Models {
 public:
  explicit Models(int64_t n_ctx = 256, KvType kv = KvType::f16) {
    target_path_ = write_tiny_model(folder_.path(), {.dtype = tensor::DType::q8_0, .n_vocab = kVocab});
    TestFolder other;
    const fs::path written = write_tiny_model(other.path(), {.n_layers = 1, .n_vocab = kVocab});
    other_path_ = folder_.path() / "other.gguf";
    fs::rename(written, other_path_);
    auto loaded = load_model(target_path_, {.threads = 1,
                                            .n_ctx = n_ctx,
                                            .kv_positions = 4 * n_ctx,
                                            .max_rows = 64,
                                            .max_logit_rows = 40,
                                            .kv_types = KvTypes(kv, kv)});
    if (!loaded) {
      ADD_FAILURE() << loaded.error().to_string();
      std::abort();
    }
    target = std::move(*loaded);
  }

  std::shared_ptr<DraftModel> draft(bool same, const DraftModelOptions& options = {}) {
    auto made = load_draft(target, same ? target_path_ : other_path_, options);
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : nullptr;
  }

  LoadedModel target;

 private:
  TestFolder folder_;
  fs::path target_path_, other_path_;
};

SamplingParams sampling_at(double temperature) {
  SamplingParams p;
  p.temperature = temperature;
  p.seed = 11;
  return p;
}

// The target's side: one sequence, drafts verified in one pass.
class Target {
 public:
  Target(LoadedModel& model, const SamplingParams& params, std::vector<TokenId> prompt)
      : forward_(*model.forward), params_(params), tokens_(std::move(prompt)) {
    auto made = Sampler::create(params, kVocab);
    EXPECT_TRUE(made);
    sampler_.emplace(std::move(*made));
    id_ = forward_.kv().add();
    Batch batch;
    batch.add_chain(id_, tokens_.data(), static_cast<int64_t>(tokens_.size()), true);
    EXPECT_TRUE(forward_.run(batch));
    take(forward_.logits(0));
  }
  ~Target() { forward_.kv().remove(id_); }

  DraftLimits limits(int32_t nodes, bool tree) const {
    return {.max_nodes = nodes,
            .max_depth = 6,
            .tree = tree,
            .sampling = params_.greedy() ? nullptr : &params_,
            .seed = sampler_->seed(),
            .position = position_,
            .sequence = id_};
  }

  struct Outcome {
    int accepted = 0;
    bool left_the_draft = false;  // at a node that had children
  };
  Outcome verify(const Draft& draft) {
    Batch batch;
    batch.rows.push_back({.token = tokens_.back(), .sequence = id_, .parent = kFromCache, .wants_logits = true});
    for (const Draft::Node& node : draft.nodes)
      batch.rows.push_back({.token = node.token, .sequence = id_, .parent = node.parent + 1, .wants_logits = true});
    const Status ran = forward_.run(batch);
    EXPECT_TRUE(ran) << ran.error().to_string();
    Outcome out;
    std::vector<int32_t> path = {0};
    for (int32_t at = -1;;) {
      const TokenId token = take(forward_.logits(at + 1));
      int32_t next = -1;
      bool has_children = false;
      for (size_t i = 0; i < draft.nodes.size(); ++i)
        if (draft.nodes[i].parent == at) {
          has_children = true;
          if (draft.nodes[i].token == token && next < 0) next = static_cast<int32_t>(i);
        }
      if (next < 0) {
        out.left_the_draft = has_children;
        break;
      }
      ++out.accepted;
      path.push_back(next + 1);
      at = next;
    }
    forward_.kv().keep_path(id_, path);
    return out;
  }

  const std::vector<TokenId>& tokens() const { return tokens_; }
  SequenceId id() const { return id_; }

 private:
  TokenId take(std::span<const float> logits) {
    const auto sampled = sampler_->sample(logits, position_++);
    EXPECT_TRUE(sampled);
    tokens_.push_back(sampled->token);
    return sampled->token;
  }

  Forward& forward_;
  SamplingParams params_;
  std::vector<TokenId> tokens_;
  std::optional<Sampler> sampler_;
  SequenceId id_ = -1;
  uint64_t position_ = 0;
};

std::vector<TokenId> some_tokens(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<TokenId> out(n);
  for (TokenId& t : out) t = static_cast<TokenId>(rng() % kVocab);
  return out;
}

bool same_draft(const Draft& a, const Draft& b) {
  return a.nodes.size() == b.nodes.size() &&
         std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), [](const Draft::Node& x, const Draft::Node& y) {
           return x.token == y.token && x.parent == y.parent && x.probability == y.probability;
         });
}

TEST(ModelProposer, ADraftThatIsTheTargetIsAlwaysAccepted) {
  Models models;
  for (const bool shares : {false, true})
    for (const bool tree : {false, true})
      for (const double temperature : {0.0, 1.0}) {
        SCOPED_TRACE(fmt::format("shared {} tree {} temperature {}", shares, tree, temperature));
        const auto draft_model = models.draft(true, {.share_cache = shares});
        ASSERT_TRUE(draft_model);
        ModelProposer proposer(draft_model);
        Target target(models.target, sampling_at(temperature), some_tokens(30, 1));
        Draft draft;
        int accepted = 0;
        for (int step = 0; step < 12; ++step) {
          const DraftLimits limits = target.limits(tree ? 12 : 5, tree);
          const Status proposed = proposer.propose(target.tokens(), limits, draft);
          ASSERT_TRUE(proposed) << proposed.error().to_string();
          ASSERT_FALSE(draft.nodes.empty());
          if (!tree) {
            EXPECT_TRUE(draft.is_chain());
          }
          const auto outcome = target.verify(draft);
          EXPECT_FALSE(outcome.left_the_draft);
          accepted += outcome.accepted;
          if (!tree) {
            EXPECT_EQ(outcome.accepted, 5);
          }
        }
        EXPECT_GE(accepted, 12);
      }
}

TEST(ModelProposer, AnswersAreThoseOfPlainDecoding) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  for (const double temperature : {0.0, 1.0}) {
    Target plain(models.target, sampling_at(temperature), some_tokens(20, 5));
    while (plain.tokens().size() < 120) plain.verify({});
    for (const bool tree : {false, true}) {
      ModelProposer proposer(draft_model);
      Target drafted(models.target, sampling_at(temperature), some_tokens(20, 5));
      Draft draft;
      while (drafted.tokens().size() < 120) {
        ASSERT_TRUE(proposer.propose(drafted.tokens(), drafted.limits(9, tree), draft));
        drafted.verify(draft);
      }
      EXPECT_TRUE(std::equal(plain.tokens().begin(), plain.tokens().begin() + 120, drafted.tokens().begin()));
    }
  }
}

// Accepted, rejected, cut back, gone on differently, another conversation, a longer turn: what is proposed next is what
// a proposer proposes that has never seen anything else.
TEST(ModelProposer, TheCacheFollowsTheTokens) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  for (uint32_t seed = 0; seed < 8; ++seed) {
    std::mt19937 rng(seed);
    ModelProposer proposer(draft_model);
    std::vector<TokenId> tokens = some_tokens(1 + rng() % 40, seed);
    Draft draft, expected;
    const SamplingParams params = sampling_at(1.0);
    for (int step = 0; step < 60; ++step) {
      DraftLimits limits{.max_nodes = static_cast<int32_t>(1 + rng() % 14),
                         .max_depth = static_cast<int32_t>(1 + rng() % 6),
                         .tree = rng() % 2 == 0};
      if (rng() % 2) {
        limits.sampling = &params;
        limits.position = rng() % 100;
      }
      const Status proposed = proposer.propose(tokens, limits, draft);
      ASSERT_TRUE(proposed) << proposed.error().to_string();
      ModelProposer fresh(draft_model);
      ASSERT_TRUE(fresh.propose(tokens, limits, expected));
      ASSERT_TRUE(same_draft(draft, expected)) << "seed " << seed << " step " << step;
      switch (rng() % 8) {
        case 0:  // a new turn
          for (uint32_t i = rng() % 90; i-- > 0;) tokens.push_back(static_cast<TokenId>(rng() % kVocab));
          break;
        case 1:  // the answer is taken back
          tokens.resize(1 + rng() % tokens.size());
          break;
        case 2:
          tokens = some_tokens(1 + rng() % 100, rng());
          break;
        default: {  // a random way down the draft, and a token of the target's own
          int32_t at = -1;
          for (size_t i = 0; i < draft.nodes.size(); ++i)
            if (draft.nodes[i].parent == at && rng() % 4 != 0) {
              at = static_cast<int32_t>(i);
              tokens.push_back(draft.nodes[i].token);
            }
          tokens.push_back(static_cast<TokenId>(rng() % kVocab));
        }
      }
      if (tokens.size() > 240) tokens.resize(1 + rng() % 100);
    }
  }
}

TEST(ModelProposer, AFullContextOfItsOwnGoesOnWithTheNewerHalf) {
  Models models(128);
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  ModelProposer proposer(draft_model);
  std::vector<TokenId> tokens = some_tokens(100, 3);
  Draft draft;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 8, .max_depth = 8}, draft));
    EXPECT_EQ(draft.nodes.size(), 8u);
    tokens.push_back(i % 3 ? draft.nodes[0].token : 7);
  }
  // Not read anew at every step: half a context now and then.
  EXPECT_LT(proposer.stats().n_read, 1000);
  ASSERT_TRUE(proposer.propose(std::span(tokens).first(5), {.max_nodes = 4}, draft));
  ModelProposer fresh(draft_model);
  Draft expected;
  ASSERT_TRUE(fresh.propose(std::span(tokens).first(5), {.max_nodes = 4}, expected));
  EXPECT_TRUE(same_draft(draft, expected));
}

std::vector<std::byte> cached_rows(Forward& f, SequenceId id) {
  std::vector<std::byte> out;
  const auto& hp = f.model().hparams();
  KvCache& kv = f.kv();
  for (int64_t slot = 0; slot < kv.length(id); ++slot)
    for (int layer = 0; layer < hp.n_layers; ++layer) {
      const auto& l = hp.layers[static_cast<size_t>(layer)];
      for (int g = 0; g < l.n_kv_heads; ++g) {
        const std::byte* page = kv.slot_page(id, slot);
        const std::byte* k = page + kv.k_row_offset(layer, g, slot);
        const std::byte* v = page + kv.v_row_offset(layer, g, slot);
        out.insert(out.end(), k, k + kernels::kv_row_bytes(kv.types(layer).k, l.d_head));
        out.insert(out.end(), v, v + kernels::kv_row_bytes(kv.types(layer).v, l.d_head));
      }
    }
  return out;
}

TEST(ModelProposer, ReadsTheNewestTokensAlone) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  ModelProposer proposer(draft_model), fresh(draft_model);
  std::vector<TokenId> tokens = some_tokens(120, 3);
  EXPECT_EQ(proposer.n_unread(tokens), 120);
  EXPECT_GT(proposer.read_token_seconds(), 0);
  Draft draft, expected;
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 4, .max_depth = 4, .max_read = 50}, draft));
  ASSERT_TRUE(fresh.propose(std::span(tokens).last(50), {.max_nodes = 4, .max_depth = 4}, expected));
  EXPECT_TRUE(same_draft(draft, expected));
  EXPECT_EQ(proposer.stats().n_read, 50);
  EXPECT_EQ(proposer.n_unread(tokens), 0) << "what was left out is not missed";
  tokens.push_back(7);
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 4, .max_depth = 4, .max_read = 50}, draft));
  ASSERT_TRUE(fresh.propose(std::span(tokens).last(51), {.max_nodes = 4, .max_depth = 4}, expected));
  EXPECT_TRUE(same_draft(draft, expected)) << "the window grows with the answer";
}

// A persona in front: whoever comes later reads what is new.
TEST(ModelProposer, WhatWasReadForOthersIsNotReadAgain) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  const std::vector<TokenId> persona = some_tokens(140, 3);
  const auto with = [&](uint32_t seed, size_t n) {
    std::vector<TokenId> tokens = persona;
    const auto more = some_tokens(n, seed);
    tokens.insert(tokens.end(), more.begin(), more.end());
    return tokens;
  };
  const DraftLimits limits{.max_nodes = 4, .max_depth = 4};
  Draft draft, expected;
  {
    ModelProposer first(draft_model);
    ASSERT_TRUE(first.propose(with(1, 20), limits, draft));
    EXPECT_EQ(first.stats().n_read, 160);
  }
  ModelProposer second(draft_model), third(draft_model);
  const auto tokens = with(2, 50);
  EXPECT_EQ(second.n_unread(tokens), 190 - 128);
  ASSERT_TRUE(second.propose(tokens, limits, draft));
  EXPECT_EQ(second.stats().n_read, 190 - 128);
  // The same guesses as from a model that never saw anybody else.
  const auto apart = models.draft(false);
  ModelProposer alone(apart);
  ASSERT_TRUE(alone.propose(tokens, limits, expected));
  EXPECT_TRUE(same_draft(draft, expected));
  // Also inside a conversation: another turn of it, then another conversation, and back again.
  for (const auto& text :
       {with(2, 90), with(3, 60), with(2, 110), std::vector<TokenId>(persona.begin(), persona.begin() + 70)}) {
    ASSERT_TRUE(second.propose(text, limits, draft));
    ModelProposer fresh(models.draft(false));
    ASSERT_TRUE(fresh.propose(text, limits, expected));
    EXPECT_TRUE(same_draft(draft, expected));
  }
  // With a little of the prompt allowed, what is known already makes the whole of it affordable.
  ASSERT_TRUE(third.propose(with(4, 40), {.max_nodes = 4, .max_depth = 4, .max_read = 60}, draft));
  ModelProposer fresh(models.draft(false));
  ASSERT_TRUE(fresh.propose(with(4, 40), limits, expected));
  EXPECT_TRUE(same_draft(draft, expected));
}

TEST(ModelProposer, KnownBeginningsMakeRoomForWhoeverDrafts) {
  Models models(192);
  const auto draft_model = models.draft(false, {.kv_positions = 192});
  ASSERT_TRUE(draft_model);
  Draft draft;
  for (uint32_t i = 0; i < 12; ++i) {
    ModelProposer proposer(draft_model);
    const Status proposed = proposer.propose(some_tokens(130 + i, i), {.max_nodes = 8, .max_depth = 8}, draft);
    ASSERT_TRUE(proposed) << proposed.error().to_string();
    EXPECT_EQ(draft.nodes.size(), 8u);
  }
}

TEST(ModelProposer, ReadsAheadForThoseWhoCome) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  const std::vector<TokenId> tokens = some_tokens(150, 3);
  ModelProposer reader(draft_model);
  int n_steps = 0;
  for (bool is_more = true; is_more; ++n_steps) {
    ASSERT_LT(n_steps, 10);
    const auto read = reader.read_ahead(tokens, 50);
    ASSERT_TRUE(read) << read.error().to_string();
    is_more = *read;
  }
  EXPECT_EQ(n_steps, 3);
  EXPECT_EQ(reader.stats().n_read, 128) << "whole pages";
  EXPECT_FALSE(*reader.read_ahead(tokens, 50));
  EXPECT_EQ(reader.stats().n_read, 128);
  ModelProposer proposer(draft_model), fresh(models.draft(false));
  EXPECT_EQ(proposer.n_unread(tokens), 0);
  Draft draft, expected;
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 4, .max_depth = 4, .max_read = 0}, draft));
  ASSERT_TRUE(fresh.propose(tokens, {.max_nodes = 4, .max_depth = 4}, expected));
  EXPECT_TRUE(same_draft(draft, expected));
  // Whoever drafted may read ahead too, and draft again.
  for (const auto& text : {some_tokens(200, 8), tokens}) {
    while (*proposer.read_ahead(text, 64)) {
    }
    ASSERT_TRUE(proposer.propose(text, {.max_nodes = 4, .max_depth = 4}, draft));
    ModelProposer once(models.draft(false));
    ASSERT_TRUE(once.propose(text, {.max_nodes = 4, .max_depth = 4}, expected));
    EXPECT_TRUE(same_draft(draft, expected));
  }
  // A copy that shares the target's cache has nothing to read.
  EXPECT_FALSE(*ModelProposer(models.draft(true, {.share_cache = true})).read_ahead(tokens, 50));
}

TEST(ModelProposer, ASharedCacheStaysTheTargets) {
  for (const KvType kv_type : {KvType::f16, KvType::f32}) {
    Models models(256, kv_type);
    const auto draft_model = models.draft(true, {.share_cache = true});
    ASSERT_TRUE(draft_model);
    Forward& f = *models.target.forward;
    for (const bool tree : {false, true}) {
      ModelProposer proposer(draft_model);
      Target target(models.target, sampling_at(0), some_tokens(60, 2));  // a page boundary is near
      Draft draft;
      for (int step = 0; step < 10; ++step) {
        const auto before = cached_rows(f, target.id());
        if (step % 3 == 0) {
          ASSERT_TRUE(f.kv().reserve(target.id(), 70));  // taken for what comes next
        }
        const int64_t length = f.kv().length(target.id()), free = f.kv().free_pages();
        ASSERT_TRUE(proposer.propose(target.tokens(), target.limits(10, tree), draft));
        EXPECT_EQ(f.kv().length(target.id()), length);
        EXPECT_EQ(f.kv().free_pages(), free);
        EXPECT_EQ(cached_rows(f, target.id()), before);
        target.verify(draft);
      }
    }
  }
}

TEST(ModelProposer, ASharedCacheIsNotWrittenPastTheContext) {
  Models models(64);
  const auto draft_model = models.draft(true, {.share_cache = true});
  ASSERT_TRUE(draft_model);
  ModelProposer proposer(draft_model);
  Target target(models.target, sampling_at(0), some_tokens(55, 2));
  Draft draft;
  while (target.tokens().size() < 64) {
    ASSERT_TRUE(proposer.propose(target.tokens(), target.limits(6, false), draft));
    EXPECT_LE(target.tokens().size() + draft.nodes.size(), 64u);
    if (target.tokens().size() < 64) target.verify({});
  }
  ASSERT_TRUE(proposer.propose(target.tokens(), target.limits(6, false), draft));
  EXPECT_TRUE(draft.nodes.empty());
}

TEST(ModelProposer, StopsWhereAPassPromisesLessThanItCosts) {
  Models models;
  const auto draft_model = models.draft(false);
  ASSERT_TRUE(draft_model);
  ModelProposer proposer(draft_model);
  const auto tokens = some_tokens(30, 9);
  Draft draft;
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 12, .max_depth = 12, .token_seconds = 1e-12}, draft));
  EXPECT_EQ(draft.nodes.size(), 1u);  // of the reading pass
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 12, .max_depth = 12, .token_seconds = 1e30}, draft));
  EXPECT_EQ(draft.nodes.size(), 12u);
  ASSERT_TRUE(proposer.propose(tokens, {.max_nodes = 12, .max_depth = 12, .min_path_probability = 1.1f}, draft));
  EXPECT_TRUE(draft.nodes.empty());
  EXPECT_GT(proposer.expected_seconds(4), 0);
  EXPECT_GT(proposer.expected_seconds(8), proposer.expected_seconds(4));
}

TEST(LoadDraft, RefusesASharedCacheOfAnotherShape) {
  Models models;
  TestFolder folder;
  const auto other = load_draft(models.target, write_tiny_model(folder.path(), {.n_layers = 1, .n_vocab = kVocab}),
                                {.share_cache = true});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, "kv.other_shape");
}

TEST(LoadDraft, CountsAgainstTheTargetsBudget) {
  Models models;
  const uint64_t before = models.target.budget->used_bytes();
  {
    const auto draft_model = models.draft(false);
    ASSERT_TRUE(draft_model);
    EXPECT_GT(models.target.budget->used_bytes(), before);
  }
  EXPECT_EQ(models.target.budget->used_bytes(), before);
  ASSERT_TRUE(models.target.budget->set_limit(before + 1000));
  TestFolder folder;
  const auto refused = load_draft(models.target, write_tiny_model(folder.path(), {.n_vocab = kVocab}), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "memory.over_budget");
  EXPECT_EQ(models.target.budget->used_bytes(), before);
}

text::VocabSpec words(int n) {
  text::VocabSpec v;
  v.kind = text::VocabKind::bpe;
  for (int i = 0; i < n; ++i) {
    v.pieces.push_back(fmt::format("w{}", i));
    v.types.push_back(text::TokenType::normal);
  }
  return v;
}

TEST(SharedVocabulary, TokenByToken) {
  const text::VocabSpec target = words(500);
  const auto same = SharedVocabulary::create(target, words(500));
  ASSERT_TRUE(same);
  EXPECT_TRUE(same->has(499));
  EXPECT_FALSE(same->has(500));
  EXPECT_FALSE(same->has(-1));

  text::VocabSpec other = words(500);
  other.pieces[17] = "else";
  const auto refused = SharedVocabulary::create(target, other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "draft.other_vocabulary");
  EXPECT_NE(refused.error().message.find("token 17 is \"w17\""), std::string::npos) << refused.error().message;
  EXPECT_FALSE(refused.error().hint.empty());

  other = words(500);
  other.kind = text::VocabKind::spm;
  EXPECT_FALSE(SharedVocabulary::create(target, other));
}

TEST(SharedVocabulary, PaddingAndControlTokensMayDiffer) {
  text::VocabSpec target = words(500), draft = words(500);
  for (text::VocabSpec* v : {&target, &draft}) v->types[450] = v->types[451] = text::TokenType::control;
  draft.pieces[450] = "<|tool|>";
  draft.eos = 451;
  draft.pieces.push_back("<pad>");
  draft.types.push_back(text::TokenType::unused);
  const auto shared = SharedVocabulary::create(target, draft);
  ASSERT_TRUE(shared) << shared.error().to_string();
  EXPECT_FALSE(shared->has(450));
  EXPECT_EQ(shared->to_draft(450), 451);
  EXPECT_TRUE(shared->has(451));
  EXPECT_FALSE(shared->has(500));
  EXPECT_EQ(shared->to_draft(30), 30);

  EXPECT_FALSE(SharedVocabulary::create(words(500), words(700)));
  EXPECT_TRUE(SharedVocabulary::create(words(500), words(520)));
}

}  // namespace
}  // namespace watra::engine
