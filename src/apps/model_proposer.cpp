#include "apps/model_proposer.h"

namespace watra::apps {

Result<std::unique_ptr<engine::Proposer>> make_model_proposer(const Globals&, const std::string& draft,
                                                              const engine::LoadedModel&) {
  return fail("speculation.unavailable",
              fmt::format("--draft {} is not possible yet: this version drafts from the text alone", draft),
              "--draft auto (takes the best there is)");
}

}  // namespace watra::apps
