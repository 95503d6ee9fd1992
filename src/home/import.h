// Import: conversations from elsewhere into the log, under an import that can be taken back. Repeating it adds nothing:
// every message has a name for ever, made of where it came from. Any thread may call; a thread of the file is one
// transaction, so answers under way wait milliseconds.
#pragma once

#include <functional>

#include "home/home.h"

namespace watra::home {

struct ImportReport {
  std::string id, format;
  int64_t threads = 0, compares = 0, messages = 0;  // that are new; a compare's thread is none of the threads
  int64_t skipped = 0;                              // there already, or without words
  Json problems = Json::array();                    // {"where", "what"}; the first hundred
  Json json() const;
};

// `dry`: only counts. `go_on` is asked between threads. Of our own zip attachments come too, and what kept_kinds() has,
// where its ids are free; that stays when the conversations are taken back. What is held of the
// file: import_formats.h. Errors: "import.unreadable", "import.too_large", "import.cancelled", those of the store and
// of reading.
Result<ImportReport> import_file(Home& home, const fs::path& file, bool dry, const std::function<bool()>& go_on);

// Erases everything an import brought; the number of messages. Error "import.unknown".
Result<int64_t> take_back_import(Ledger& ledger, const std::string& import);

}  // namespace watra::home
