#include "checkpoint/internal/new_files.h"

#include <algorithm>
#include <system_error>

namespace watra::checkpoint {

Result<File> NewFiles::create(const fs::path& target) {
  // A name nobody uses: another writer's file, or one left by a power cut, is not touched.
  constexpr int kMaxTries = 1000;
  for (int i = 0;; ++i) {
    fs::path beside = target;
    beside += i == 0 ? std::string(".part") : fmt::format(".{}.part", i);
    auto file = File::open(beside, File::Mode::create);
    if (file) {
      files_.push_back({std::move(beside), target});
      return file;
    }
    if (file.error().code != "file.exists" || i + 1 == kMaxTries) return file;
  }
}

Result<std::vector<fs::path>> NewFiles::commit() {
  std::vector<fs::path> targets;
  while (!files_.empty()) {
    const Pending& next = files_.back();
    if (auto status = rename_durable(next.beside, next.target); !status) {
      std::error_code ec;
      for (const fs::path& t : targets) fs::remove(t, ec);  // half a set is of no use to anybody
      discard();
      return fail(std::move(status).error());
    }
    targets.push_back(next.target);
    files_.pop_back();
  }
  std::reverse(targets.begin(), targets.end());
  return targets;
}

void NewFiles::discard() {
  std::error_code ec;
  for (const Pending& f : files_) fs::remove(f.beside, ec);
  files_.clear();
}

}  // namespace watra::checkpoint
