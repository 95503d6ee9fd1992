// Router: which handler answers which method and path. The one list of routes; whoever has more (the page's own API)
// adds them before the server starts. Read-only afterwards, from any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/exchange.h"

namespace watra::server {

// Who may ask: anybody; programs with the token; those and people who have come in (HOUSE section 1), for /watra/v1
// alone; anybody, but no page from elsewhere: coming in itself.
enum class Access : uint8_t { open, token, house, entrance };

struct Route {
  std::string method;   // GET answers HEAD too
  std::string pattern;  // "/v1/models/{id*}": {name} is one segment, {name*} the rest of the path
  Handler handler;
  Dialect dialect = Dialect::openai;
  Access access = Access::token;
  size_t max_body_bytes = size_t{16} << 20;
  fs::path body_folder;  // not empty: a body is not held in memory, but in a file there (Exchange::body_file)
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  // Every path begins with it, whatever the patterns say: "/llm". Before the server starts.
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  const std::string& prefix() const { return prefix_; }
  // A path as the patterns have it, without the prefix; nothing for one that does not lie under it.
  std::optional<std::string_view> inner(std::string_view path) const;

  struct Found {
    const Route* route = nullptr;  // null: nothing at this path, or not with this method
    std::map<std::string, std::string> params;
    std::string allow;  // methods this path has, when the method is the wrong one
  };
  Found find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
  std::string prefix_;
};

// Which API a path (without the prefix) belongs to: decides the shape of errors where no route matches.
Dialect dialect_of(std::string_view path);

// %41 -> A. False when a % is not followed by two hex digits.
bool percent_decode(std::string_view text, std::string& out);

}  // namespace watra::server
