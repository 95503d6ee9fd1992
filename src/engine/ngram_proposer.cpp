#include "engine/ngram_proposer.h"

#include <algorithm>
#include <cstring>

namespace watra::engine {

Status NgramProposer::propose(std::span<const TokenId> tokens, const DraftLimits& limits, Draft& draft) {
  draft.clear();
  const auto known = index_.tokens();
  const size_t n = std::min(known.size(), tokens.size());
  // As a rule the sequence has only grown: memory is compared in one go (32k tokens: a few microseconds).
  size_t same = n;
  if (n > 0 && std::memcmp(known.data(), tokens.data(), n * sizeof(TokenId)) != 0)
    same = static_cast<size_t>(
        std::mismatch(known.begin(), known.begin() + static_cast<ptrdiff_t>(n), tokens.begin()).first - known.begin());
  index_.truncate(same);
  for (const TokenId t : tokens.subspan(same)) index_.append(t);
  drafter_.learn(tokens);
  if (!tokens.empty()) drafter_.propose(index_, tokens, true, limits, draft);
  return {};
}

}  // namespace watra::engine
