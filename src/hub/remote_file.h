// RemoteFile: what a server says about one file before it is downloaded.
//
// Asked with a GET of the first byte, because addresses signed for one method refuse HEAD; the redirects on the way
// carry the hub's own facts (X-Linked-Etag = SHA-256, X-Linked-Size), the last answer shows whether ranges work.
#pragma once

#include <optional>
#include <string>

#include "hub/http.h"
#include "hub/hub_reference.h"

namespace watra::hub {

// Which hub, and who we are there.
struct HubSettings {
  std::string endpoint;  // "https://host", without a slash at the end
  std::string token;     // goes to that host only, and only encrypted (or to this very machine)

  static HubSettings from_environment();  // HF_ENDPOINT, HF_TOKEN
};

// An address to download from, with what goes along to its host.
struct Origin {
  Url url;
  bool is_hub = false;
  std::string token;

  HttpRequest request() const;
};

Result<Origin> origin_of(const HubReference& reference, const HubSettings& settings);

struct RemoteFile {
  Url final_url;                  // behind the redirects
  std::optional<uint64_t> bytes;  // unknown when the server streams
  bool ranges = false;
  std::string final_etag;             // strong validator of final_url, for If-Range; may be empty
  std::string identity;               // changes when the file does; empty when the server gives no hint
  std::optional<std::string> sha256;  // what the hub says the content hashes to
  std::string disposition_name;       // Content-Disposition's file name
  std::string content_type;
};

// Errors: those of HttpClient, "hub.gated", "hub.denied", "hub.not_found", "hub.rate_limited", "hub.busy_server" (5xx,
// 429: try again), "hub.http". The wait a server asks for is put into retry_after_s.
Result<RemoteFile> ask_about(HttpClient& client, const Origin& origin, int* retry_after_s = nullptr);

// The error an answer stands for.
Error error_of_status(const HttpReply& reply, const Url& url, const Origin& origin);
// Seconds of a Retry-After header; -1 when there is none we understand.
int retry_after_seconds(const HttpReply& reply);

// The .gguf files of a repository, sorted, with their sizes (0 = not said).
struct HubFile {
  std::string path;
  uint64_t bytes = 0;
};
Result<std::vector<HubFile>> list_hub_files(HttpClient& client, const HubReference& reference,
                                            const HubSettings& settings);

}  // namespace watra::hub
