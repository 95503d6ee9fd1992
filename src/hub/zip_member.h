// ZipMember: one member of a zip archive as a stream of bytes (libzip underneath, which also checks its CRC-32).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"

namespace watra::hub {

struct ZipMember {
  std::string name;
  uint64_t bytes = 0;  // uncompressed
};

// Errors: "hub.bad_archive".
Result<std::vector<ZipMember>> list_zip(const fs::path& archive);

// Hands over the member's bytes in pieces. Errors: "hub.bad_archive" (not a zip, no such member, wrong CRC, more bytes
// than the directory says), and what `take` returns.
Status read_zip_member(const fs::path& archive, const std::string& member,
                       const std::function<Status(std::span<const std::byte>)>& take);

}  // namespace watra::hub
