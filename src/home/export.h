// Export: conversations out of the house: one as Markdown or JSON, all of it as one zip that import_file() takes back.
//
// The zip: watra.json (what it is), threads.jsonl (a thread with its whole tree on each line), markdown/ (the branch
// that is shown, to be read), attachments/ and attachments.jsonl, personas.json, presets.json, sets.json,
// settings.json, and SHA256SUMS over all of them. Any thread may call.
#pragma once

#include <functional>

#include "home/home.h"

namespace watra::home {

// Errors: "thread.unknown", "request.invalid" for another format than "md" and "json".
Result<std::string> export_thread(Home& home, const std::string& thread, const std::string& format);

// Writes the zip; hidden threads (of compares) are in it. `go_on` is asked all the time. Errors: "export.cancelled",
// "export.failed", those of the store.
Status export_house(Home& home, const fs::path& zip, const std::function<bool()>& go_on);

}  // namespace watra::home
