#include "apps/run_report.h"

#include "apps/machine.h"
#include "base/cpu.h"
#include "base/home.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine/loaded_plan.h"
#include "engine/run_record.h"

namespace watra::apps {

std::optional<engine::Plan> predict_run(const Globals& g, const engine::LoadedModel& model, int64_t n_tokens,
                                        const engine::DraftsInUse& drafts) {
  const auto hardware = cached_machine(g);
  return hardware ? engine::plan_as_loaded(model, *hardware, n_tokens, drafts) : std::nullopt;
}

double predicted_as_drafted(const engine::Plan& plan, const engine::GenerateReport& answer) {
  const engine::SpeculationCounts& c = answer.speculation;
  if (c.n_passes == 0) return plan.no_speculation_tps;
  const auto n_tokens = static_cast<double>(c.n_passes + c.n_accepted);
  return n_tokens / plan.seconds_of(static_cast<double>(c.n_passes), static_cast<double>(c.n_drafted));
}

std::string prediction_note(const std::optional<engine::Plan>& plan, const engine::GenerateReport& answer) {
  if (!plan) return "";
  return fmt::format(", predicted {:.1f}{}", predicted_as_drafted(*plan, answer),
                     answer.speculation.n_drafted > 0 ? " with as many drafted tokens" : "");
}

nlohmann::ordered_json prediction_json(const std::optional<engine::Plan>& plan, const engine::GenerateReport& answer) {
  using Json = nlohmann::ordered_json;
  if (!plan)
    return {{"decode_tokens_per_s", nullptr},
            {"with_these_drafts", nullptr},
            {"tau", nullptr},
            {"draft", nullptr},
            {"advice", kNotMeasured}};
  return {{"decode_tokens_per_s", plan->decode_tokens_per_s},
          {"with_these_drafts", predicted_as_drafted(*plan, answer)},
          {"tau", plan->draft.tau},
          {"draft", plan->draft.word},
          {"advice", Json(nullptr)}};
}

void record_run(const Globals& g, const std::string& model_name, const engine::LoadedModel& model,
                const Talk::Answer& answer, const std::optional<engine::Plan>& predicted) {
  const auto& gen = answer.generated;
  if (gen.decode_tokens_per_s() <= 0) return;
  engine::RunRecord r;
  r.model = model_name;
  r.when = utc_now();
  r.measured_tps = gen.decode_tokens_per_s();
  r.n_prompt = answer.prefill.n_prompt;
  r.n_gen = static_cast<int64_t>(gen.ids.size());
  r.end_positions = r.n_prompt + r.n_gen;
  r.threads = model.team->size();
  r.cores = cpu_info().n_physical;
  r.fast_cores = count_cores(cpu_info().performance_cpus);
  if (const auto& drafts = gen.speculation; drafts.n_drafted > 0) {
    r.draft_method = gen.speculation_method;
    r.accept_rate = drafts.accept_rate();
    r.tau = drafts.tau();
  }
  r.weight_gb_s = static_cast<double>(model.model->pass_bytes()) * r.measured_tps / r.tau / 1e9;
  r.load = answer.during;
  r.clock_before = answer.clock_before;
  r.clock_after = clock_rate();
  r.available_bytes = available_memory_bytes();
  if (predicted) {
    r.planned_tps = predicted->decode_tokens_per_s;
    r.predicted_tps = predicted_as_drafted(*predicted, gen);
    r.planned_depth = predicted->depth;
    if (predicted->depth > 0)
      r.kv_seconds_per_position = predicted->pass[engine::Part::kv].seconds / static_cast<double>(predicted->depth);
  }
  const auto home = home_folder(g.home);
  const Status saved = home ? engine::save_run(*home, r) : Status(fail(home.error()));
  if (!saved) log::debug("the run was not recorded: {}", saved.error().message);
}

}  // namespace watra::apps
