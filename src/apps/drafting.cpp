#include "apps/drafting.h"

#include "apps/model_proposer.h"
#include "base/home.h"
#include "base/log.h"
#include "engine/kept_experience.h"
#include "engine/model_proposer.h"
#include "engine/ngram_proposer.h"

namespace watra::apps {
namespace {

engine::SpeculationOptions speculation_options(const DraftOptions& o) {
  const auto shape = o.shape == "chain"  ? engine::DraftShape::chain
                     : o.shape == "tree" ? engine::DraftShape::tree
                                         : engine::DraftShape::automatic;
  return {.max_nodes = o.max, .shape = shape};
}

bool wants_model(const DraftOptions& o) { return o.method != "none" && o.method != "auto" && o.method != "ngram"; }

}  // namespace

void add_draft_options(CLI::App& command, DraftOptions& o) {
  command
      .add_option("--draft", o.method, "Speculation: none, auto, ngram, self (self:q2_k, self:q3_k) or a draft MODEL")
      ->capture_default_str();
  command.add_option("--draft-shape", o.shape, "chain, tree or auto")->check(CLI::IsMember({"chain", "tree", "auto"}));
  command.add_option("--draft-max", o.max, "Tokens drafted at most")->check(CLI::Range(1, 1024));
}

int64_t logit_rows(const DraftOptions& o) { return o.method == "none" ? 1 : 1 + int64_t{o.max}; }

Result<std::shared_ptr<engine::Speculation>> make_speculation(const Globals& g, const DraftOptions& o,
                                                              const engine::Session& session,
                                                              std::shared_ptr<const engine::SuffixHistory> history,
                                                              std::shared_ptr<engine::DraftExperience> experience) {
  if (o.method == "none") return nullptr;
  const engine::LoadedModel& target = session.model();
  std::vector<std::unique_ptr<engine::Proposer>> proposers;
  const auto n_ctx = static_cast<size_t>(target.forward->options().n_ctx);
  if (target.budget->take("draft index", engine::NgramProposer::memory_bytes(n_ctx)))
    proposers.push_back(std::make_unique<engine::NgramProposer>(n_ctx));
  else
    log::warn("no room under --ram for the index that drafts come from: decoding without it");
  if (history) proposers.push_back(std::make_unique<engine::SuffixProposer>(std::move(history)));
  if (wants_model(o)) {
    WATRA_ASSIGN(auto model, make_model_proposer(g, o.method, target));
    proposers.push_back(std::move(model));
  }
  engine::SpeculationOptions options = speculation_options(o);
  options.experience = std::move(experience);
  return session.make_speculation(std::move(proposers), options);
}

std::shared_ptr<engine::DraftExperience> kept_experience(const Globals& g, const engine::LoadedModel& target) {
  const auto home = home_folder(g.home);
  return home ? engine::keep_experience(*home, target) : nullptr;
}

Result<engine::SchedulerOptions> make_scheduling(const Globals& g, const DraftOptions& o,
                                                 const engine::LoadedModel& target, int64_t n_parallel,
                                                 const std::function<bool()>& cancelled) {
  // About a hundred thousand tokens of earlier answers: many times what a person reads in a day.
  constexpr uint64_t kAnswersBytes = 8 << 20;
  constexpr int64_t kIdleTokens = 64;  // that a draft reads while nobody waits, before it looks whether somebody does
  engine::SchedulerOptions out;
  out.turn_tokens = 64;  // some seconds of a full house: a newcomer waits no longer for its first word
  if (o.method == "none" || target.model->hparams().is_encoder) return out;
  out.speculation = speculation_options(o);
  const auto n_ctx = static_cast<size_t>(target.forward->options().n_ctx);
  const uint64_t index_bytes = static_cast<uint64_t>(n_parallel) * engine::NgramProposer::memory_bytes(n_ctx);
  const bool has_room = target.budget->take("draft index", index_bytes + kAnswersBytes).has_value();
  if (has_room)
    out.history = std::make_shared<engine::SuffixHistory>(kAnswersBytes);
  else
    log::warn("no room under --ram for the index that drafts come from: decoding without it");
  std::shared_ptr<engine::DraftModel> model;
  if (wants_model(o)) {
    WATRA_ASSIGN(model, load_draft_for(g, o.method, target, cancelled));
  }
  if (!has_room && !model) return out;
  out.speculation.experience = kept_experience(g, target);
  if (model && !model->shares_cache)
    out.use_idle_time = [reader = std::make_shared<engine::ModelProposer>(model),
                         experience = out.speculation.experience](std::span<const text::TokenId> tokens) {
      if (experience && !experience->promises(reader->name())) return false;
      return reader->read_ahead(tokens, kIdleTokens).value_or(false);
    };
  out.make_proposers = [history = out.history, model](int64_t n_tokens) {
    std::vector<std::unique_ptr<engine::Proposer>> proposers;
    if (history) {
      proposers.push_back(std::make_unique<engine::NgramProposer>(static_cast<size_t>(n_tokens)));
      proposers.push_back(std::make_unique<engine::SuffixProposer>(history));
    }
    if (model) proposers.push_back(std::make_unique<engine::ModelProposer>(model));
    return proposers;
  };
  return out;
}

nlohmann::ordered_json speculation_json(const engine::GenerateReport& report) {
  const engine::SpeculationCounts& c = report.speculation;
  return {{"method", report.speculation_method},
          {"accept_rate", c.accept_rate()},
          {"tau", c.tau()},
          {"drafted", c.n_drafted},
          {"accepted", c.n_accepted},
          {"passes", c.n_passes},
          {"counted_speed_up", report.counted_speed_up}};
}

std::string speculation_note(const engine::GenerateReport& report) {
  if (report.speculation.n_drafted == 0) return "";
  return fmt::format("; {:.2f} tokens a pass ({})", report.speculation.tau(), report.speculation_method);
}

}  // namespace watra::apps
