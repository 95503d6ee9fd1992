// Import: conversations from elsewhere into the log, under an import that can be taken back. Repeating it adds nothing:
// every message has a name for ever, made of where it came from. Any thread may call; a thread of the file is one
// transaction, so answers under way wait milliseconds.
#pragma once

#include <functional>

#include "home/ledger.h"

namespace watra::home {

struct ImportReport {
  std::string id, format;
  int64_t threads = 0, messages = 0;  // that are new
  int64_t skipped = 0;                // there already, or without words
  Json problems = Json::array();      // {"where", "what"}; the first hundred
  Json json() const;
};

// `dry`: only counts. `go_on` is asked between threads. Errors: "import.unreadable", "import.cancelled", those of the
// store.
Result<ImportReport> import_file(Ledger& ledger, std::string_view bytes, bool dry, const std::function<bool()>& go_on);

// Erases everything an import brought; the number of messages. Error "import.unknown".
Result<int64_t> take_back_import(Ledger& ledger, const std::string& import);

}  // namespace watra::home
