// Home: everything that is remembered, opened once for the process and handed to whoever serves it. Owns the database
// and the event log; what hangs on them has one file each.
//
// Any thread may call. Functions return Result; Failure is thrown only inside home/.
#pragma once

#include <memory>

#include "home/database.h"
#include "home/events.h"

namespace watra::home {

class Home {
 public:
  // $WATRA_HOME, made if missing. Errors: those of Database::open and migrate().
  static Result<std::unique_ptr<Home>> open(const fs::path& folder);

  const fs::path& folder() const { return folder_; }
  Database& db() { return *db_; }
  EventLog& events() { return events_; }

 private:
  Home(fs::path folder, std::unique_ptr<Database> db);
  fs::path folder_;
  std::unique_ptr<Database> db_;
  EventLog events_;
};

}  // namespace watra::home
