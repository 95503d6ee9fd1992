// The error a refused system call on a file becomes: what was tried, on what, why; with a hint for what a person can
// change. For base/ alone.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace watra {

// "cannot WHAT PATH: No such file or directory"; codes "file.not_found", "file.exists", "file.disk_full", "file.io".
tl::unexpected<Error> os_error(std::string_view what, const std::filesystem::path& path, int err);

}  // namespace watra
