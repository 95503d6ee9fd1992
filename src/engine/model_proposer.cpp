#include "engine/model_proposer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace watra::engine {
namespace {

// Continuations taken from one row. Beyond the 16th even a flat distribution rarely has one worth its place.
constexpr size_t kMostChildren = 16;
// The target accepts no more than a draft and a token of its own at once: longer readings are prompts.
constexpr int64_t kMostAccepted = 32;
// Weight of the newest proposal in the running means: half of what they say is from the last five.
constexpr double kNewest = 0.13;

// Rows of a tree behind the cached positions: they never reach beyond the page after the one at hand.
constexpr int32_t kMostPending = kernels::kKvPage;

constexpr double kGreedyTemperature = 1;  // a greedy target's choices are judged by the draft's plain probabilities

// How often the target draws the token that the draft, whose probability for it is q, drew with the same random number
// (a line through what was measured on chats and code at temperature 0.8, docs/measurements.md).
float agreement(float q) { return 0.2f + 0.78f * q; }

}  // namespace

ModelProposer::ModelProposer(std::shared_ptr<DraftModel> model) : model_(std::move(model)) {
  Forward& f = *model_->forward;
  if (!model_->shares_cache) {
    sequence_ = f.kv().add();
    read_.reserve(static_cast<size_t>(f.options().n_ctx));
    match_.pages.reserve(static_cast<size_t>(f.kv().total_pages()));
  }
  const auto max_rows = static_cast<size_t>(f.options().max_rows);
  batch_.rows.reserve(max_rows);
  tree_.reserve(1024);
  likely_.reserve(static_cast<size_t>(f.model().hparams().n_vocab));
  slots_.reserve(max_rows * 32);
  root_.reserve(static_cast<size_t>(kMostAccepted));
  chosen_.reserve(max_rows);
}

ModelProposer::~ModelProposer() {
  if (!model_->shares_cache) model_->forward->kv().remove(sequence_);
}

// Tokens of the sequence, from start_ on, that are cached.
size_t ModelProposer::n_same(std::span<const TokenId> tokens) const {
  if (tokens.size() <= start_) return 0;
  return static_cast<size_t>(std::ranges::mismatch(read_, tokens.subspan(start_)).in1 - read_.begin());
}

int64_t ModelProposer::n_missing(std::span<const TokenId> tokens) const {
  return static_cast<int64_t>(tokens.size() > start_ ? tokens.size() - start_ - n_same(tokens) : tokens.size());
}

// Whole pages of the beginning that the model has read, in tokens; they are in match_.
int64_t ModelProposer::n_known(std::span<const TokenId> tokens) const {
  // The newest token is run in any case.
  model_->prefixes->find(tokens.first(tokens.size() - 1), match_);
  return match_.n_tokens / kernels::kKvPage * kernels::kKvPage;
}

Status ModelProposer::take_known_pages(std::span<const TokenId> tokens) {
  const int64_t n = n_known(tokens);
  if (static_cast<int64_t>(tokens.size()) - n >= n_missing(tokens)) return {};
  KvCache& kv = model_->forward->kv();
  const auto pages = std::span<const PageId>(match_.pages).first(static_cast<size_t>(n / kernels::kKvPage));
  WATRA_ASSIGN(const SequenceId with_pages, kv.add_on(pages, n));
  kv.remove(sequence_);
  sequence_ = with_pages;
  anchor_ = {.last = pages.back(), .n_pages = static_cast<int64_t>(pages.size())};
  start_ = 0;
  read_.assign(tokens.begin(), tokens.begin() + n);
  tree_.clear();
  return {};
}

// Only the first n_read of what is cached stay.
void ModelProposer::cut_back(size_t n_read) {
  KvCache& kv = model_->forward->kv();
  const auto n_pages = static_cast<int64_t>(n_read) / kernels::kKvPage;
  if (n_pages < anchor_.n_pages)
    anchor_ = n_pages > 0 ? PrefixCache::Anchor{kv.page(sequence_, n_pages - 1), n_pages} : PrefixCache::Anchor{};
  kv.truncate(sequence_, static_cast<int64_t>(n_read));
  read_.resize(n_read);
  tree_.clear();
}

// For those whose texts begin alike.
void ModelProposer::keep_pages() {
  if (start_ == 0 && static_cast<int64_t>(read_.size()) / kernels::kKvPage > anchor_.n_pages)
    model_->prefixes->store_pages(sequence_, read_, anchor_);
}

// False: nothing can be drafted here. Moves the window of a full context of its own.
Result<bool> ModelProposer::catch_up_possible(std::span<const TokenId> tokens, const DraftLimits& limits,
                                              int32_t& max_depth) {
  const auto n = static_cast<int64_t>(tokens.size());
  const int64_t n_ctx = model_->forward->options().n_ctx;
  max_depth = std::min(limits.max_depth, limits.max_nodes);
  if (n == 0 || max_depth < 1) return false;
  if (model_->shares_cache) {
    const KvCache& kv = model_->forward->kv();
    if (!kv.has(limits.sequence)) return false;
    const int64_t missing = n - kv.length(limits.sequence);
    if (missing < 1 || missing > kMostAccepted) return false;
    max_depth = static_cast<int32_t>(std::min<int64_t>(max_depth, n_ctx - n));
    return max_depth >= 1;
  }
  max_depth = static_cast<int32_t>(std::min<int64_t>(max_depth, n_ctx / 4));
  if (max_depth < 1) return false;
  if (n_missing(tokens) > kMostAccepted && n + max_depth <= n_ctx) WATRA_TRY(take_known_pages(tokens));
  const bool fits = n - static_cast<int64_t>(start_) + max_depth <= n_ctx && n > static_cast<int64_t>(start_);
  if (fits && n_unread(tokens) <= limits.max_read) return true;
  // Another conversation, its context is full, or it is to read less: the newer half of what it can hold at most.
  cut_back(0);
  start_ = n + max_depth > n_ctx ? static_cast<size_t>(n - n_ctx / 2) : 0;
  if (const int64_t first = n - std::max<int64_t>(limits.max_read, 1); first > static_cast<int64_t>(start_))
    start_ = static_cast<size_t>(first);
  return true;
}

int64_t ModelProposer::n_unread(std::span<const TokenId> tokens) const {
  if (model_->shares_cache || tokens.empty()) return 0;
  int64_t missing = n_missing(tokens);
  if (missing > kMostAccepted) missing = std::min(missing, static_cast<int64_t>(tokens.size()) - n_known(tokens));
  return missing > kMostAccepted ? missing : 0;
}

// What the target accepted of the last tree stays cached; what it decided otherwise is taken back.
void ModelProposer::keep_accepted(std::span<const TokenId> tokens) {
  const std::span<const TokenId> window = tokens.subspan(start_);
  // The newest token is run in any case: its logits are what the next tree begins with.
  const size_t same = std::min(n_same(tokens), window.size() - 1);
  if (same < read_.size()) return cut_back(same);
  tree_.follow(window.subspan(same, window.size() - 1 - same), slots_);
  model_->forward->kv().keep_path(sequence_, slots_);
  read_.insert(read_.end(), window.begin() + static_cast<ptrdiff_t>(same),
               window.begin() + static_cast<ptrdiff_t>(same + slots_.size()));
  tree_.clear();
}

Status ModelProposer::run_pass(bool is_reading) {
  if (PrefixCache* prefixes = model_->prefixes ? &*model_->prefixes : nullptr) {
    const KvCache& kv = model_->forward->kv();
    const int64_t n = batch_.first_slot + static_cast<int64_t>(batch_.rows.size());
    if (const int64_t missing = kv.pages_to_grow(sequence_, n) - kv.free_pages(); missing > 0) prefixes->evict(missing);
    if (kv.length(sequence_) == 0 && kv.free_first_pages() == 0) prefixes->evict_beginning();
  }
  const auto begin = std::chrono::steady_clock::now();
  WATRA_TRY(model_->forward->run(batch_));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (is_reading) {
    stats_.read_s += seconds;
    const auto n_rows = static_cast<double>(batch_.rows.size());
    if (n_rows >= kMostAccepted)
      model_->read_token_seconds += kNewest * (seconds / n_rows - model_->read_token_seconds);
  } else {
    ++stats_.n_passes;
    stats_.n_rows += static_cast<int64_t>(batch_.rows.size());
    stats_.draft_s += seconds;
    model_->pass_seconds += kNewest * (seconds - model_->pass_seconds);
  }
  return {};
}

// The next n of the window.
Status ModelProposer::read_rows(std::span<const TokenId> window, size_t n, bool wants_logits, bool is_prompt) {
  const auto next = window.subspan(read_.size(), n);
  batch_.clear();
  for (const TokenId token : next)
    batch_.rows.push_back({.token = model_->vocabulary.to_draft(token), .sequence = sequence_});
  batch_.rows.back().wants_logits = wants_logits;
  WATRA_TRY(run_pass(is_prompt));
  stats_.n_read += static_cast<int64_t>(n);
  read_.insert(read_.end(), next.begin(), next.end());
  keep_pages();
  return {};
}

Status ModelProposer::read_own(std::span<const TokenId> tokens) {
  keep_accepted(tokens);
  const std::span<const TokenId> window = tokens.subspan(start_);
  const auto max_rows = static_cast<size_t>(model_->forward->options().max_rows);
  const bool is_prompt = n_missing(tokens) > kMostAccepted;
  n_pending_ = 0;
  root_.clear();
  while (read_.size() < window.size()) {
    const size_t n = std::min(max_rows, window.size() - read_.size());
    WATRA_TRY(read_rows(window, n, read_.size() + n == window.size(), is_prompt));
  }
  return {};
}

Result<bool> ModelProposer::read_ahead(std::span<const TokenId> tokens, int64_t n_most) {
  if (model_->shares_cache || n_most < 1) return false;
  const auto n = static_cast<int64_t>(tokens.size()) / kernels::kKvPage * kernels::kKvPage;
  if (n == 0 || n > model_->forward->options().n_ctx) return false;
  const auto whole = tokens.first(static_cast<size_t>(n));
  if (start_ > 0) cut_back(0);
  start_ = 0;
  cut_back(n_same(whole));
  WATRA_TRY(take_known_pages(tokens));
  if (const auto left = whole.size() - read_.size(); left > 0) {
    const auto max_rows = static_cast<size_t>(model_->forward->options().max_rows);
    if (Status read = read_rows(whole, std::min({left, max_rows, static_cast<size_t>(n_most)}), false, true); !read) {
      cut_back(0);
      return fail(std::move(read).error());
    }
  }
  return read_.size() < whole.size();
}

// Everything behind the target's cached positions is a row of the tree, so that none of it stays.
Status ModelProposer::read_shared(std::span<const TokenId> tokens, SequenceId sequence) {
  sequence_ = sequence;
  tree_.clear();
  root_.clear();
  batch_.clear();
  for (size_t at = static_cast<size_t>(model_->forward->kv().length(sequence)); at < tokens.size(); ++at) {
    root_.push_back(static_cast<int32_t>(root_.size()));
    batch_.rows.push_back({.token = model_->vocabulary.to_draft(tokens[at]),
                           .sequence = sequence,
                           .parent = root_.size() == 1 ? kFromCache : kChain});
  }
  batch_.rows.back().wants_logits = true;
  n_pending_ = static_cast<int32_t>(root_.size());
  stats_.n_read += n_pending_;
  return run_pass(false);
}

// A sampler with the target's settings that depend on the logits alone: the draft does not follow penalties.
Sampler* ModelProposer::sampler_for(const DraftLimits& limits) {
  if (!limits.sampling || limits.sampling->greedy()) return nullptr;
  if (sampler_params_ != limits.sampling || sampler_seed_ != limits.seed) {
    sampler_params_ = limits.sampling;
    sampler_seed_ = limits.seed;
    sampler_.reset();
    SamplingParams params = *limits.sampling;
    params.seed = limits.seed;
    params.repeat_penalty = 1;
    params.frequency_penalty = params.presence_penalty = params.dry_multiplier = 0;
    params.mirostat = 0;
    params.want_logprob = false;
    params.n_probs = 0;
    std::erase_if(params.logit_bias, [&](const LogitBias& b) { return !model_->vocabulary.has(b.token); });
    auto made =
        Sampler::create(std::move(params), static_cast<size_t>(model_->forward->model().hparams().n_vocab), nullptr, 0);
    if (made) sampler_.emplace(std::move(*made));
  }
  return sampler_ ? &*sampler_ : nullptr;
}

void ModelProposer::add_children(int32_t parent, std::span<const float> logits, const DraftLimits& limits) {
  const float path = parent < 0 ? 1.0f : tree_.node(parent).path_probability;
  const int32_t depth = parent < 0 ? 0 : tree_.node(parent).depth;
  const auto worth = [&](float probability) { return path * probability >= limits.min_path_probability; };
  Sampler* sampler = sampler_for(limits);
  const size_t most = limits.tree ? std::min(kMostChildren, static_cast<size_t>(limits.max_nodes)) : 1;
  const auto found = likely_.find(logits, most, sampler ? limits.sampling->temperature : kGreedyTemperature);
  if (found.empty()) return;
  TokenId drawn = text::kNoToken;
  float left = 1;  // probability that is left for the others
  if (sampler) {
    const auto sampled = sampler->sample(logits, limits.position + static_cast<uint64_t>(depth));
    if (sampled && model_->vocabulary.has(sampled->token)) {
      drawn = sampled->token;
      const float q = likely_.probability_of(drawn), agrees = agreement(q);
      if (worth(agrees)) tree_.add(parent, drawn, agrees);
      left = q < 1 ? (1 - agrees) / (1 - q) : 0;
    }
    if (!limits.tree && drawn != text::kNoToken) return;
  }
  for (const internal::LikelyToken& t : found)
    if (t.token != drawn && model_->vocabulary.has(t.token) && worth(t.probability * left))
      tree_.add(parent, t.token, t.probability * left);
}

Status ModelProposer::grow(const DraftLimits& limits, int32_t max_depth) {
  Forward& f = *model_->forward;
  const auto beam = limits.tree ? static_cast<int32_t>(std::min(f.options().max_logit_rows, f.options().max_rows)) : 1;
  add_children(-1, f.logits(0), limits);
  for (;;) {
    const double promised = tree_.choose(beam, limits.max_nodes, max_depth, chosen_);
    if (chosen_.empty() || n_pending_ + static_cast<int32_t>(chosen_.size()) > kMostPending) return {};
    if (promised * limits.token_seconds < model_->pass_seconds && limits.token_seconds > 0) return {};

    slots_.clear();
    for (const int32_t i : chosen_) {
      slots_.insert(slots_.end(), root_.begin(), root_.end());
      tree_.path_slots(tree_.node(i).parent, slots_);
    }
    batch_.clear();
    batch_.first_slot = n_pending_;
    size_t at = 0;
    for (const int32_t i : chosen_) {
      const size_t n_above = root_.size() + static_cast<size_t>(tree_.node(i).depth) - 1;
      batch_.rows.push_back({.token = tree_.node(i).token,
                             .sequence = sequence_,
                             .parent = kFromCache,
                             .above = std::span<const int32_t>(slots_).subspan(at, n_above),
                             .wants_logits = true});
      at += n_above;
    }
    WATRA_TRY(run_pass(false));
    for (size_t r = 0; r < chosen_.size(); ++r) {
      tree_.set_slot(chosen_[r], n_pending_ + static_cast<int32_t>(r));
      add_children(chosen_[r], f.logits(static_cast<int64_t>(r)), limits);
    }
    n_pending_ += static_cast<int32_t>(chosen_.size());
  }
}

Status ModelProposer::propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) {
  draft.clear();
  int32_t max_depth = 0;
  WATRA_ASSIGN(const bool possible, catch_up_possible(tokens, limits, max_depth));
  if (!possible) return {};
  const int64_t passes_before = stats_.n_passes;
  KvCache& kv = model_->forward->kv();
  Status drafted;
  if (model_->shares_cache) {
    const int64_t length = kv.length(limits.sequence), held = kv.held_positions(limits.sequence);
    drafted = read_shared(tokens, limits.sequence);
    if (drafted) drafted = grow(limits, max_depth);
    // The rows are gone, and its owner holds the pages it held: those it may have taken for its next pass.
    kv.truncate(sequence_, length);
    if (Status again = kv.reserve(sequence_, std::max<int64_t>(0, held - length)); drafted && !again) drafted = again;
  } else {
    drafted = read_own(tokens);
    if (drafted) drafted = grow(limits, max_depth);
  }
  if (!drafted) {
    // Whatever its own cache holds now may not be what read_ says: it begins anew.
    model_->shares_cache ? tree_.clear() : cut_back(0);
    return drafted;
  }
  tree_.emit(limits.max_nodes, draft);
  stats_.n_nodes += static_cast<int64_t>(draft.nodes.size());
  if (!draft.nodes.empty()) {
    const double passes =
        static_cast<double>(stats_.n_passes - passes_before) / static_cast<double>(draft.nodes.size());
    passes_per_node_ += kNewest * (passes - passes_per_node_);
  }
  return {};
}

double ModelProposer::expected_seconds(int32_t n_nodes) const {
  return model_->pass_seconds * std::max(1.0, passes_per_node_ * n_nodes);
}

}  // namespace watra::engine
