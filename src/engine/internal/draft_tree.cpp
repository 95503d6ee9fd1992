#include "engine/internal/draft_tree.h"

#include <algorithm>

namespace watra::engine::internal {

void DraftTree::reserve(size_t n_nodes) {
  nodes_.reserve(n_nodes);
  order_.reserve(n_nodes);
  place_.reserve(n_nodes);
}

void DraftTree::clear() { nodes_.clear(); }

void DraftTree::add(int32_t parent, TokenId token, float probability) {
  const Node* up = parent < 0 ? nullptr : &nodes_[static_cast<size_t>(parent)];
  nodes_.push_back({.token = token,
                    .parent = parent,
                    .depth = up ? up->depth + 1 : 1,
                    .probability = probability,
                    .path_probability = probability * (up ? up->path_probability : 1.0f)});
}

void DraftTree::rank(int32_t max_nodes) {
  order_.resize(nodes_.size());
  for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<int32_t>(i);
  // Equal worth: the older first, so that a parent always stands before its children.
  const auto better = [&](int32_t a, int32_t b) {
    const float x = node(a).path_probability, y = node(b).path_probability;
    return x != y ? x > y : a < b;
  };
  const auto n = std::min(order_.size(), static_cast<size_t>(std::max(max_nodes, 0)));
  std::partial_sort(order_.begin(), order_.begin() + static_cast<ptrdiff_t>(n), order_.end(), better);
  order_.resize(n);
}

double DraftTree::choose(int32_t n, int32_t max_nodes, int32_t max_depth, std::vector<int32_t>& out) {
  out.clear();
  rank(max_nodes);
  // Once there are enough nodes, a child takes the place of the worst.
  const bool full = static_cast<int32_t>(order_.size()) == max_nodes;
  const float worst = full ? node(order_.back()).path_probability : 0;
  double promised = 0;
  for (const int32_t i : order_) {
    if (static_cast<int32_t>(out.size()) == n) break;
    if (node(i).slot >= 0 || node(i).depth >= max_depth || (full && node(i).path_probability <= worst)) continue;
    out.push_back(i);
    promised += node(i).path_probability - worst;
  }
  return promised;
}

void DraftTree::emit(int32_t max_nodes, Draft& draft) {
  draft.clear();
  rank(max_nodes);
  place_.assign(nodes_.size(), -1);
  for (const int32_t i : order_) {
    const Node& from = node(i);
    place_[static_cast<size_t>(i)] = static_cast<int32_t>(draft.nodes.size());
    draft.nodes.push_back({.token = from.token,
                           .parent = from.parent < 0 ? -1 : place_[static_cast<size_t>(from.parent)],
                           .probability = from.probability});
  }
}

void DraftTree::follow(std::span<const TokenId> tokens, std::vector<int32_t>& slots) const {
  slots.clear();
  int32_t at = -1;
  for (const TokenId token : tokens) {
    const auto next = std::find_if(nodes_.begin(), nodes_.end(),
                                   [&](const Node& x) { return x.parent == at && x.token == token && x.slot >= 0; });
    if (next == nodes_.end()) return;
    slots.push_back(next->slot);
    at = static_cast<int32_t>(next - nodes_.begin());
  }
}

void DraftTree::path_slots(int32_t i, std::vector<int32_t>& slots) const {
  const size_t first = slots.size();
  for (; i >= 0; i = node(i).parent) slots.push_back(node(i).slot);
  std::reverse(slots.begin() + static_cast<ptrdiff_t>(first), slots.end());
}

}  // namespace watra::engine::internal
