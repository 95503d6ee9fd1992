// DraftTree: the tree a draft model grows, most probable paths first (SpecExec: Svirschevski et al. 2024, "SpecExec:
// Massively Parallel Speculative Decoding for Interactive LLM Inference on Consumer Devices", section 3).
//
// Every continuation the model has named is a node, whether it was run or not. A node's worth is its path probability:
// the product of the probabilities down to it, so a child is never worth more than its parent and the best n nodes are
// always a tree. Growing = running the best nodes that were not run yet, as long as they are among the best max_nodes.
//
// Pure bookkeeping: no passes, no logits. Allocates nothing after reserve().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/proposer.h"

namespace watra::engine::internal {

class DraftTree {
 public:
  struct Node {
    TokenId token;
    int32_t parent;     // -1 = the root's child
    int32_t depth;      // of a root's child: 1
    int32_t slot = -1;  // offset of its keys and values behind the cached positions; -1 = was not run
    float probability;
    float path_probability;
  };

  void reserve(size_t n_nodes);
  void clear();
  size_t size() const { return nodes_.size(); }
  const Node& node(int32_t i) const { return nodes_[static_cast<size_t>(i)]; }
  void set_slot(int32_t i, int32_t slot) { nodes_[static_cast<size_t>(i)].slot = slot; }

  // Children of one node come one after another, the likeliest first.
  void add(int32_t parent, TokenId token, float probability);

  // Nodes to run next into `out`, best first: not run, shallower than max_depth, among the best max_nodes. At most n.
  // Returns what they promise: the sum of what their children can add to the worth of the best max_nodes.
  double choose(int32_t n, int32_t max_nodes, int32_t max_depth, std::vector<int32_t>& out);

  // The best max_nodes as a draft.
  void emit(int32_t max_nodes, Draft& draft);

  // Slots of the longest path of run nodes that spells the beginning of `tokens`, from the root down.
  void follow(std::span<const TokenId> tokens, std::vector<int32_t>& slots) const;
  // Slots of a run node's path, itself last.
  void path_slots(int32_t i, std::vector<int32_t>& slots) const;

 private:
  void rank(int32_t max_nodes);  // order_ = the best max_nodes, best first

  std::vector<Node> nodes_;
  std::vector<int32_t> order_, place_;
};

}  // namespace watra::engine::internal
