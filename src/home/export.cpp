#include "home/export.h"

#include <zip.h>

#include <limits>

#include "home/check.h"
#include "home/ids.h"
#include "hub/sha256.h"

namespace watra::home {
namespace {

Json thread_json(Home& home, const std::string& id) {
  const auto held = home.db().lock();
  Json messages = Json::array();
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  for (const Message& m : home.ledger().messages(id, kAll, kAll)) messages.push_back(m.json());
  return {{"watra", 1}, {"thread", home.ledger().thread(id).json()}, {"messages", std::move(messages)}};
}

// A line holds one message at least, however long that is.
std::string thread_lines(Home& home, const std::string& id, size_t line_bytes) {
  const auto held = home.db().lock();
  std::string head = dump({{"watra", 1}, {"thread", home.ledger().thread(id).json()}, {"messages", Json::array()}});
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

std::string thread_markdown(Home& home, const std::string& id) {
  const auto held = home.db().lock();
  const Thread thread = home.ledger().thread(id);
  std::string out = "# " + (thread.title.empty() ? thread.id : thread.title) + "\n";
  if (!thread.head) return out;
  for (const Message& m : home.ledger().path(*thread.head)) {
    out += fmt::format("\n**{}**\n\n", m.actor_name.value_or(m.role));
    for (const Json& p : m.parts) {
      if (p.at("type") == "text") out += p.at("text").get<std::string>() + "\n";
      if (p.contains("hash"))
        out += fmt::format("[{}](attachments/{})\n", p.at("name").get<std::string>(), p.at("hash").get<std::string>());
    }
    if (m.state == "erased") out += "*—*\n";
  }
  return out;
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

Result<std::string> export_thread(Home& home, const std::string& thread, const std::string& format, size_t line_bytes) {
  return guarded([&]() -> std::string {
    if (format == "md") return thread_markdown(home, thread);
    if (format == "json") {
      std::string whole = thread_json(home, thread).dump(1, ' ', false, Json::error_handler_t::replace);
      return whole.size() > line_bytes ? thread_lines(home, thread, line_bytes) : whole;
    }
    refuse_field("format", "md, json");
  });
}

Status export_house(Home& home, const fs::path& file, const std::function<bool()>& go_on, size_t line_bytes) {
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
      lines += thread_lines(home, id, line_bytes);
      zip.add("markdown/" + id + ".md", thread_markdown(home, id));
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
    Json personas = Json::array();
    for (const Persona& p : value_or_refuse(home.personas().list())) personas.push_back(p.json());
    zip.add("personas.json", dump(personas));
    zip.add("presets.json", dump(value_or_refuse(home.personas().presets())));
    zip.add("sets.json", dump(value_or_refuse(home.personas().sets())));
    zip.add("settings.json", dump(value_or_refuse(home.settings().values())));
    zip.close();
  });
}

}  // namespace watra::home
