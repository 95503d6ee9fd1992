// RunRecord: what a run was predicted to do, what it did, and what the machine did meanwhile. The last run of each
// model is kept, so that `watra plan --why` can say why it was slow.
//
// explain_run() is pure. Records lie in $WATRA_HOME/runs.json, newest first, at most kMostRecords.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/machine_load.h"
#include "engine/hardware_profile.h"

namespace watra::engine {

inline constexpr size_t kMostRecords = 32;

struct RunRecord {
  std::string model;  // as the person named it
  std::string when;   // "2026-11-26 00:40 UTC"
  // Decode. predicted: by the plan's seconds a pass, with the passes and drafted tokens that there were; 0 = the
  // machine was not measured yet. planned: before, with what drafts were expected to yield.
  double predicted_tps = 0, measured_tps = 0, planned_tps = 0;
  int64_t n_prompt = 0, n_gen = 0;
  int64_t end_positions = 0;           // of the conversation when it ended
  int64_t planned_depth = 0;           // at which the prediction was made
  double kv_seconds_per_position = 0;  // that each token takes longer for each position before it
  int threads = 0, fast_cores = 0;     // fast_cores 0: all of one kind
  int cores = 0;
  double weight_gb_s = 0;  // that the decode loop read
  MachineLoad load;        // during decode
  ClockRate clock_before, clock_after;
  std::string draft_method;
  double accept_rate = 0, tau = 1;
  uint64_t available_bytes = 0;  // memory the machine had left at the end
};

// Errors: "file.*". A file that cannot be understood is begun anew.
Status save_run(const fs::path& home, const RunRecord& record);
std::vector<RunRecord> load_runs(const fs::path& home);

struct Cause {
  std::string what;     // "another program kept the processor busy"
  std::string figure;   // "something waited for a processor in 62 % of the time"
  std::string advice;   // "close it, or --threads 1"; may be empty
  double slows_by = 0;  // share of the speed that this explains, as far as it can be told; 0 = cannot
};
// Why a run was slower than predicted, the weightiest first; empty when nothing measured explains it, or it was not
// slower (is_slower()).
std::vector<Cause> explain_run(const RunRecord& record);
bool is_slower(const RunRecord& record);  // by more than a tenth

}  // namespace watra::engine
