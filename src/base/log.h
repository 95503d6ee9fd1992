// Log lines go to standard error, never to standard output (which belongs to answers and --json).
// Use spdlog's macros through these names; never log the text of a person's messages.
#pragma once

#include <spdlog/spdlog.h>

namespace watra::log {

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

// verbosity 0 = warnings, 1 = info, 2 = debug. Called once by the app.
void init(int verbosity);

}  // namespace watra::log
