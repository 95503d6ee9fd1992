// A file from an address: parallel ranges that resume, or one stream where the server knows no ranges; then its
// checksum.
//
// The unfinished file and its state survive everything, kill -9 too; the same call goes on where the last one stopped,
// unless the file on the server has changed: then it begins anew. Nothing appears under the final name here: pull.h
// installs.
#pragma once

#include <functional>
#include <string>

#include "base/file.h"
#include "hub/remote_file.h"
#include "hub/retry.h"
#include "hub/watcher.h"

namespace watra::hub {

struct DownloadSettings {
  int connections = 4;  // ranges at the same time
  HttpSettings http;
  RetrySettings retry;
  std::function<Result<uint64_t>(const fs::path&)> free_space = free_space_bytes;
};

struct DownloadJob {
  Origin origin;
  std::string label;     // what the progress line says
  fs::path part, state;  // the unfinished file and what is known about it
  std::string sha256;    // what the content must hash to; empty = what the server says, if anything
};

struct Downloaded {
  uint64_t bytes = 0;
  std::string sha256;
  std::string identity;
  bool verified = false;  // against a checksum that came from somewhere
};

// ask_about() with retries. A host that cannot be reached at all is not tried again: offline shows at once.
Result<RemoteFile> ask_patiently(HttpClient& client, const Origin& origin, const DownloadSettings& settings);

// Leaves the whole, checked and synced file at job.part. `remote` is what ask_about() said about it a moment ago.
// Errors: those of ask_about(), "hub.no_space", "hub.changed", "hub.checksum", "hub.cancelled", "file.*".
Result<Downloaded> download(const DownloadJob& job, RemoteFile remote, const DownloadSettings& settings,
                            const Watcher& watch);

}  // namespace watra::hub
