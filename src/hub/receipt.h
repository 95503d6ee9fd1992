// Receipt: what was checked when a file was installed on the shelf, so that the same pull again can answer at once.
//
// Believed only while the file has the size and the time it had then; without a receipt the file is read and hashed.
#pragma once

#include <optional>
#include <string>

#include "hub/shelf.h"

namespace watra::hub {

struct Receipt {
  std::string source;    // where it came from: catalog:NAME, hf:..., https://...
  std::string identity;  // what the server said about the version: its checksum or ETag; may be empty
  std::string sha256;
  uint64_t bytes = 0;
};

// nullopt when there is none, or the file is no longer the one it speaks of.
std::optional<Receipt> read_receipt(const Shelf& shelf, const fs::path& relative);
Status write_receipt(const Shelf& shelf, const fs::path& relative, const Receipt& receipt);

}  // namespace watra::hub
