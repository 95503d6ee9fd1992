// Child processes: run a program by its argument list (no shell), capture what it says, kill it and its children on
// cancel.
//
// The child gets a process group of its own, so that Ctrl-C reaches Watra alone, which then ends the group; it also
// dies with the thread that started it. Blocks the calling thread; several calls may run at the same time. A program
// that shall outlive us (a browser) is started by start_detached().
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace watra {

struct ProcessOptions {
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours, replacing what has the same name
  std::function<bool()> cancelled;                               // asked about ten times a second
  std::function<void()> tick;            // called as often: look at what the child has done so far
  std::chrono::milliseconds timeout{0};  // 0 = none
  size_t max_output_bytes = 256 << 10;   // of each stream the last so many are kept
};

struct ProcessResult {
  int exit_code = 0;  // 128 + signal when one ended it, as a shell says it
  std::string out, err;
  bool ok() const { return exit_code == 0; }
};

// argv[0] is looked up in PATH. Standard input is empty. A program that ran and failed is a result, not an error.
// Errors: "process.not_found", "process.start", "process.cancelled", "process.timeout".
Result<ProcessResult> run_process(const std::vector<std::string>& argv, const ProcessOptions& options = {});

// Starts a program that goes on without us: in a session of its own, nothing to read, its words thrown away. Errors:
// "process.not_found", "process.start".
Status start_detached(const std::vector<std::string>& argv);

// For main(), before any file is opened: where somebody started us with a standard stream closed, it leads nowhere from
// now on. Otherwise the next file would get its number, and what is printed would be written into that file.
void open_standard_streams();

// For programs that go on for days: whoever read what they print may go, and writing to nobody is then an error, not
// the end. Programs that are started have it as usual.
void outlive_closed_pipes();

// Is there a screen that a program could open a window on?
bool has_display();

}  // namespace watra
