// Home: everything that is remembered, opened once for the process and handed to whoever serves it.
//
// Any thread may call. Functions return Result; Failure is thrown only inside home/.
#pragma once

#include <memory>

#include "home/answers.h"
#include "home/attachments.h"
#include "home/compares.h"
#include "home/conversations.h"
#include "home/personas.h"
#include "home/settings.h"

namespace watra::home {

class Home {
 public:
  // $WATRA_HOME, made if missing; answers that a crash left open are closed as interrupted. Errors: those of
  // Database::open and migrate().
  static Result<std::unique_ptr<Home>> open(const fs::path& folder);

  const fs::path& folder() const { return folder_; }
  Database& db() { return *db_; }
  EventLog& events() { return events_; }
  Settings& settings() { return settings_; }
  Personas& personas() { return personas_; }
  Attachments& attachments() { return attachments_; }
  Ledger& ledger() { return ledger_; }
  Conversations& conversations() { return conversations_; }
  Answers& answers() { return answers_; }
  Compares& compares() { return compares_; }

  // What a message says to a model: its words, those of text files with it, and what it quotes.
  Result<std::string> said(const Message& message);

 private:
  Home(fs::path folder, std::unique_ptr<Database> db);
  fs::path folder_;
  std::unique_ptr<Database> db_;
  EventLog events_;
  Settings settings_;
  Personas personas_;
  Attachments attachments_;
  Ledger ledger_;
  Conversations conversations_;
  Answers answers_;
  Compares compares_;
};

}  // namespace watra::home
