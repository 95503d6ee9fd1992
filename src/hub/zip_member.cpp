#include "hub/zip_member.h"

#include <zip.h>

#include <memory>

namespace watra::hub {
namespace {

// More members than any wheel of ours has; a directory that claims more is not one.
constexpr zip_int64_t kMaxMembers = 100'000;
constexpr size_t kPiece = 1 << 20;

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

tl::unexpected<Error> bad(const fs::path& archive, std::string_view why) {
  return fail("hub.bad_archive", fmt::format("{} cannot be read: {}", archive.string(), why),
              "pull again: it will be downloaded anew");
}

Result<Archive> open_archive(const fs::path& path) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string why = zip_error_strerror(&error);
  zip_error_fini(&error);
  return bad(path, why);
}

}  // namespace

Result<std::vector<ZipMember>> list_zip(const fs::path& path) {
  WATRA_ASSIGN(const Archive archive, open_archive(path));
  const zip_int64_t n = zip_get_num_entries(archive.get(), 0);
  if (n < 0 || n > kMaxMembers) return bad(path, fmt::format("its directory claims {} members", n));
  std::vector<ZipMember> members;
  for (zip_int64_t i = 0; i < n; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(archive.get(), static_cast<zip_uint64_t>(i), 0, &stat) != 0)
      return bad(path, zip_strerror(archive.get()));
    members.push_back({stat.valid & ZIP_STAT_NAME ? stat.name : "", stat.valid & ZIP_STAT_SIZE ? stat.size : 0});
  }
  return members;
}

Status read_zip_member(const fs::path& path, const std::string& member,
                       const std::function<Status(std::span<const std::byte>)>& take) {
  WATRA_ASSIGN(const Archive archive, open_archive(path));
  zip_stat_t stat;
  if (zip_stat(archive.get(), member.c_str(), 0, &stat) != 0) {
    WATRA_ASSIGN(const auto members, list_zip(path));
    std::string there;
    for (const auto& m : members) there += (there.empty() ? "" : ", ") + m.name;
    return bad(path, fmt::format("it has no {}; it has {}", member, there.empty() ? "nothing" : there));
  }
  if (!(stat.valid & ZIP_STAT_SIZE)) return bad(path, fmt::format("{} has no size", member));
  const std::unique_ptr<zip_file_t, CloseMember> file(zip_fopen_index(archive.get(), stat.index, 0));
  if (!file) return bad(path, zip_strerror(archive.get()));
  std::vector<std::byte> buffer(kPiece);
  uint64_t left = stat.size;
  for (;;) {
    const zip_int64_t n = zip_fread(file.get(), buffer.data(), buffer.size());
    if (n < 0) return bad(path, fmt::format("{}: {}", member, zip_file_strerror(file.get())));
    if (n == 0) break;
    if (static_cast<uint64_t>(n) > left) return bad(path, fmt::format("{} is longer than its directory says", member));
    left -= static_cast<uint64_t>(n);
    WATRA_TRY(take(std::span(buffer).first(static_cast<size_t>(n))));
  }
  if (left > 0) return bad(path, fmt::format("{} ends {} bytes early", member, left));
  return {};
}

}  // namespace watra::hub
