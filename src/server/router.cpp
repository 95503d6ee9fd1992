#include "server/router.h"

#include <charconv>

namespace watra::server {
namespace {

std::string_view next_segment(std::string_view& rest) {
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const size_t slash = rest.find('/');
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(segment.size());
  return segment;
}

std::optional<std::map<std::string, std::string>> match(std::string_view pattern, std::string_view path) {
  std::map<std::string, std::string> params;
  while (!pattern.empty()) {
    if (path.empty()) return std::nullopt;
    const std::string_view wanted = next_segment(pattern);
    if (wanted.starts_with('{')) {
      std::string_view name = wanted.substr(1, wanted.size() - 2), value;
      if (name.ends_with('*')) {
        name.remove_suffix(1);
        value = path.substr(1);
        path = {};
      } else {
        value = next_segment(path);
      }
      std::string decoded;
      if (value.empty() || !percent_decode(value, decoded)) return std::nullopt;
      params.emplace(name, std::move(decoded));
    } else if (next_segment(path) != wanted) {
      return std::nullopt;
    }
  }
  if (!path.empty()) return std::nullopt;
  return params;
}

}  // namespace

std::optional<std::string_view> Router::inner(std::string_view path) const {
  if (!path.starts_with(prefix_)) return std::nullopt;
  path.remove_prefix(prefix_.size());
  if (!prefix_.empty() && !path.starts_with('/')) return std::nullopt;  // "/llmx" does not lie under "/llm"
  return path;
}

Router::Found Router::find(std::string_view method, std::string_view path) const {
  Found found;
  const auto asked = inner(path);
  if (!asked) return found;
  for (const Route& route : routes_) {
    auto params = match(route.pattern, *asked);
    if (!params) continue;
    if (route.method == method || (route.method == "GET" && method == "HEAD")) {
      found.route = &route;
      found.params = std::move(*params);
      return found;
    }
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  return found;
}

Dialect dialect_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return Dialect::anthropic;
  if (path.starts_with("/api/")) return Dialect::ollama;
  if (path.starts_with("/watra/")) return Dialect::watra;
  return Dialect::openai;
}

bool percent_decode(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return false;
    const char* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return false;
    out += static_cast<char>(value);
    i += 2;
  }
  return true;
}

}  // namespace watra::server
