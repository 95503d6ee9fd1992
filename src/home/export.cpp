#include "home/export.h"

#include <zip.h>

#include <limits>
#include <set>

#include "home/check.h"
#include "home/ids.h"
#include "home/internal/base64.h"
#include "home/internal/thread_markdown.h"
#include "hub/sha256.h"

namespace watra::home {
namespace {

// The files that a conversation and its draft show, with their content as long as there is room for it.
Json thread_files(Home& home, const std::string& id, size_t room) {
  std::set<std::string> hashes;
  Statement uses = home.db().query(
      "SELECT u.hash FROM messages m JOIN attachment_uses u ON u.message_id = m.id WHERE m.thread_id = ?", id);
  while (uses.step()) hashes.insert(uses.text(0));
  const Thread thread = home.ledger().thread(id);
  for (const Json& part : member(thread.draft, "parts"))
    if (member(part, "hash").is_string()) hashes.insert(part.at("hash"));
  Json files = Json::array();
  for (const std::string& hash : hashes) {
    Json file = {{"hash", hash}, {"name", nullptr}, {"mime", nullptr}, {"bytes", nullptr}, {"content", nullptr}};
    Statement s = home.db().query("SELECT name, mime, bytes FROM attachments WHERE hash = ?", hash);
    if (s.step()) {
      const auto n_bytes = static_cast<size_t>(s.integer(2));
      file.update({{"name", s.text(0)}, {"mime", s.text(1)}, {"bytes", n_bytes}});
      if (n_bytes <= room)
        if (const auto content = home.attachments().content(hash)) {
          file["content"] = base64_of(*content);
          room -= n_bytes;
        }
    }
    files.push_back(std::move(file));
  }
  return files;
}

// What every line of a thread begins with; `messages`, empty, comes last.
Json thread_head(Home& home, const std::string& id) {
  Json head = {{"watra", 1}, {"thread", home.ledger().thread(id).json()}};
  if (Json compare = home.compares().exported(id); !compare.is_null()) head["compare"] = std::move(compare);
  head["messages"] = Json::array();
  return head;
}

// Whom a conversation is with, or who answers in a compare's columns, in whole. Who is blind does not tell that.
Json thread_personas(Home& home, const Thread& thread) {
  std::set<std::string> ids;
  if (thread.persona) ids.insert(*thread.persona);
  const Json compare = home.compares().exported(thread.id);
  for (const Json& column : member(compare, "columns"))
    if (column.at("persona").is_string()) ids.insert(column.at("persona").get<std::string>());
  Json personas = Json::array();
  for (const std::string& id : ids)
    if (const auto persona = home.personas().find(id)) personas.push_back(persona->json());
  return personas;
}

std::string persona_line(Home& home, const std::string& id) {
  const auto held = home.db().lock();
  const Thread thread = home.ledger().thread(id);
  Json personas = thread_personas(home, thread);
  if (personas.empty()) return "";
  Json line = thread_head(home, id);
  line["personas"] = std::move(personas);
  return dump(line) + "\n";
}

std::string file_lines(Home& home, const std::string& id, size_t room) {
  const auto held = home.db().lock();
  std::string out;
  for (Json& file : thread_files(home, id, room)) {
    Json line = thread_head(home, id);
    line["attachments"].push_back(std::move(file));
    out += dump(line) + "\n";
  }
  return out;
}

Json thread_json(Home& home, const std::string& id, size_t file_bytes) {
  const auto held = home.db().lock();
  Json messages = Json::array();
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  for (const Message& m : home.ledger().messages(id, kAll, kAll)) messages.push_back(m.json());
  const Thread thread = home.ledger().thread(id);
  Json out = thread_head(home, id);
  out["messages"] = std::move(messages);
  if (Json personas = thread_personas(home, thread); !personas.empty()) out["personas"] = std::move(personas);
  if (Json files = thread_files(home, id, file_bytes); !files.empty()) out["attachments"] = std::move(files);
  return out;
}

// A line holds one message at least, however long that is.
std::string thread_lines(Home& home, const std::string& id, size_t line_bytes) {
  const auto held = home.db().lock();
  std::string head = dump(thread_head(home, id));
  head.resize(head.size() - 2);  // "]}" comes behind the messages
  std::string out = head;
  size_t line_begin = 0;
  bool is_first = true;
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  for (const Message& m : home.ledger().messages(id, kAll, kAll)) {
    const std::string text = dump(m.json());
    if (!is_first && out.size() - line_begin + text.size() > line_bytes) {
      out += "]}\n";
      line_begin = out.size();
      out += head;
      is_first = true;
    }
    if (!is_first) out += ',';
    out += text;
    is_first = false;
  }
  return out + "]}\n";
}

// Entries of a zip with the sum of each.
class ZipWriter {
 public:
  ZipWriter(const fs::path& file, const std::function<bool()>& go_on) : file_(file), go_on_(go_on) {
    int error = 0;
    archive_ = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (!archive_)
      refuse("export.failed", fmt::format("{} cannot be written", file.string()), "free space on that disk");
  }
  ~ZipWriter() {
    if (archive_) zip_discard(archive_);
  }
  ZipWriter(const ZipWriter&) = delete;

  void add(const std::string& name, const std::string& content) {
    check();
    note(name, content);
    char* copy = static_cast<char*>(std::malloc(content.size() + 1));  // the archive frees it
    if (!copy) throw std::bad_alloc();
    std::copy(content.begin(), content.end(), copy);
    put(name, zip_source_buffer(archive_, copy, content.size(), 1));
  }
  // False: it is not there.
  bool add_file(const std::string& name, const fs::path& path) {
    check();
    auto content = read_text_file(path);
    if (!content && content.error().code == "file.not_found") return false;
    note(name, value_or_refuse(std::move(content)));
    put(name, zip_source_file(archive_, path.c_str(), 0, -1));
    return true;
  }
  void close() {
    add("SHA256SUMS", std::string(sums_));
    // Only now everything is compressed and written.
    const auto stop = [](zip_t*, void* go_on) -> int { return !(*static_cast<const std::function<bool()>*>(go_on))(); };
    zip_register_cancel_callback_with_state(archive_, stop, nullptr, const_cast<std::function<bool()>*>(&go_on_));
    if (zip_close(archive_) == 0) {
      archive_ = nullptr;
      return;
    }
    check();
    refuse("export.failed", fmt::format("{}: {}", file_.string(), zip_strerror(archive_)), "free space on that disk");
  }

 private:
  void check() const {
    if (!go_on_()) refuse("export.cancelled", "the export was given up");
  }
  void note(const std::string& name, const std::string& content) {
    hub::Sha256 sha;
    sha.add(std::as_bytes(std::span(content.data(), content.size())));
    sums_ += sha.hex() + "  " + name + "\n";
  }
  void put(const std::string& name, zip_source_t* source) {
    if (source && zip_file_add(archive_, name.c_str(), source, ZIP_FL_ENC_UTF_8) >= 0) return;
    if (source) zip_source_free(source);
    refuse("export.failed", fmt::format("{} cannot be put into the zip", name));
  }

  fs::path file_;
  const std::function<bool()>& go_on_;
  zip_t* archive_ = nullptr;
  std::string sums_;
};

}  // namespace

Result<std::string> export_thread(Home& home, const std::string& thread, const std::string& format,
                                  const ExportManner& manner) {
  return guarded([&]() -> std::string {
    if (format == "md") return thread_markdown(home, thread, manner.language);
    if (format == "json") {
      std::string whole =
          thread_json(home, thread, manner.file_bytes).dump(1, ' ', false, Json::error_handler_t::replace);
      if (whole.size() <= manner.line_bytes) return whole;
      whole.clear();
      return persona_line(home, thread) + thread_lines(home, thread, manner.line_bytes) +
             file_lines(home, thread, manner.file_bytes);
    }
    refuse_field("format", "md, json");
  });
}

Result<std::string> export_compares(Home& home, const std::vector<std::string>& ids, const ExportManner& manner) {
  return guarded([&] {
    std::vector<std::string> threads;
    for (const std::string& id : ids) threads.push_back(value_or_refuse(home.compares().find(id)).thread);
    if (ids.empty()) {
      Statement s = home.db().query("SELECT thread_id FROM compares ORDER BY created_ms, rowid");
      while (s.step()) threads.push_back(s.text(0));
    }
    std::string out;
    for (const std::string& thread : threads)
      out += persona_line(home, thread) + thread_lines(home, thread, manner.line_bytes) +
             file_lines(home, thread, manner.file_bytes);
    return out;
  });
}

Status export_house(Home& home, const fs::path& file, const std::function<bool()>& go_on, const ExportManner& manner) {
  return guarded([&] {
    ZipWriter zip(file, go_on);
    zip.add("watra.json", dump({{"watra", 1}, {"what", "house"}, {"at_ms", now_ms()}, {"tz", local_zone()}}));
    std::vector<std::string> ids;
    {
      Statement s = home.db().query("SELECT id FROM threads ORDER BY created_ms, rowid");
      while (s.step()) ids.push_back(s.text(0));
    }
    std::string lines;
    for (const std::string& id : ids) {
      lines += thread_lines(home, id, manner.line_bytes);
      zip.add("markdown/" + id + ".md", thread_markdown(home, id, manner.language));
    }
    zip.add("threads.jsonl", lines);
    lines.clear();
    std::vector<std::string> hashes;
    {
      Statement s = home.db().query("SELECT hash, name, mime, bytes FROM attachments ORDER BY created_ms, rowid");
      while (s.step()) {
        hashes.push_back(s.text(0));
        lines += dump({{"hash", s.text(0)}, {"name", s.text(1)}, {"mime", s.text(2)}, {"bytes", s.integer(3)}}) + "\n";
      }
    }
    zip.add("attachments.jsonl", lines);
    std::string missing;  // one file that is gone must not keep the rest from going out
    for (const std::string& hash : hashes)
      if (!zip.add_file("attachments/" + hash, home.attachments().folder() / hash)) missing += hash + "\n";
    if (!missing.empty()) zip.add("attachments/MISSING.txt", missing);
    for (const KeptKind* kind : kept_kinds())
      zip.add(fmt::format("{}.json", kind->plural), dump(value_or_refuse(home.kept().list(*kind))));
    zip.add("settings.json", dump(value_or_refuse(home.settings().values())));
    zip.close();
  });
}

}  // namespace watra::home
