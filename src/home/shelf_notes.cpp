#include "home/shelf_notes.h"

#include "home/ids.h"

namespace watra::home {

Result<std::vector<Folder>> ShelfNotes::folders() const {
  return guarded([&] {
    std::vector<Folder> all;
    Statement s = db_.query("SELECT id, path FROM folders ORDER BY added_ms, rowid");
    while (s.step()) all.push_back({s.text(0), s.text(1)});
    return all;
  });
}

Result<Folder> ShelfNotes::add_folder(const fs::path& path) {
  return guarded([&] {
    Transaction t(db_);
    db_.run("INSERT OR IGNORE INTO folders(id, path, added_ms) VALUES(?,?,?)", make_id("f_"), path.string(), now_ms());
    Folder folder;
    {
      Statement s = db_.query("SELECT id, path FROM folders WHERE path = ?", path.string());
      s.step();
      folder = {s.text(0), s.text(1)};
    }
    t.commit();
    return folder;
  });
}

Status ShelfNotes::forget_folder(const std::string& id) {
  return guarded([&] {
    if (db_.run("DELETE FROM folders WHERE id = ?", id) == 0)
      refuse("folder.unknown", fmt::format("there is no folder {}", id));
  });
}

Status ShelfNotes::note_speed(const SpeedOf& of, double tokens_per_s) {
  return guarded([&] {
    Transaction t(db_);
    db_.run("DELETE FROM answer_speeds WHERE file = ? AND stamp <> ?", of.file.string(), of.stamp);
    db_.run("INSERT INTO answer_speeds(file, stamp, settings, tokens_per_s, at_ms) VALUES(?,?,?,?,?)", of.file.string(),
            of.stamp, of.settings, tokens_per_s, now_ms());
    db_.run(
        "DELETE FROM answer_speeds WHERE file = ?1 AND settings = ?2 AND n NOT IN "
        "(SELECT n FROM answer_speeds WHERE file = ?1 AND settings = ?2 ORDER BY n DESC LIMIT ?3)",
        of.file.string(), of.settings, kKeptSpeeds);
    t.commit();
  });
}

Result<std::optional<NotedSpeed>> ShelfNotes::speed_of(const SpeedOf& of) const {
  return guarded([&]() -> std::optional<NotedSpeed> {
    std::vector<double> speeds;
    Statement s = db_.query(
        "SELECT tokens_per_s FROM answer_speeds WHERE file = ? AND stamp = ? AND settings = ? ORDER BY tokens_per_s",
        of.file.string(), of.stamp, of.settings);
    while (s.step()) speeds.push_back(s.real(0));
    if (speeds.empty()) return std::nullopt;
    const size_t middle = speeds.size() / 2;
    const double median = speeds.size() % 2 ? speeds[middle] : (speeds[middle - 1] + speeds[middle]) / 2;
    return NotedSpeed{median, static_cast<int64_t>(speeds.size())};
  });
}

Status ShelfNotes::note_hash(const fs::path& file, const std::string& stamp, const std::string& sha256) {
  return guarded([&] {
    db_.run(
        "INSERT INTO model_hashes(file, stamp, sha256, at_ms) VALUES(?,?,?,?) ON CONFLICT(file) DO UPDATE SET "
        "stamp = excluded.stamp, sha256 = excluded.sha256, at_ms = excluded.at_ms",
        file.string(), stamp, sha256, now_ms());
  });
}

Result<std::optional<std::string>> ShelfNotes::hash_of(const fs::path& file, const std::string& stamp) const {
  return guarded([&]() -> std::optional<std::string> {
    Statement s = db_.query("SELECT sha256 FROM model_hashes WHERE file = ? AND stamp = ?", file.string(), stamp);
    if (!s.step()) return std::nullopt;
    return s.text(0);
  });
}

}  // namespace watra::home
