// Home: everything that is remembered, opened once for the process and handed to whoever serves it.
//
// Any thread may call. Functions return Result; Failure is thrown only inside home/.
#pragma once

#include <memory>

#include "base/file_lock.h"
#include "base/passing_folder.h"
#include "home/answers.h"
#include "home/attachments.h"
#include "home/compares.h"
#include "home/conversations.h"
#include "home/personas.h"
#include "home/settings.h"

namespace watra::home {

class Home {
 public:
  // $WATRA_HOME, made if missing. Errors: those of Database::open and migrate().
  static Result<std::unique_ptr<Home>> open(const fs::path& folder);

  // For a process that answers: what its predecessor left open is closed as interrupted. Left alone while another
  // server answers from this home, whose files on their way stay too.
  Status recover();

  const fs::path& folder() const { return folder_; }
  // For PassingFile: this process's own after recover().
  fs::path passing_folder() const { return passing_ ? passing_->path() : folder_ / "passing"; }
  Database& db() { return *db_; }
  EventLog& events() { return events_; }
  Settings& settings() { return settings_; }
  Kept& kept() { return kept_; }
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
  std::optional<FileLock> serving_;
  std::optional<PassingFolder> passing_;
  std::unique_ptr<Database> db_;
  EventLog events_;
  Settings settings_;
  Attachments attachments_;
  Ledger ledger_;
  Kept kept_;
  Personas personas_;
  Conversations conversations_;
  Answers answers_;
  Compares compares_;
};

}  // namespace watra::home
