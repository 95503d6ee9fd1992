#include "engine/speculation.h"

#include <algorithm>

namespace watra::engine {

SpeculationCounts& SpeculationCounts::operator+=(const SpeculationCounts& other) {
  n_passes += other.n_passes;
  n_drafted += other.n_drafted;
  n_accepted += other.n_accepted;
  return *this;
}

namespace {

std::vector<std::string> names_of(const std::vector<std::unique_ptr<Proposer>>& proposers) {
  std::vector<std::string> out;
  for (const auto& p : proposers) out.push_back(p->name());
  return out;
}

}  // namespace

Speculation::Speculation(std::vector<std::unique_ptr<Proposer>> proposers, std::shared_ptr<PassTimes> times,
                         int64_t n_vocab, const SpeculationOptions& options)
    : times_(times ? std::move(times) : std::make_shared<PassTimes>(options.max_nodes + 1)),
      policy_(times_.get(), names_of(proposers), options.max_nodes, options.experience),
      n_vocab_(n_vocab),
      options_(options) {
  if (options.experience) options.experience->recall_times(*times_);
  const auto n = static_cast<size_t>(std::max(options.max_nodes, 0));
  sources_.resize(proposers.size());
  for (size_t i = 0; i < proposers.size(); ++i) {
    sources_[i].method = proposers[i]->method();
    sources_[i].proposer = std::move(proposers[i]);
    sources_[i].proposed.nodes.reserve(n);
    sources_[i].kept.nodes.reserve(n);
  }
  draft_.nodes.reserve(n);
  path_.reserve(n);
  slots_.reserve(n + 1);
  depths_.reserve(n);
  place_.reserve(n);
  emitted_.reserve(n + 1);
}

// What no proposer should send and some might: too many nodes, too deep, unknown tokens, parents that come later, the
// same token twice.
void Speculation::repair(Draft& draft, int32_t most, int32_t max_depth) {
  depths_.clear();
  place_.clear();
  int32_t n_kept = 0;
  for (size_t i = 0; i < draft.nodes.size(); ++i) {
    Draft::Node node = draft.nodes[i];
    int32_t depth = 1, place = -1;
    bool good = node.token >= 0 && node.token < n_vocab_ && node.parent >= -1 &&
                node.parent < static_cast<int32_t>(i) && n_kept < most;
    if (good && node.parent >= 0) {
      depth = depths_[static_cast<size_t>(node.parent)] + 1;
      node.parent = place_[static_cast<size_t>(node.parent)];
      good = node.parent >= 0;
    }
    for (int32_t k = 0; good && k < n_kept; ++k)
      good = draft.nodes[static_cast<size_t>(k)].parent != node.parent ||
             draft.nodes[static_cast<size_t>(k)].token != node.token;
    if (good && depth <= max_depth) {
      place = n_kept++;
      if (!(node.probability >= 0)) node.probability = 0;  // also what is no number
      draft.nodes[static_cast<size_t>(place)] = node;
    }
    depths_.push_back(depth);
    place_.push_back(place);
  }
  draft.nodes.resize(static_cast<size_t>(n_kept));
}

void Speculation::ask(size_t i, std::span<const TokenId> tokens, DraftLimits limits) {
  Source& s = sources_[i];
  if (!s.proposer) return;
  int32_t n = limits.max_nodes;
  if (!options_.always) {
    const DraftPolicy::Reading reading{.n_unread = s.proposer->n_unread(tokens),
                                       .token_s = s.proposer->read_token_seconds()};
    const auto ask = policy_.nodes_to_ask(i, pass_, *s.proposer, limits.max_nodes, reading);
    n = ask.n_nodes;
    if (reading.n_unread > 0) limits.max_read = ask.max_read;
  }
  if (n == 0) return;
  // A tree is as deep as its likeliest path makes it.
  if (!limits.tree) limits.max_nodes = limits.max_depth = std::min(limits.max_depth, n);
  if (Status proposed = s.proposer->propose(tokens, limits, s.proposed); !proposed)
    return give_up(s, std::move(proposed).error());
  s.spent_s = s.proposer->expected_seconds(std::max(1, static_cast<int32_t>(s.proposed.nodes.size())));
  repair(s.proposed, limits.max_nodes, limits.max_depth);
}

void Speculation::give_up(Source& s, Error error) {
  trouble_ = std::move(error);
  s.proposer.reset();
  s.proposed.clear();
}

double Speculation::take_all(Source& s) {
  s.kept.nodes.assign(s.proposed.nodes.begin(), s.proposed.nodes.end());
  return 1;
}

void Speculation::choose_none() {
  draft_.clear();
  chosen_.reset();
  pass_ = {};
  expected_tokens_ = 1;
  for (Source& s : sources_) {
    s.proposed.clear();
    s.kept.clear();
    s.spent_s = 0;
  }
}

int32_t Speculation::choose(const Generation& generation, SequenceId sequence, std::span<const TokenId> tokens,
                            int64_t n_free, const DraftPolicy::Pass& pass) {
  choose_none();
  pass_ = pass;
  policy_.begin_pass(generation.n_tokens(), generation.max_tokens() - generation.n_tokens());
  const auto most = static_cast<int32_t>(std::min<int64_t>(options_.max_nodes, n_free));
  // The pass gives one token more than the draft is deep.
  const int64_t depth = std::min<int64_t>(most, generation.max_tokens() - generation.n_tokens() - 1);
  if (depth < 1) return 0;
  const Sampler& sampler = generation.sampler();
  const DraftLimits limits{
      .max_nodes = most,
      .max_depth = static_cast<int32_t>(depth),
      .tree = options_.shape == DraftShape::tree ||
              (options_.shape == DraftShape::automatic && policy_.wants_tree(pass, most)),
      .min_path_probability = policy_.min_path_probability(pass, most),
      .token_seconds = policy_.token_seconds(pass),
      .sampling = sampler.params().greedy() ? nullptr : &sampler.params(),
      .seed = sampler.seed(),
      .position = static_cast<uint64_t>(generation.n_tokens()),
      .sequence = sequence,
  };
  double best = 1;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& s = sources_[i];
    ask(i, tokens, limits);
    const double gain = options_.always ? take_all(s) : policy_.choose(i, pass, s.proposed, s.spent_s, most, s.kept);
    if (s.kept.nodes.empty() || (chosen_ && gain <= best)) continue;
    best = gain;
    chosen_ = i;
  }
  if (!chosen_) return 0;
  std::swap(draft_, sources_[*chosen_].kept);
  // Of the whole pass, as its time allows; what the others expect of it is theirs.
  expected_tokens_ =
      std::max(1.0, best * pass.n_tokens * times_->ratio(pass.n_rows + n_nodes()) / times_->ratio(pass.n_rows) -
                        pass.n_tokens + 1);
  return n_nodes();
}

void Speculation::add_rows(Batch& batch, SequenceId sequence, TokenId last) {
  decodes_ = true;
  const auto first = static_cast<int32_t>(batch.rows.size());
  const bool chain = draft_.is_chain();
  batch.rows.push_back(
      {.token = last, .sequence = sequence, .parent = chain ? kChain : kFromCache, .wants_logits = true});
  for (const Draft::Node& node : draft_.nodes)
    batch.rows.push_back({.token = node.token,
                          .sequence = sequence,
                          .parent = chain ? kChain : first + 1 + node.parent,
                          .wants_logits = true});
}

// Forward has cached the rows of a chain, and none of a tree.
void Speculation::keep_rows(KvCache& kv, SequenceId sequence) {
  if (draft_.is_chain()) {
    kv.truncate(sequence, kv.length(sequence) - n_nodes() + static_cast<int64_t>(path_.size()));
    return;
  }
  slots_.assign(1, 0);
  for (const int32_t node : path_) slots_.push_back(node + 1);
  kv.keep_path(sequence, slots_);
}

void Speculation::drop(KvCache& kv, SequenceId sequence) {
  path_.clear();
  keep_rows(kv, sequence);
  decodes_ = false;
  choose_none();
}

void Speculation::settle(KvCache& kv, SequenceId sequence) {
  keep_rows(kv, sequence);
  const auto n_accepted = static_cast<int32_t>(path_.size());
  if (decodes_) {
    ++counts_.n_passes;
    double spent_s = 0;
    for (const Source& s : sources_) spent_s += s.spent_s;
    policy_.count(pass_, n_nodes(), n_accepted, spent_s);
  }
  decodes_ = false;
  counts_.n_drafted += n_nodes();
  counts_.n_accepted += n_accepted;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& s = sources_[i];
    if (chosen_ == i) {
      s.was_used = true;
      policy_.settle(i, pass_, n_nodes(), n_accepted, s.spent_s);
    } else if (s.spent_s > 0) {
      policy_.settle(i, pass_, 0, 0, s.spent_s);
    }
    policy_.observe(i, s.proposed, emitted_);
  }
  choose_none();
}

bool Speculation::read_ahead(std::span<const TokenId> tokens, int64_t n_most) {
  bool is_more = false;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& s = sources_[i];
    if (!s.proposer || !policy_.promises(i)) continue;
    if (auto read = s.proposer->read_ahead(tokens, n_most); read)
      is_more |= *read;
    else
      give_up(s, std::move(read).error());
  }
  return is_more;
}

void Speculation::begin_answer(std::span<const TokenId> prompt) {
  counts_ = {};
  policy_.begin_answer(DraftExperience::beginning_of(prompt));
  for (Source& s : sources_) s.was_used = false;
}

std::string Speculation::method() const {
  std::string out;
  for (const Source& s : sources_)
    if (s.was_used) out += (out.empty() ? "" : "+") + s.method;
  return out.empty() ? "none" : out;
}

}  // namespace watra::engine
