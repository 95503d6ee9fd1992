#include "home/conversation.h"

#include <algorithm>

namespace watra::home {

std::string text_of(const Json& parts) {
  std::string text;
  for (const Json& p : parts)
    if (p.at("type") == "text") text += p.at("text").get<std::string>();
  return text;
}

std::string Message::text() const { return text_of(parts); }

bool Message::lacks(const std::string& hash) const { return std::ranges::find(missing, hash) != missing.end(); }

Json Message::told_parts() const {
  Json out = parts;
  for (Json& part : out)
    if (part.contains("hash") && lacks(part.at("hash"))) part["missing"] = true;
  return out;
}

Json Message::json() const {
  const Json actor = veiled ? Json{{"kind", "model"}, {"id", nullptr}, {"name", nullptr}}
                            : Json{{"kind", actor_kind}, {"id", or_null(actor_id)}, {"name", or_null(actor_name)}};
  return {{"id", id},
          {"log", log},
          {"seq", seq},
          {"thread", thread},
          {"parent", or_null(parent)},
          {"role", role},
          {"actor", actor},
          {"at_ms", at_ms},
          {"parts", missing.empty() ? parts : told_parts()},
          {"state", state},
          {"pinned", pinned},
          {"ref", or_null(ref)},
          {"source", source},
          {"origin", or_null(origin)},
          {"answer", veiled ? Json(nullptr) : facts},
          {"error", error}};
}

Json Thread::json() const {
  return {{"id", id},
          {"title", title},
          {"named", named},
          {"pinned", pinned},
          {"archived", archived},
          {"folder", or_null(folder)},
          {"tags", tags},
          {"created_ms", created_ms},
          {"updated_ms", updated_ms},
          {"n_messages", n_messages},
          {"head", or_null(head)},
          {"model", or_null(model)},
          {"persona", or_null(persona)},
          {"system", or_null(system)},
          {"sampling", sampling},
          {"draft", draft},
          {"run", or_null(run)},
          {"origin", origin}};
}

std::string title_of(const std::string& text) {
  constexpr size_t kMost = 60;  // characters
  std::string title;
  size_t n = 0, last_word = 0;  // where the last whole word ends
  bool space = false, cut = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      space = !title.empty();
      continue;
    }
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      if (space) {
        last_word = title.size();
        if (++n < kMost) title += ' ';
      }
      space = false;
      if ((cut = ++n > kMost)) break;
    }
    title += c;
  }
  if (cut && last_word > 0) title.resize(last_word);  // not in the middle of a word
  while (title.ends_with(' ')) title.pop_back();
  if (cut) title += "…";
  return title;
}

}  // namespace watra::home
