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

Status ShelfNotes::note_speed(const std::string& model, double decode_tokens_per_s) {
  return guarded([&] {
    db_.run(
        "INSERT INTO model_speeds(model, decode_tokens_per_s, at_ms) VALUES(?,?,?) "
        "ON CONFLICT(model) DO UPDATE SET decode_tokens_per_s = excluded.decode_tokens_per_s, at_ms = excluded.at_ms",
        model, decode_tokens_per_s, now_ms());
  });
}

Result<std::optional<double>> ShelfNotes::speed_of(const std::string& model) const {
  return guarded([&]() -> std::optional<double> {
    Statement s = db_.query("SELECT decode_tokens_per_s FROM model_speeds WHERE model = ?", model);
    if (!s.step()) return std::nullopt;
    return s.real(0);
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
