#include "home/search.h"

#include <algorithm>
#include <map>

#include "home/check.h"
#include "home/fold.h"

namespace watra::home {
namespace {

constexpr size_t kTrigram = 3;                // characters
constexpr size_t kBefore = 60, kAfter = 140;  // bytes of a snippet around the first hit

// A text in a LIKE pattern or an FTS string stands for itself.
std::string like_pattern(std::string_view term) {
  std::string out = "%";
  for (const char c : term) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out + "%";
}

std::string fts_string(std::string_view term) {
  std::string out = "\"";
  for (const char c : term) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

// Which of the messages that stand in one place a hit is; each place is looked at once.
class Versions {
 public:
  explicit Versions(Database& db) : db_(db) {}
  // With the lock of the database.
  void tell(const Message& m, Hit& hit) {
    auto [at, is_new] = logs_.try_emplace({m.thread, m.parent.value_or("")});
    std::vector<int64_t>& logs = at->second;
    if (is_new) {
      Statement s =
          m.parent
              ? db_.query("SELECT log FROM messages WHERE parent_id = ?1 AND thread_id = ?2 ORDER BY log", *m.parent,
                          m.thread)
              : db_.query("SELECT log FROM messages WHERE thread_id = ?1 AND parent_id IS NULL ORDER BY log", m.thread);
      while (s.step()) logs.push_back(s.integer(0));
    }
    hit.n_versions = static_cast<int64_t>(logs.size());
    hit.version = std::ranges::lower_bound(logs, m.log) - logs.begin() + 1;
  }

 private:
  Database& db_;
  std::map<std::pair<std::string, std::string>, std::vector<int64_t>> logs_;  // by thread and parent
};

}  // namespace

Json Hit::json() const {
  Json out = {{"thread", thread}, {"title", title}, {"message", message},
              {"role", role},     {"at_ms", at_ms}, {"snippet", snippet}};
  if (n_versions > 1) out["version"] = {{"at", version}, {"of", n_versions}};
  return out;
}

std::vector<std::string> search_terms(const std::string& query) {
  std::string plain;  // quotes of every kind are one
  const std::string text = folded(query);
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = std::string_view(text).substr(i);
    size_t n = 0;
    for (const std::string_view quote : {"„", "”", "“", "«", "»"})
      if (rest.starts_with(quote)) n = quote.size();
    const auto byte = static_cast<unsigned char>(text[i]);
    plain += n ? '"' : byte < 0x20 || byte == 0x7f ? ' ' : text[i];  // a control character is no part of a word
    i += n ? n : 1;
  }
  std::vector<std::string> terms;
  std::string word;
  bool quoted = false;
  const auto end_word = [&] {
    const bool is_word = word.find_first_not_of(' ') != std::string::npos;
    if (is_word && std::ranges::find(terms, word) == terms.end()) terms.push_back(word);
    word.clear();
  };
  for (const char c : plain) {
    if (c == '"') {
      end_word();
      quoted = !quoted;
    } else if (!quoted && c == ' ') {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return terms;
}

Json make_snippet(const std::string& text, const std::vector<std::string>& terms) {
  const Folded f = folded_with_places(text);
  std::vector<std::pair<size_t, size_t>> hits;  // in the original
  for (const std::string& term : terms)
    for (size_t at = f.text.find(term); at != std::string::npos; at = f.text.find(term, at + term.size())) {
      size_t end = f.from[at + term.size()];
      const size_t begin = f.from[at];
      if (end == begin) ++end;  // a part of a character that folds to several
      while (end < text.size() && !begins_character(text[end])) ++end;
      hits.emplace_back(begin, end);
    }
  std::ranges::sort(hits);
  const size_t first = hits.empty() ? 0 : hits[0].first;
  size_t begin = first > kBefore ? first - kBefore : 0;
  size_t end = std::min(text.size(), first + kAfter);
  while (begin > 0 && !begins_character(text[begin])) --begin;
  while (end < text.size() && !begins_character(text[end])) ++end;
  Json snippet = Json::array();
  const auto add = [&](std::string words, bool hit) {
    if (!words.empty()) snippet.push_back({{"text", std::move(words)}, {"hit", hit}});
  };
  size_t at = begin;
  for (const auto& [from, to] : hits) {
    if (from < at || to > end) continue;
    add((at == begin && begin > 0 ? "…" : "") + text.substr(at, from - at), false);
    add(text.substr(from, to - from), true);
    at = to;
  }
  add((at == begin && begin > 0 ? "…" : "") + text.substr(at, end - at) + (end < text.size() ? "…" : ""), false);
  return snippet;
}

Result<SearchResult> search(Ledger& ledger, const std::string& query, int64_t limit,
                            const std::optional<Before>& before) {
  return guarded([&] {
    const size_t n = n_characters(query);
    if (n < 1 || n > 200) refuse_field("q", "1..200");
    SearchResult out;
    const auto terms = search_terms(query);
    if (terms.empty()) return out;
    std::string match, sql =
                           "SELECT s.message_id, s.at_ms, t.title, m.role FROM search_text s JOIN threads t "
                           "ON t.id = s.thread_id AND t.hidden = 0 JOIN messages m ON m.id = s.message_id WHERE "
                           "(?1 IS NULL OR s.at_ms < ?1 OR (s.at_ms = ?1 AND s.log < ?8))";
    std::vector<std::string> patterns;
    for (const std::string& term : terms) {
      if (n_characters(term) >= kTrigram)
        match += (match.empty() ? "" : " AND ") + fts_string(term);
      else
        patterns.push_back(like_pattern(term));
    }
    constexpr size_t kMostPatterns = 4;  // one or two letters each: more of them tell nothing
    patterns.resize(kMostPatterns, "%");
    for (size_t i = 0; i < kMostPatterns; ++i) sql += fmt::format(R"( AND s.folded LIKE ?{} ESCAPE '\')", 3 + i);
    if (!match.empty()) sql += " AND s.log IN (SELECT rowid FROM search WHERE search MATCH ?7)";
    sql += " ORDER BY s.at_ms DESC, s.log DESC LIMIT ?2";
    const auto held = ledger.db().lock();
    const auto at_ms = before ? std::optional(before->at_ms) : std::nullopt;
    int64_t log = 0;
    if (before && !before->id.empty()) {
      // Rows of the log never go, whatever was erased since the page before.
      Statement row = ledger.db().query("SELECT seq FROM log WHERE id = ?", before->id);
      if (!row.step()) refuse_field("before_id", "the message of the last hit of the page before");
      log = row.integer(0);
    }
    Versions versions(ledger.db());
    const auto collect = [&](Statement s) {
      while (s.step()) {
        const Message m = ledger.message(s.text(0));
        out.hits.push_back({.thread = m.thread,
                            .title = s.text(2),
                            .message = m.id,
                            .role = s.text(3),
                            .at_ms = s.integer(1),
                            .snippet = make_snippet(m.text(), terms)});
        versions.tell(m, out.hits.back());
      }
    };
    Database& db = ledger.db();
    const auto& p = patterns;
    collect(db.query(sql, at_ms, limit + 1, p[0], p[1], p[2], p[3], match, log));
    out.more = static_cast<int64_t>(out.hits.size()) > limit;
    if (out.more) out.hits.pop_back();
    return out;
  });
}

}  // namespace watra::home
