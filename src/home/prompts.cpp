#include "home/prompts.h"

#include "hub/sha256.h"

namespace watra::home {
namespace {

constexpr size_t kShort = 160;  // bytes: what a template writes between turns

std::string hash_of(const std::string& text) {
  hub::Sha256 sha;
  sha.add(std::as_bytes(std::span(text.data(), text.size())));
  return sha.hex();
}

}  // namespace

void keep_prompt(Database& db, const std::string& message, const Json& prompt) {
  Json kept = prompt;
  for (Json& span : kept.at("spans")) {
    const auto text = span.at("text").get<std::string>();
    const Json& of = span.at("message");
    if (of.is_null() && text.size() <= kShort) continue;
    const std::string owner = of.is_null() ? "" : of.get<std::string>();
    const std::string hash = hash_of(text);
    db.run("INSERT OR IGNORE INTO prompt_texts VALUES(?, ?, ?)", hash, owner, text);
    span.erase("text");
    span["hash"] = hash;
  }
  db.run("INSERT INTO prompts VALUES(?, ?) ON CONFLICT(message_id) DO UPDATE SET prompt = excluded.prompt", message,
         dump(kept));
}

Result<Json> read_prompt(Database& db, const std::string& message) {
  return guarded([&] {
    const auto held = db.lock();
    Statement s = db.query("SELECT prompt FROM prompts WHERE message_id = ?", message);
    if (!s.step()) refuse("message.unknown", fmt::format("no prompt is kept of {}", message));
    Json prompt = s.json(0);
    for (Json& span : prompt.at("spans")) {
      if (!span.contains("hash")) continue;
      const Json& of = span.at("message");
      Statement text = db.query("SELECT text FROM prompt_texts WHERE hash = ? AND message_id = ?",
                                span.at("hash").get<std::string>(), of.is_null() ? "" : of.get<std::string>());
      span["text"] = text.step() ? text.text(0) : "";
      span.erase("hash");
    }
    return prompt;
  });
}

}  // namespace watra::home
