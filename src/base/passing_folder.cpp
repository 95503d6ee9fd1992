#include "base/passing_folder.h"

#include <utility>
#include <vector>

#include "base/folder.h"

namespace watra {
namespace {

constexpr std::string_view kLockEnding = ".lock";

fs::path lock_of(const fs::path& folder) { return folder.string() + std::string(kLockEnding); }

// A folder is locked before it is made, and removed before its lock is: one without a lock is nobody's.
void remove_what_is_left(const fs::path& parent) {
  std::error_code ec;
  std::vector<fs::path> all;
  for (fs::directory_iterator it(parent, ec), end; !ec && it != end; it.increment(ec)) all.push_back(it->path());
  for (const fs::path& path : all) {
    const std::string name = path.string();
    if (!name.ends_with(kLockEnding)) {
      if (!fs::exists(lock_of(path), ec)) fs::remove_all(path, ec);
      continue;
    }
    const auto lock = FileLock::try_take(path);
    if (!lock || !*lock) continue;  // in use, or not ours to look at
    fs::remove_all(name.substr(0, name.size() - kLockEnding.size()), ec);
    fs::remove(path, ec);
  }
}

}  // namespace

Result<PassingFolder> PassingFolder::claim(const fs::path& parent) {
  WATRA_TRY(make_private_folder(parent));
  remove_what_is_left(parent);
  for (;;) {
    const fs::path path = parent / name_of_our_own();
    WATRA_ASSIGN(auto lock, FileLock::try_take(lock_of(path)));
    if (!lock) continue;  // somebody who tidies up is looking at it
    WATRA_TRY(make_private_folder(path));
    return PassingFolder(std::move(*lock), path);
  }
}

PassingFolder::PassingFolder(PassingFolder&& other) noexcept
    : lock_(std::move(other.lock_)), path_(std::exchange(other.path_, {})) {}

PassingFolder& PassingFolder::operator=(PassingFolder&& other) noexcept {
  std::swap(lock_, other.lock_);
  std::swap(path_, other.path_);
  return *this;
}

PassingFolder::~PassingFolder() {
  if (path_.empty()) return;
  std::error_code ec;
  fs::remove_all(path_, ec);
  fs::remove(lock_of(path_), ec);
}

}  // namespace watra
