#include "server/endless_wish.h"

#include <algorithm>

namespace watra::server {

constexpr int64_t kMostTokens = int64_t{1} << 40;

EndlessWish read_endless(const Fields& f, const ServedModel& model) {
  EndlessWish wish{.wanted = f.boolean("context_shift").value_or(model.manner().endless), .asked = {}};
  const auto n_keep = f.integer("n_keep", -1, kMostTokens);
  wish.says_what_stays = n_keep.has_value() || model.manner().n_keep.has_value();
  wish.asked.n_keep = n_keep.value_or(model.manner().n_keep.value_or(0));
  wish.asked.n_discard = f.integer("n_discard", 0, kMostTokens).value_or(0);
  return wish;
}

void keep_beginning(EndlessWish& wish, int64_t n_beginning, int64_t n_ctx) {
  if (!wish.says_what_stays) wish.asked.n_keep = std::min(n_beginning, n_ctx - n_ctx / 4);
}

int64_t count_beginning(const ServedModel& model, const Json& messages, const Json* tools, const Json* variables,
                        std::span<const TokenId> ids) {
  Json other = Json::array();
  for (const Json& m : messages) {
    if (m.at("role") != "system") break;
    other.push_back(m);
  }
  other.push_back({{"role", "user"}, {"content", "A"}});
  try {
    const auto rendered = model.render(other, tools, variables);
    return std::ranges::mismatch(ids, rendered.ids).in1 - ids.begin();
  } catch (const ApiError&) {  // a template that takes no such conversation: the first page stays
    return 0;
  }
}

}  // namespace watra::server
