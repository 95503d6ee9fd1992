#include "base/home.h"

#include <cstdlib>
#include <system_error>

namespace watra {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<fs::path> home_folder(std::string_view option) {
  fs::path folder;
  if (!option.empty()) {
    folder = option;
  } else if (const auto own = environment("WATRA_HOME"); !own.empty()) {
    folder = own;
  } else if (const fs::path data = environment("XDG_DATA_HOME"); data.is_absolute()) {
    folder = data / "watra";
  } else if (const fs::path user = environment("HOME"); user.is_absolute()) {
    folder = user / ".local" / "share" / "watra";
  } else {
    return fail("home.unknown",
                "no folder for Watra's data: neither --home, WATRA_HOME, XDG_DATA_HOME nor HOME names an absolute path",
                "--home DIR, or export WATRA_HOME=DIR");
  }
  std::error_code ec;
  fs::path absolute = fs::absolute(folder, ec);
  if (ec) return fail("home.unknown", fmt::format("cannot make {} absolute: {}", folder.string(), ec.message()));
  return absolute.lexically_normal();
}

}  // namespace watra
