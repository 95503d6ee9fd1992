// pull: a catalog name, hf:org/repo/file.gguf[@revision] or https://... becomes a checked file on the shelf.
//
// One pull of a file at a time (a lock per file, also between processes). Blocks; safe to call from any thread.
#pragma once

#include <string>
#include <vector>

#include "hub/catalog.h"
#include "hub/download.h"
#include "hub/shelf.h"
#include "hub/watcher.h"

namespace watra::hub {

struct PullSettings {
  HubSettings hub;
  DownloadSettings download;
  Watcher watch;

  static PullSettings from_environment();
};

struct PulledFile {
  fs::path path;
  uint64_t bytes = 0;
  std::string sha256;
};

struct Pulled {
  std::vector<PulledFile> files;  // one, or the parts of a split in order
  bool already_there = false;     // nothing had to be downloaded
  bool verified = false;          // every file against a checksum known beforehand
  double seconds = 0;

  uint64_t bytes() const;
};

// Errors: those of wheels.h and download.h, and "hub.unknown_name", "hub.choose_file" (hf:org/repo alone: names its
// files), "hub.not_gguf", "hub.name_taken", "hub.busy" (another watra pulls it now).
Result<Pulled> pull(const Shelf& shelf, const std::string& what, const PullSettings& settings);

// The same for an entry that need not be in the catalog.
Result<Pulled> pull_entry(const Shelf& shelf, const CatalogEntry& entry, const PullSettings& settings);

}  // namespace watra::hub
