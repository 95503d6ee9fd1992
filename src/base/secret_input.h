// A secret typed at the terminal, without showing it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watra {

// One line of standard input; the prompt goes to standard error. Nothing when standard input is no terminal, when it
// has ended, or when the person pressed Ctrl-C; the terminal is as it was in any case.
std::optional<std::string> read_unseen(std::string_view prompt);

}  // namespace watra
