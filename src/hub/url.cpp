#include "hub/url.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace watra::hub {
namespace {

bool is_unreserved(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

tl::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail("hub.bad_url", fmt::format("{} is not an address that can be downloaded: {}", text, why),
              "write it as https://host/path/file.gguf");
}

std::optional<int> hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

// RFC 3986 section 5.2.4.
std::string remove_dot_segments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool ends_in_slash = false;
  for (size_t at = 0; at < path.size();) {
    size_t end = path.find('/', at + 1);
    if (end == std::string_view::npos) end = path.size();
    const auto segment = path.substr(at + 1, end - at - 1);
    ends_in_slash = segment.empty() || segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (segment != "." && segment != ".." && (!segment.empty() || end < path.size())) kept.push_back(segment);
    at = end;
  }
  std::string out;
  for (const auto s : kept) out += "/" + std::string(s);
  if (out.empty() || ends_in_slash) out += '/';
  return out;
}

// Blanks, quotes and bytes that must not stand in a request line are encoded; what is encoded already stays.
std::string printable_target(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u >= 0x7F || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' || c == '{' ||
        c == '|' || c == '}')
      out += fmt::format("%{:02X}", u);
    else
      out += c;
  }
  return out;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

bool equal_ignoring_case(std::string_view text, std::string_view other) { return to_lower(text) == to_lower(other); }

std::string Url::authority() const {
  const std::string bracketed = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return has_default_port() ? bracketed : bracketed + ":" + port;
}
std::string Url::path() const { return target.substr(0, target.find('?')); }
std::string Url::to_string() const { return scheme + "://" + authority() + target; }
bool Url::is_loopback() const { return host == "localhost" || host == "::1" || host.starts_with("127."); }

Result<Url> parse_url(std::string_view text) {
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad(text, "it has no scheme");
  url.scheme = to_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https")
    return bad(text, fmt::format("its scheme is {}, http or https are known", url.scheme));
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  const std::string_view target = rest.substr(authority_end);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.user_info = percent_decode(authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(text, "its IPv6 address has no closing bracket");
    url.host = to_lower(authority.substr(1, close - 1));
    port = authority.substr(close + 1);
  } else {
    const size_t port_at = std::min(authority.find(':'), authority.size());
    url.host = to_lower(authority.substr(0, port_at));
    port = authority.substr(port_at);
  }
  if (url.host.empty()) return bad(text, "it names no host");
  if (!std::all_of(url.host.begin(), url.host.end(),
                   [](unsigned char c) { return is_unreserved(c) || c == ':' || c == '%'; }))
    return bad(text, "its host has a character that names of machines do not have");
  if (port.starts_with(':')) port.remove_prefix(1);
  if (port.empty()) {
    url.port = url.is_tls() ? "443" : "80";
  } else {
    unsigned number = 0;
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (ec != std::errc{} || end != port.data() + port.size() || number == 0 || number > 65535)
      return bad(text, fmt::format("{} is not a port", port));
    url.port = std::to_string(number);
  }
  url.target = printable_target(target);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

Result<Url> resolve_url(const Url& base, std::string_view reference) {
  reference = reference.substr(0, reference.find('#'));
  const size_t scheme_end = reference.find("://");
  if (scheme_end != std::string_view::npos && reference.find_first_of("/?") > scheme_end) return parse_url(reference);
  if (reference.starts_with("//")) return parse_url(base.scheme + ":" + std::string(reference));
  Url url = base;
  if (reference.empty()) return url;
  std::string_view path = reference.substr(0, reference.find('?'));
  const std::string query(reference.substr(path.size()));
  std::string merged;
  if (path.empty())
    merged = base.path();
  else if (path.starts_with('/'))
    merged = remove_dot_segments(path);
  else
    merged = remove_dot_segments(base.path().substr(0, base.path().rfind('/') + 1) + std::string(path));
  url.target = printable_target(merged + query);
  return url;
}

std::string percent_encode(std::string_view text, bool keep_slash) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (is_unreserved(u) || (keep_slash && c == '/'))
      out += c;
    else
      out += fmt::format("%{:02X}", u);
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high && low) {
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.starts_with('.')) return false;
  return std::none_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x20 || c == 0x7F || c == '/' || c == '\\' || c == ':' || c == '*' || c == '?' || c == '"' || c == '<' ||
           c == '>' || c == '|';
  });
}

std::string disposition_file_name(std::string_view header) {
  std::string plain, extended;
  for (size_t at = header.find(';'); at != std::string_view::npos;) {
    ++at;
    while (at < header.size() && header[at] == ' ') ++at;
    const size_t equals = header.find('=', at);
    if (equals == std::string_view::npos) break;
    const std::string key = to_lower(header.substr(at, equals - at));
    std::string value;
    size_t i = equals + 1;
    if (i < header.size() && header[i] == '"') {
      for (++i; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        value += header[i];
      }
    } else {
      for (; i < header.size() && header[i] != ';'; ++i) value += header[i];
    }
    while (!value.empty() && value.back() == ' ') value.pop_back();
    if (key == "filename") plain = value;
    if (key == "filename*") {  // charset'language'percent-encoded
      const size_t quote = value.rfind('\'');
      extended = percent_decode(quote == std::string::npos ? value : value.substr(quote + 1));
    }
    at = header.find(';', i);
  }
  return extended.empty() ? plain : extended;
}

}  // namespace watra::hub
