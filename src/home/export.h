// Export: conversations out of the house: one as Markdown or JSON, all of it as one zip that import_file() takes back.
//
// The zip: watra.json (what it is), threads.jsonl (a thread with its whole tree on each line; a very long one on
// several lines one after the other, each with some of its messages), markdown/ (the branch that is shown, to be read),
// attachments/ and attachments.jsonl, personas.json, presets.json, sets.json, phrases.json, settings.json, and
// SHA256SUMS over all of them. Any thread may call.
#pragma once

#include <functional>

#include "home/home.h"

namespace watra::home {

// Whatever is exported can be imported again: a line is kept far below what import_file() takes (import_formats.h).
constexpr size_t kExportLineBytes = size_t{32} << 20;

// Files that the JSON of a conversation carries, in bytes before they become base64: as lines of their own they stay
// far below what import_file() takes. Larger ones are named without their content, the zip has them.
constexpr size_t kExportedFileBytes = size_t{48} << 20;

struct ExportManner {
  std::string language = "en";  // of Markdown's own words: "pl", "en"
  size_t line_bytes = kExportLineBytes;
  size_t file_bytes = kExportedFileBytes;
};

// JSON longer than a line may be comes as lines like those of threads.jsonl, a file on each line of its own. Errors:
// "thread.unknown", "request.invalid" for another format than "md" and "json".
Result<std::string> export_thread(Home& home, const std::string& thread, const std::string& format,
                                  const ExportManner& manner = {});

// Compares (`ids` empty: all) as lines like those of threads.jsonl, which import_file() takes. A compare stands in its
// thread's lines as "compare"; of one that is blind what nobody is told before the vote is in "sealed", base64.
// Errors: "compare.unknown".
Result<std::string> export_compares(Home& home, const std::vector<std::string>& ids, const ExportManner& manner = {});

// Writes the zip; compares are in it. `go_on` is asked all the time. Errors: "export.cancelled",
// "export.failed", those of the store.
Status export_house(Home& home, const fs::path& zip, const std::function<bool()>& go_on,
                    const ExportManner& manner = {});

}  // namespace watra::home
