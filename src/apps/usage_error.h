// What was wrong with a command line, in words that lead on: which option or command was probably meant.
#pragma once

#include <CLI/CLI.hpp>

#include "base/result.h"

namespace watra::apps {

// `app` is the whole program after its parse() threw `e`. Codes: "usage.option" for an option that the command has not,
// "usage.command" for a command that is missing or unknown, "usage.word" for a word too many, "usage" for the rest
// (a value that cannot be, an option that is missing).
Error usage_error(const CLI::App& app, const CLI::ParseError& e);

}  // namespace watra::apps
