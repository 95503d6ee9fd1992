#include "engine/internal/ngram_index.h"

#include <algorithm>
#include <bit>

namespace watra::engine::internal {
namespace {

// Places of one hash that are looked at. The newest are the likeliest to go on alike, and a frequent pair of tokens has
// thousands.
constexpr int kWalk = 12;

size_t table_size(size_t reserve_tokens) { return std::bit_ceil(std::max<size_t>(reserve_tokens, 64)); }

}  // namespace

NgramIndex::NgramIndex(size_t reserve_tokens) {
  tokens_.reserve(reserve_tokens);
  const size_t n = table_size(reserve_tokens);
  shift_ = 64 - std::countr_zero(n);
  for (Level& l : levels_) {
    l.newest.assign(n, 0);
    l.previous.reserve(reserve_tokens);
  }
}

uint64_t NgramIndex::bytes_for(size_t reserve_tokens) {
  return reserve_tokens * sizeof(TokenId) +
         kRuns.size() * (table_size(reserve_tokens) + reserve_tokens) * sizeof(int32_t);
}

size_t NgramIndex::slot(std::span<const TokenId> run) const {
  uint64_t h = run.size();
  for (const TokenId t : run) h = (h ^ static_cast<uint32_t>(t)) * 0x9E3779B97F4A7C15u;
  return (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9u >> shift_;
}

bool NgramIndex::whole(int32_t run) const {
  const auto last = std::span(tokens_).last(static_cast<size_t>(run));
  return std::find(last.begin(), last.end(), text::kNoToken) == last.end();
}

void NgramIndex::append(TokenId token) {
  tokens_.push_back(token);
  const auto end = static_cast<int32_t>(tokens_.size());
  for (size_t i = 0; i < kRuns.size(); ++i) {
    int32_t previous = 0;
    if (end >= kRuns[i] && whole(kRuns[i])) {
      int32_t& newest = levels_[i].newest[slot(std::span(tokens_).last(static_cast<size_t>(kRuns[i])))];
      previous = newest;
      newest = end;
    }
    levels_[i].previous.push_back(previous);
  }
}

void NgramIndex::truncate(size_t n_tokens) {
  for (; tokens_.size() > n_tokens; tokens_.pop_back()) {
    const auto end = static_cast<int32_t>(tokens_.size());
    for (size_t i = 0; i < kRuns.size(); ++i) {
      if (end >= kRuns[i]) {
        int32_t& newest = levels_[i].newest[slot(std::span(tokens_).last(static_cast<size_t>(kRuns[i])))];
        if (newest == end) newest = levels_[i].previous.back();
      }
      levels_[i].previous.pop_back();
    }
  }
}

int32_t NgramIndex::match_length(std::span<const TokenId> text, int32_t end) const {
  const auto most = std::min({static_cast<size_t>(end), text.size(), static_cast<size_t>(kMaxLength)});
  int32_t n = 0;
  while (n < static_cast<int32_t>(most) && tokens_[static_cast<size_t>(end - 1 - n)] == text[text.size() - 1 - n] &&
         text[text.size() - 1 - n] != text::kNoToken)
    ++n;
  return n;
}

size_t NgramIndex::find(std::span<const TokenId> text, std::span<Match> out) const {
  size_t n_found = 0;
  const auto size = static_cast<int32_t>(tokens_.size());
  for (size_t i = kRuns.size(); i-- > 0 && n_found < out.size();) {
    const int32_t run = kRuns[i];
    if (static_cast<int32_t>(text.size()) < run) continue;
    int32_t end = levels_[i].newest[slot(text.last(static_cast<size_t>(run)))];
    for (int walked = 0; end > 0 && walked < kWalk && n_found < out.size();
         end = levels_[i].previous[static_cast<size_t>(end - 1)]) {
      if (end == size || tokens_[static_cast<size_t>(end)] == text::kNoToken) continue;  // nothing follows
      ++walked;
      const int32_t length = match_length(text, end);
      const auto known = out.first(n_found);
      if (length < run || std::ranges::any_of(known, [&](const Match& m) { return m.end == end; })) continue;
      out[n_found++] = {end, length};
    }
  }
  std::sort(out.begin(), out.begin() + static_cast<ptrdiff_t>(n_found),
            [](const Match& a, const Match& b) { return std::pair(a.length, a.end) > std::pair(b.length, b.end); });
  return n_found;
}

}  // namespace watra::engine::internal
