// Streaming SHA-256 (OpenSSL underneath). Digests are written as 64 lower-case hex digits everywhere in Watra.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "hub/watcher.h"

namespace watra::hub {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::span<const std::byte> data);
  std::string hex();  // ends the stream; call once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Digest of the first `bytes` bytes of a file; reports under `label`. Errors: "file.*", "hub.cancelled".
Result<std::string> sha256_of_file(const fs::path& path, uint64_t bytes, std::string_view label, const Watcher& watch);

// True for 64 hex digits of either case.
bool is_sha256(std::string_view text);

}  // namespace watra::hub
