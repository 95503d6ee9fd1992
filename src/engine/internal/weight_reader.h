// Carries out a ReadPlan: every member of a team keeps reads in flight and places what arrives, so that the disk and
// the processor work at the same time.
#pragma once

#include <functional>

#include "base/thread_team.h"
#include "checkpoint/checkpoint.h"
#include "engine/internal/read_plan.h"

namespace watra::engine::internal {

struct WeightReaderOptions {
  uint64_t staging_bytes = 0;                        // for what was read and not placed yet; at least one read a member
  std::function<void(uint64_t, uint64_t)> progress;  // done, total; one call at a time, ten a second at most
  std::function<bool()> cancelled;                   // asked before each read, by all members
};

// Reads from the checkpoint's files, past the page cache where they do not lie in it. A checkpoint without files gets
// its synthetic weights. Errors: "file.io"; "file.short_read" when a file is shorter than when it was opened;
// "memory.refused"; "load.cancelled"; those of a device. Nothing is in flight after it returns.
Status read_weights(const checkpoint::Checkpoint& file, const ReadPlan& plan, ThreadTeam& team,
                    const WeightReaderOptions& options);

}  // namespace watra::engine::internal
