// Where Watra's data lives: one folder with models/, home.db, kv/, jobs/ and config.toml (DESIGN section 5).
#pragma once

#include <string_view>

#include "base/file.h"

namespace watra {

// The first of: `option` (--home), $WATRA_HOME, $XDG_DATA_HOME/watra, $HOME/.local/share/watra. Absolute; not created.
// As the XDG rules want it, a relative $XDG_DATA_HOME is ignored. Errors: "home.unknown".
Result<fs::path> home_folder(std::string_view option = {});

}  // namespace watra
