#include "hub/remote_file.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "hub/sha256.h"

namespace watra::hub {
namespace {

using nlohmann::json;

constexpr std::string_view kDefaultEndpoint = "https://huggingface.co";
constexpr size_t kMaxListingBytes = 32 << 20;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// "abc" of "\"abc\"" and of "W/\"abc\""
std::string bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.starts_with('"') && etag.ends_with('"')) etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

// What the hub itself said on the way: X-Linked-* on the origin's own host, or the ETag of its first answer.
void take_hub_facts(const Followed& followed, const Origin& origin, RemoteFile& file,
                    std::optional<uint64_t>& linked_bytes) {
  std::string etag;
  for (const auto& hop : followed.hops) {
    if (!hop.url.same_origin(origin.url)) continue;
    if (etag.empty()) etag = bare_etag(hop.reply.header("X-Linked-Etag"));
    if (!linked_bytes) linked_bytes = parse_number(hop.reply.header("X-Linked-Size"));
  }
  if (etag.empty()) etag = bare_etag(followed.hops.front().reply.header("ETag"));
  if (is_sha256(etag)) file.sha256 = to_lower(etag);
  if (!etag.empty()) file.identity = etag;
}

}  // namespace

HubSettings HubSettings::from_environment() {
  HubSettings s;
  s.endpoint = environment("HF_ENDPOINT");
  if (s.endpoint.empty()) s.endpoint = kDefaultEndpoint;
  while (s.endpoint.ends_with('/')) s.endpoint.pop_back();
  s.token = environment("HF_TOKEN");
  std::erase_if(s.token, [](unsigned char c) { return c <= 0x20 || c == 0x7F; });
  return s;
}

HttpRequest Origin::request() const {
  HttpRequest r;
  r.url = url;
  if (!token.empty()) {
    if (url.is_tls() || url.is_loopback())
      r.headers.emplace_back("Authorization", "Bearer " + token);
    else
      log::warn("HF_TOKEN is not sent to {}: the connection is not encrypted", url.authority());
  }
  return r;
}

Result<Origin> origin_of(const HubReference& reference, const HubSettings& settings) {
  Origin origin;
  origin.is_hub = true;
  origin.token = settings.token;
  WATRA_ASSIGN(origin.url,
               parse_url(fmt::format("{}/{}/resolve/{}/{}", settings.endpoint, percent_encode(reference.repo, true),
                                     percent_encode(reference.revision, false), percent_encode(reference.file, true))));
  return origin;
}

int retry_after_seconds(const HttpReply& reply) {
  const auto n = parse_number(reply.header("Retry-After"));
  return n && *n < 1'000'000 ? static_cast<int>(*n) : -1;
}

Error error_of_status(const HttpReply& reply, const Url& url, const Origin& origin) {
  const std::string where = url.authority();
  const std::string said = reply.header("X-Error-Message");
  const std::string because = said.empty() ? "" : ": " + said;
  switch (reply.status) {
    case 401:
    case 403:
      if (origin.is_hub && origin.token.empty())
        return {"hub.gated",
                fmt::format("{} answers {}{}: the model is gated or private, or it does not exist", where, reply.status,
                            because),
                "accept its terms on the hub's page, make an access token there, and export HF_TOKEN=hf_..."};
      if (origin.is_hub)
        return {"hub.denied",
                fmt::format("{} answers {}{}: the token in HF_TOKEN does not open this model", where, reply.status,
                            because),
                "accept the model's terms on the hub's page with the account the token belongs to"};
      return {"hub.denied", fmt::format("{} answers {}{}: not allowed", where, reply.status, because),
              "the address may have expired; get a new one"};
    case 404:
    case 410:
      return {"hub.not_found", fmt::format("{} has no {} ({}{})", where, url.path(), reply.status, because),
              "check the spelling; upper and lower case differ"};
    case 416:
      return {"hub.changed", fmt::format("{} has fewer bytes of {} than it said before", where, url.path()),
              "pull again"};
    case 429: {
      const int wait = retry_after_seconds(reply);
      return {"hub.rate_limited",
              fmt::format("{} asks for fewer requests{}{}", where,
                          wait >= 0 ? fmt::format(", and to wait {} s", wait) : "", because),
              "wait, then type the same command: it goes on where this one stopped; with HF_TOKEN the hub allows more"};
    }
    default:
      if (reply.status >= 500 || reply.status == 408)
        return {"hub.busy_server", fmt::format("{} answers {}{}: trouble on its side", where, reply.status, because),
                "try again later; the same command goes on where this one stopped"};
      return {"hub.http", fmt::format("{} answers {}{} for {}", where, reply.status, because, url.path()),
              "check the address"};
  }
}

Result<RemoteFile> ask_about(HttpClient& client, const Origin& origin, int* retry_after_s) {
  HttpRequest request = origin.request();
  request.headers.emplace_back("Range", "bytes=0-0");
  WATRA_ASSIGN(Followed followed, client.follow(
                                      request, [](const HttpReply&) { return false; },
                                      [](std::span<const std::byte>) -> Status { return {}; }));
  const HttpReply& reply = followed.reply();
  RemoteFile file;
  file.final_url = followed.url();
  const std::string content_range = reply.header("Content-Range");
  const std::string total = content_range.substr(std::min(content_range.rfind('/') + 1, content_range.size()));
  if (reply.status == 206) {
    file.ranges = true;
    file.bytes = parse_number(total);
    if (!file.bytes)
      return fail("hub.protocol", fmt::format("{} sends a range without saying of how much: '{}'",
                                              followed.url().authority(), content_range));
  } else if (reply.status == 200) {
    file.bytes = reply.body_bytes;
  } else if (reply.status == 416 && total == "0") {
    file.bytes = 0;
  } else {
    if (retry_after_s) *retry_after_s = retry_after_seconds(reply);
    return fail(error_of_status(reply, followed.url(), origin));
  }
  const std::string etag = reply.header("ETag");
  if (!etag.starts_with("W/")) file.final_etag = etag;
  file.content_type = to_lower(reply.header("Content-Type"));
  file.disposition_name = disposition_file_name(reply.header("Content-Disposition"));

  file.identity = bare_etag(etag);
  if (file.identity.empty()) file.identity = reply.header("Last-Modified");
  if (origin.is_hub) {
    std::optional<uint64_t> linked_bytes;
    take_hub_facts(followed, origin, file, linked_bytes);
    if (!file.sha256) {  // mirrors tell it to HEAD only
      HttpRequest head = origin.request();
      head.method = "HEAD";
      auto answer = client.follow(
          head, [](const HttpReply&) { return false; }, [](std::span<const std::byte>) -> Status { return {}; });
      if (answer && answer->hops.front().reply.status < 400) take_hub_facts(*answer, origin, file, linked_bytes);
      if (!answer && answer.error().code == "hub.cancelled") return fail(std::move(answer).error());
    }
    if (linked_bytes && file.bytes && *linked_bytes != *file.bytes)
      return fail("hub.protocol",
                  fmt::format("{} says the file has {} bytes, {} would send {}", origin.url.authority(), *linked_bytes,
                              followed.url().authority(), *file.bytes),
                  "the hub and its storage disagree; try again later");
  }
  return file;
}

Result<std::vector<HubFile>> list_hub_files(HttpClient& client, const HubReference& reference,
                                            const HubSettings& settings) {
  Origin origin;
  origin.is_hub = true;
  origin.token = settings.token;
  WATRA_ASSIGN(origin.url,
               parse_url(fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings.endpoint,
                                     percent_encode(reference.repo, true), percent_encode(reference.revision, false))));
  WATRA_ASSIGN(const auto answer, client.get_text(origin.request(), kMaxListingBytes));
  if (answer.first.status != 200) return fail(error_of_status(answer.first, origin.url, origin));
  const json j = json::parse(answer.second, nullptr, false);
  if (!j.is_object() || !j.contains("siblings") || !j["siblings"].is_array())
    return fail("hub.protocol", fmt::format("{} lists the files of {} in a way we do not understand",
                                            origin.url.authority(), reference.repo));
  std::vector<HubFile> files;
  for (const auto& s : j["siblings"]) {
    if (!s.is_object() || !s.contains("rfilename") || !s["rfilename"].is_string()) continue;
    HubFile file{s["rfilename"].get<std::string>(), 0};
    if (!to_lower(file.path).ends_with(".gguf")) continue;
    if (s.contains("size") && s["size"].is_number_unsigned()) file.bytes = s["size"].get<uint64_t>();
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

}  // namespace watra::hub
