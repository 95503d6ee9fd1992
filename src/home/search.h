// Search over every message: folded (fold.h), by trigrams, so that parts of words are found in any of their forms;
// words shorter than three characters by a plain look. Any thread may call.
#pragma once

#include "home/ledger.h"

namespace watra::home {

struct Hit {
  std::string thread, title, message, role;
  int64_t at_ms = 0;
  Json snippet;                         // [{"text", "hit"}]
  int64_t version = 1, n_versions = 1;  // of those that were said in its place, in their order
  Json json() const;
};

struct SearchResult {
  std::vector<Hit> hits;
  bool more = false;  // Before{hits.back().at_ms, hits.back().message} is where the next page begins
};

// All words of `query` must occur; what stands in quotes must occur as it is. Newest first, those of one time in the
// order of the log; `before`: time and message of the last hit of the page before. Erased words and threads that are
// hidden are not found. Error "request.invalid" also for a message in `before` that never was.
Result<SearchResult> search(Ledger& ledger, const std::string& query, int64_t limit,
                            const std::optional<Before>& before);

// What a query asks for, folded: words, and quoted runs of words.
std::vector<std::string> search_terms(const std::string& query);

// The part of `text` around the first hit, with all hits in it marked.
Json make_snippet(const std::string& text, const std::vector<std::string>& terms);

}  // namespace watra::home
