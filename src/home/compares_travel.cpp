// Compares as they leave the house and come into one.
#include <algorithm>

#include "home/check.h"
#include "home/compares.h"
#include "home/ids.h"
#include "home/internal/base64.h"

namespace watra::home {
namespace {

// What a blind compare tells nobody before the vote. It goes along, or the vote could never reveal anything in the
// house it comes to; not in words that are met by looking into the file.
std::string sealed(Ledger& ledger, const Compare& c) {
  Json answers = Json::object();
  for (const Json& column : c.columns) {
    if (column.at("message").is_null()) continue;
    Message m = ledger.message(column.at("message"));
    m.veiled = false;
    const Json whole = m.json();
    answers[m.id] = {{"actor", whole.at("actor")}, {"answer", whole.at("answer")}};
  }
  return base64_of(dump({{"columns", c.columns}, {"answers", std::move(answers)}}));
}

}  // namespace

std::optional<std::string> Compares::of_thread(const std::string& thread) const {
  Statement s = ledger_.db().query("SELECT id FROM compares WHERE thread_id = ?", thread);
  return s.step() ? std::optional(s.text(0)) : std::nullopt;
}

Json Compares::exported(const std::string& thread) const {
  const auto id = of_thread(thread);
  if (!id) return nullptr;
  const Compare c = read(*id);
  Json out = json(c, false);
  out.erase("thread");
  for (Json& column : out.at("columns")) column.erase("answer");
  if (c.hides()) out["sealed"] = sealed(ledger_, c);
  return out;
}

void Compares::put(const Compare& c) {
  ledger_.db().run(
      "INSERT INTO compares VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET columns = excluded.columns",
      c.id, c.thread, c.question, c.system, c.blind, c.revealed, c.order, c.state, c.created_ms, c.vote,
      dump(c.columns));
  tell(c);
}

}  // namespace watra::home
