#include "server/door.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace watra::server {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kShortestToken = 16;
constexpr unsigned kOwnerOnly = 0600;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  return text;
}

// In a time that does not tell how much of it was right.
bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Looks at all of them, whichever it is.
bool is_one_of(std::string_view given, const std::vector<std::string>& secrets) {
  bool found = false;
  for (const std::string& secret : secrets) found |= same_secret(given, secret);
  return found;
}

// The name in "name:port", "[::1]:port", "name"; empty when it is none of these. A name's last dot is dropped.
std::string name_of(std::string_view host) {
  std::string_view name = host, port;
  if (host.starts_with('[')) {
    const size_t close = host.find(']');
    if (close == std::string_view::npos) return {};
    name = host.substr(1, close - 1);
    port = host.substr(close + 1);
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon);
  }
  if (!port.empty() &&
      (port[0] != ':' || !std::all_of(port.begin() + 1, port.end(), [](unsigned char c) { return std::isdigit(c); })))
    return {};
  if (name.ends_with('.')) name.remove_suffix(1);
  return lower(name);
}

}  // namespace

bool is_loopback(std::string_view host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

bool is_loopback_host(std::string_view host) { return is_loopback(name_of(trimmed(host))); }

Result<std::string> read_or_make_token(const fs::path& file) {
  std::error_code ec;
  if (fs::exists(file, ec)) {
    WATRA_ASSIGN(const std::string content, read_text_file(file, 4096));
    const std::string token(trimmed(content));
    const bool printable = std::ranges::all_of(token, [](unsigned char c) { return std::isgraph(c) != 0; });
    if (token.size() < kShortestToken || !printable)
      return fail("server.bad_token_file",
                  fmt::format("{} needs one line of at least {} printable characters", file.string(), kShortestToken),
                  "delete the file: a new token is made at the next start");
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write, ec);
    return token;
  }
  std::array<unsigned char, kTokenBytes> random;
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return fail("server.no_randomness", "the system gave no random bytes for a token");
  std::string token;
  for (const unsigned char b : random) token += fmt::format("{:02x}", b);
  if (file.has_parent_path()) {
    WATRA_TRY(make_folders(file.parent_path()));
  }
  WATRA_TRY(write_file_atomic(file, token + "\n", kOwnerOnly));
  return token;
}

Result<Door> Door::create(const DoorOptions& options) {
  if (options.key_alone && options.token.empty() && !is_loopback(options.host))
    return fail(
        "server.lan_needs_key",
        fmt::format("--host {} can be reached by other machines, which needs a key, and none is given", options.host),
        "--api-key KEY or --api-key-file FILE; or --host 127.0.0.1, which this machine alone reaches");
  if (options.no_auth && !is_loopback(options.host))
    return fail("server.not_loopback",
                fmt::format("--no-auth-for-tests opens the door to everybody, and {} can be reached from outside",
                            options.host),
                "--host 127.0.0.1");
  const bool is_lan = options.lan || !is_loopback(options.host);
  if (is_lan && !options.has_password && !options.key_alone)
    return fail("server.lan_needs_password",
                fmt::format("{} can be reached by other machines, which needs a password, and none is set",
                            options.lan ? "--lan" : "--host " + options.host),
                "`watra password` sets one; or without it a tunnel: ssh -L 8686:127.0.0.1:8686 THIS-MACHINE");
  Door door;
  door.needs_token_ = !options.no_auth;
  door.is_tls_ = options.tls;
  door.is_lan_ = is_lan;
  door.hosts_ = {"127.0.0.1", "localhost", "::1", lower(options.host)};
  for (const std::string& name : options.allow_hosts) door.hosts_.push_back(name_of(name));
  for (const std::string& origin : options.cors_origins) {
    const bool whole = origin.starts_with("http://") || origin.starts_with("https://");
    if (!whole || origin.ends_with('/') || origin.find('*') != std::string::npos)
      return fail("server.bad_origin",
                  fmt::format("--cors-origin needs an origin as browsers send it, found {}", origin),
                  "--cors-origin http://localhost:3000 (no * and no / at the end; repeatable)");
    door.origins_.push_back(origin);
  }
  if (!options.token.empty()) {
    door.tokens_ = options.more_tokens;
    door.tokens_.push_back(options.token);
  } else if (door.needs_token_) {
    WATRA_ASSIGN(std::string token, read_or_make_token(options.token_file));
    door.tokens_.push_back(std::move(token));
  }
  return door;
}

bool Door::knows_host(std::string_view host, std::string_view local_address) const {
  const std::string name = name_of(trimmed(host));
  return !name.empty() && (name == local_address || std::ranges::find(hosts_, name) != hosts_.end());
}

Witness Door::where_from(std::string_view host, std::string_view origin, std::string_view fetch_site,
                         std::string_view referer) const {
  const std::string own = (is_tls_ ? "https://" : "http://") + lower(trimmed(host));
  if (!fetch_site.empty() && fetch_site != "same-origin") return Witness::elsewhere;
  if (!origin.empty()) return lower(origin) == own ? Witness::own_page : Witness::elsewhere;
  if (!fetch_site.empty()) return Witness::own_page;
  if (referer.empty()) return Witness::nothing;
  const std::string from = lower(referer);
  const bool is_own = from.starts_with(own) && (from.size() == own.size() || from[own.size()] == '/');
  return is_own ? Witness::own_page : Witness::elsewhere;
}

bool Door::knows_token(std::string_view authorization, std::string_view x_api_key) const {
  if (!needs_token_) return true;
  constexpr std::string_view kBearer = "bearer ";
  if (authorization.size() > kBearer.size() && lower(authorization.substr(0, kBearer.size())) == kBearer &&
      is_one_of(trimmed(authorization.substr(kBearer.size())), tokens_))
    return true;
  return !x_api_key.empty() && is_one_of(trimmed(x_api_key), tokens_);
}

bool Door::knows_origin(std::string_view origin) const { return std::ranges::find(origins_, origin) != origins_.end(); }

}  // namespace watra::server
