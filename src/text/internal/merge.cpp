#include "text/internal/merge.h"

#include <algorithm>
#include <functional>

namespace watra::text {
namespace {

// Up to here a scan beats the heap (measured on English, Polish and code: the two meet between 30 and 60 symbols).
constexpr size_t kShortSymbols = 40;

PairMap::Value lookup(const PairMap& pairs, int32_t left, int32_t right) {
  if ((left | right) < 0) return {PairMap::kNoRank, -1};
  return pairs.find(left, right);
}

}  // namespace

std::optional<std::pair<std::string_view, std::string_view>> split_merge(std::string_view merge) {
  const size_t space = merge.find(' ', 1);
  if (space == std::string_view::npos || space + 1 == merge.size()) return std::nullopt;
  return std::pair{merge.substr(0, space), merge.substr(space + 1)};
}

void Merger::merge(const PairMap& pairs, std::vector<int32_t>& symbols) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShortSymbols) {
    merge_short(pairs, symbols);
  } else {
    merge_long(pairs, symbols);
  }
}

void Merger::merge_short(const PairMap& pairs, std::vector<int32_t>& symbols) {
  size_t n = symbols.size();
  PairMap::Value pair[kShortSymbols];
  for (size_t i = 0; i + 1 < n; ++i) pair[i] = lookup(pairs, symbols[i], symbols[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (pair[i].rank < pair[best].rank) best = i;
    }
    if (pair[best].rank == PairMap::kNoRank) break;
    symbols[best] = pair[best].id;
    --n;
    for (size_t i = best + 1; i < n; ++i) {
      symbols[i] = symbols[i + 1];
      pair[i] = pair[i + 1];  // the slot past the last pair is never read
    }
    if (best + 1 < n) pair[best] = lookup(pairs, symbols[best], symbols[best + 1]);
    if (best > 0) pair[best - 1] = lookup(pairs, symbols[best - 1], symbols[best]);
  }
  symbols.resize(n);
}

void Merger::merge_long(const PairMap& pairs, std::vector<int32_t>& symbols) {
  const auto n = static_cast<int32_t>(symbols.size());
  links_.resize(symbols.size());
  heap_.clear();
  const auto entry = [](uint32_t rank, int32_t at) { return uint64_t{rank} << 32 | static_cast<uint32_t>(at); };
  for (int32_t i = 0; i < n; ++i) {
    Link& link = links_[static_cast<size_t>(i)];
    link.previous = i - 1;
    link.next = i + 1 < n ? i + 1 : -1;
    link.pair = i + 1 < n ? lookup(pairs, symbols[static_cast<size_t>(i)], symbols[static_cast<size_t>(i) + 1])
                          : PairMap::Value{PairMap::kNoRank, -1};
    if (link.pair.rank != PairMap::kNoRank) heap_.push_back(entry(link.pair.rank, i));
  }
  const std::greater<uint64_t> later;
  std::make_heap(heap_.begin(), heap_.end(), later);

  const auto renew = [&](int32_t at) {
    Link& link = links_[static_cast<size_t>(at)];
    link.pair = link.next < 0
                    ? PairMap::Value{PairMap::kNoRank, -1}
                    : lookup(pairs, symbols[static_cast<size_t>(at)], symbols[static_cast<size_t>(link.next)]);
    if (link.pair.rank == PairMap::kNoRank) return;
    heap_.push_back(entry(link.pair.rank, at));
    std::push_heap(heap_.begin(), heap_.end(), later);
  };
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const uint64_t top = heap_.back();
    heap_.pop_back();
    const auto at = static_cast<int32_t>(top & UINT32_MAX);
    Link& link = links_[static_cast<size_t>(at)];
    if (link.pair.rank != top >> 32) continue;  // merged away or renewed since; a dead symbol has no rank
    symbols[static_cast<size_t>(at)] = link.pair.id;
    Link& eaten = links_[static_cast<size_t>(link.next)];
    link.next = eaten.next;
    eaten.pair.rank = PairMap::kNoRank;
    if (link.next >= 0) links_[static_cast<size_t>(link.next)].previous = at;
    renew(at);
    if (link.previous >= 0) renew(link.previous);
  }
  size_t out = 0;
  for (int32_t i = 0; i >= 0; i = links_[static_cast<size_t>(i)].next) symbols[out++] = symbols[static_cast<size_t>(i)];
  symbols.resize(out);
}

}  // namespace watra::text
