#include "base/passing_file.h"

#include "base/folder.h"

namespace watra {

Result<PassingFile> PassingFile::create(const fs::path& folder) {
  WATRA_TRY(make_private_folder(folder));
  PassingFile made;
  WATRA_ASSIGN(made.file_, File::open(folder / name_of_our_own(), File::Mode::create));
  return made;
}

PassingFile& PassingFile::operator=(PassingFile&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

PassingFile::~PassingFile() {
  if (!file_.is_open()) return;
  std::error_code ec;
  fs::remove(file_.path(), ec);
}

}  // namespace watra
