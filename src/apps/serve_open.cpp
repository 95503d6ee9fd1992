// watra open: the page of a server that runs already, in the browser.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/serve_house.h"
#include "base/home.h"
#include "hub/http.h"

namespace watra::apps {
namespace {

struct OpenCommand {
  int port = 8686;
  bool only_print = false;
};

Status open_page(const Globals& g, const OpenCommand& o) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  const auto token = read_text_file(home / "token", 4096);
  if (!token)
    return fail("server.no_token", fmt::format("{} has no token: no server was started there yet", home.string()),
                "watra serve --open");
  const std::string address = fmt::format("http://127.0.0.1:{}", o.port);
  WATRA_ASSIGN(const hub::Url url, hub::parse_url(address + "/watra/v1/codes"));
  hub::HttpRequest request{.method = "POST", .url = url, .headers = {}};
  request.headers.emplace_back("Authorization", "Bearer " + token->substr(0, token->find_first_of("\r\n")));
  hub::HttpClient client({.proxy = {}, .connect_timeout = std::chrono::seconds(3)});
  const auto answer = client.get_text(request, 1 << 16);
  const std::string try_this = fmt::format("watra serve --open --port {}", o.port);
  if (!answer)
    return fail("server.not_running", fmt::format("nothing answers at {}: {}", address, answer.error().message),
                try_this);
  const auto body = nlohmann::json::parse(answer->second, nullptr, false);
  if (answer->first.status != 201 || !body.is_object() || !body.contains("code"))
    return fail("server.other",
                fmt::format("what answers at {} is no Watra of this home (status {})", address, answer->first.status),
                "--port, or --home, of the one you mean");
  const std::string entering = entering_address(address, body["code"].get<std::string>());
  if (g.json)
    print_json({{"url", entering}});
  else if (o.only_print || !open_in_browser(entering))
    fmt::print("{}\n", entering);
  return {};
}

}  // namespace

void add_open(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<OpenCommand>();
  auto* c = app.add_subcommand("open", "Open the page of a server that runs");
  c->add_option("--port", o->port, "Its port")->check(CLI::Range(1, 65535))->capture_default_str();
  c->add_flag("--print", o->only_print, "Print the address that lets a browser in, once and within a minute");
  c->callback([&g, &chosen, o] { chosen = [&g, o] { return open_page(g, *o); }; });
}

}  // namespace watra::apps
