#include "home/home.h"

#include "base/log.h"
#include "home/migrations.h"

namespace watra::home {

Home::Home(fs::path folder, std::unique_ptr<Database> db)
    : folder_(std::move(folder)),
      db_(std::move(db)),
      events_(*db_),
      settings_(*db_, events_),
      attachments_(*db_, folder_ / "attachments"),
      ledger_(*db_, events_, folder_ / "attachments"),
      kept_(ledger_),
      personas_(kept_),
      conversations_(ledger_),
      answers_(ledger_),
      compares_(ledger_, answers_) {}

Result<std::unique_ptr<Home>> Home::open(const fs::path& folder) {
  WATRA_TRY(make_folders(folder));
  WATRA_ASSIGN(auto db, Database::open(folder / "home.db"));
  WATRA_TRY(migrate(*db));
  return std::unique_ptr<Home>(new Home(folder, std::move(db)));
}

Status Home::recover() {
  WATRA_ASSIGN(passing_, PassingFolder::claim(folder_ / "passing"));
  WATRA_ASSIGN(serving_, FileLock::try_take(folder_ / "serving.lock"));
  if (!serving_) {
    log::warn("another server answers from {}; both may, but only the first closes what a crash left open",
              folder_.string());
    return {};
  }
  ledger_.remove_erased_files();
  WATRA_ASSIGN(const int64_t n, answers_.close_left_over());
  if (n > 0) log::info("{} answers were under way when the last server ended; they can go on", n);
  return compares_.close_left_over();
}

namespace {

std::string quoted(const std::string& text) {
  std::string out = "> ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "> ";
  }
  return out + "\n\n";
}

}  // namespace

Result<std::string> Home::said(const Message& m) {
  std::string out;
  if (m.ref)
    if (const auto of = conversations_.message(*m.ref); of && !of->text().empty()) out += quoted(of->text());
  for (const Json& p : m.parts) {
    if (p.at("type") != "attachment") continue;
    const std::string name = p.at("name");
    const auto file = attachments_.find(p.at("hash"));
    if (!file || m.lacks(p.at("hash"))) {  // the model is told, and with it whoever looks at what the model saw
      out += fmt::format("[{}: this file is not here any more]\n\n", name);
      continue;
    }
    if (!file->is_text()) {
      out += fmt::format("[{}: {}, {} bytes, not text]\n\n", name, file->mime, file->bytes);
      continue;
    }
    WATRA_ASSIGN(const std::string words, attachments_.content(file->hash));
    out += fmt::format("[{}]\n{}\n[/{}]\n\n", name, words, name);
  }
  return out + m.text();
}

}  // namespace watra::home
