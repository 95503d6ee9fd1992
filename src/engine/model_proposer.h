// ModelProposer: asks a draft model how a sequence goes on, as a chain or as a tree grown best path first.
//
// One pass of the draft names the children of the nodes it ran; the best nodes are run next, several at a time, until
// max_nodes are found, no path is likely enough, or a pass promises less than it costs. The first pass reads what the
// target accepted since the last proposal together with the newest token.
//
// A draft with a cache of its own keeps it in step by comparing tokens: rows of its last tree that the target accepted
// stay, everything else is taken back. It reads the prompt at the first proposal, after the target's first token is
// out, less what the model has read for others that began alike (DraftModel::prefixes), or the newest part of it that
// the caller allows (DraftLimits::max_read); when its context is full it goes on with the newer half. A draft that
// shares the target's cache keeps nothing: its rows lie behind the target's cached positions and are dropped at the end
// of propose().
//
// With the target's sampling settings a node's first child is what the draft itself would draw with the target's random
// number at that position (common random numbers); the others follow by probability.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/draft_model.h"
#include "engine/internal/draft_tree.h"
#include "engine/internal/likely_tokens.h"
#include "engine/proposer.h"
#include "engine/sampling.h"

namespace watra::engine {

struct DraftStats {
  int64_t n_read = 0;  // tokens read to catch up with the target, the first prompt included
  double read_s = 0;   // passes that read more than the target can have accepted at once: prompts
  int64_t n_passes = 0, n_rows = 0, n_nodes = 0;
  double draft_s = 0;  // all other passes
};

class ModelProposer final : public Proposer {
 public:
  explicit ModelProposer(std::shared_ptr<DraftModel> model);
  ~ModelProposer() override;
  ModelProposer(const ModelProposer&) = delete;
  ModelProposer& operator=(const ModelProposer&) = delete;

  std::string_view method() const override { return model_->method; }
  std::string name() const override { return model_->name; }
  Status propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) override;
  double expected_seconds(int32_t n_nodes) const override;
  int64_t n_unread(std::span<const TokenId> tokens) const override;
  double read_token_seconds() const override { return model_->shares_cache ? 0 : model_->read_token_seconds; }
  Result<bool> read_ahead(std::span<const TokenId> tokens, int64_t n_most) override;

  const DraftStats& stats() const { return stats_; }

 private:
  Result<bool> catch_up_possible(std::span<const TokenId> tokens, const DraftLimits& limits, int32_t& max_depth);
  size_t n_same(std::span<const TokenId> tokens) const;
  int64_t n_missing(std::span<const TokenId> tokens) const;
  int64_t n_known(std::span<const TokenId> tokens) const;
  Status take_known_pages(std::span<const TokenId> tokens);
  void cut_back(size_t n_read);
  void keep_pages();
  void keep_accepted(std::span<const TokenId> tokens);
  Status read_rows(std::span<const TokenId> window, size_t n, bool wants_logits, bool is_prompt);
  Status read_own(std::span<const TokenId> tokens);
  Status read_shared(std::span<const TokenId> tokens, SequenceId sequence);
  Status grow(const DraftLimits& limits, int32_t max_depth);
  void add_children(int32_t parent, std::span<const float> logits, const DraftLimits& limits);
  Status run_pass(bool is_reading);
  Sampler* sampler_for(const DraftLimits& limits);

  std::shared_ptr<DraftModel> model_;
  SequenceId sequence_ = -1;  // whose cache is written: its own, or the target's

  // Own cache: tokens [start_, start_ + read_.size()) of the sequence are cached.
  size_t start_ = 0;
  std::vector<TokenId> read_;
  PrefixCache::Anchor anchor_;        // where start_ is 0: how far its pages are those of `prefixes`
  mutable PrefixCache::Match match_;  // scratch

  internal::DraftTree tree_;
  internal::LikelyTokens likely_;
  int32_t n_pending_ = 0;        // rows behind the cached positions
  std::vector<int32_t> root_;    // slots of what was read behind the cached positions: the tree's root
  std::vector<int32_t> chosen_;  // nodes of the next pass
  std::vector<int32_t> slots_;   // paths of the pass's rows, one after another
  Batch batch_;

  std::optional<Sampler> sampler_;
  const SamplingParams* sampler_params_ = nullptr;
  uint64_t sampler_seed_ = 0;

  double passes_per_node_ = 1;  // running mean
  DraftStats stats_;
};

}  // namespace watra::engine
