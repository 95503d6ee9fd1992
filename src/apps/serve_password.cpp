// watra password: the password of the page, from the command line; --lan needs one before anybody can open the page.
#include <memory>

#include "apps/serve.h"
#include "base/home.h"
#include "base/secret_input.h"
#include "base/terminal.h"
#include "home/home.h"
#include "home/people.h"

namespace watra::apps {
namespace {

constexpr uint64_t kLongestInput = 4096;

// Typed twice at a terminal, else the first line of standard input.
Result<std::string> ask_password() {
  if (!stdin_is_terminal()) {
    WATRA_ASSIGN(const std::string text, read_standard_input(kLongestInput));
    return text.substr(0, text.find_first_of("\r\n"));
  }
  const auto first = read_unseen("new password: "), again = first ? read_unseen("once more:    ") : std::nullopt;
  if (!first || !again) return fail("password.none", "no password was typed");
  if (*first != *again) return fail("password.differs", "the two are not the same", "watra password, once more");
  return *first;
}

Status set_password(const Globals& g) {
  WATRA_ASSIGN(const fs::path folder, home_folder(g.home));
  WATRA_ASSIGN(const std::string password, ask_password());
  WATRA_ASSIGN(const auto home, home::Home::open(folder));
  WATRA_TRY(home::People(home->db()).set_password(password));
  if (g.json)
    print_json({{"ok", true}});
  else
    fmt::print("the password is set; whoever had come in comes in anew\n");
  return {};
}

}  // namespace

void add_password(CLI::App& app, Globals& g, Handler& chosen) {
  auto* c = app.add_subcommand("password", "Set the password of the page (typed, or the first line of standard input)");
  c->callback([&g, &chosen] { chosen = [&g] { return set_password(g); }; });
}

}  // namespace watra::apps
