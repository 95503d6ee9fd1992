#include "home/internal/import_talks.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/json_nesting.h"
#include "home/check.h"
#include "home/internal/import_date.h"
#include "home/read_json.h"
#include "hub/sha256.h"

namespace watra::home {

std::string text_or(const Json& value, std::string other) {
  return value.is_string() ? value.get<std::string>() : std::move(other);
}

Json text_parts(std::string words) { return Json::array({{{"type", "text"}, {"text", std::move(words)}}}); }

std::string short_hash(const std::string& text) {
  hub::Sha256 sha;
  sha.add(std::as_bytes(std::span(text.data(), text.size())));
  return sha.hex().substr(0, 32);
}

Json parsed_talk(std::string_view text) {
  constexpr int kMostNesting = 200;  // a chat tree is flat; deeper is an attack on the parser
  if (nests_deeper(text, kMostNesting)) return nullptr;
  return read_json(text).value_or(Json(Json::value_t::discarded));
}

// ---- ChatGPT

namespace {

bool is_hidden(const Json& message) {
  const Json& metadata = member(message, "metadata");
  const Json& recipient = member(message, "recipient");
  return (metadata.is_object() && member(metadata, "is_visually_hidden_from_conversation") == true) ||
         (recipient.is_string() && recipient != "all");
}

std::string chatgpt_words(const Json& content, int& n_lost) {
  const std::string type = text_or(member(content, "content_type"));
  if (type == "code") return "```\n" + text_or(member(content, "text")) + "\n```";
  if (type != "text" && type != "multimodal_text") return {};
  std::string words;
  const Json& parts = member(content, "parts");
  if (!parts.is_array()) return {};
  for (const Json& p : parts) {
    std::string piece = text_or(p);
    if (p.is_object()) piece = text_or(member(p, "text"));
    if (p.is_object() && piece.empty()) ++n_lost;
    if (!words.empty() && !piece.empty()) words += "\n";
    words += piece;
  }
  return words;
}

}  // namespace

void read_chatgpt(const Json& talk, const ImportSink& sink) {
  ImportedThread thread;
  const std::string id = text_or(member(talk, "conversation_id"), text_or(member(talk, "id")));
  const Json& mapping = member(talk, "mapping");
  thread.external = "chatgpt:" + (id.empty() ? short_hash(dump(talk)) : id);
  thread.title = text_or(member(talk, "title"));
  thread.created_ms = parse_date(member(talk, "create_time"));
  thread.updated_ms = parse_date(member(talk, "update_time"));
  std::map<std::string, std::string> kept;  // node -> external of the nearest message that is kept, itself included
  std::set<std::string> seen;
  int n_lost = 0;
  // Parents first, whatever the order in the file; a node that leads back to itself ends there.
  std::vector<std::string> order;
  for (const auto& [node, entry] : mapping.items()) {
    std::vector<std::string> up;
    for (std::string at = node; mapping.contains(at) && seen.insert(at).second;
         at = text_or(member(mapping.at(at), "parent")))
      up.push_back(at);
    order.insert(order.end(), up.rbegin(), up.rend());
  }
  std::string newest;
  int64_t newest_ms = -1;
  for (const std::string& node : order) {
    const Json& entry = mapping.at(node);
    const std::string parent = kept[text_or(member(entry, "parent"))];
    kept[node] = parent;
    const Json& message = member(entry, "message");
    if (!message.is_object()) continue;
    const Json& author = member(message, "author");
    const std::string role = author.is_object() ? text_or(member(author, "role")) : "";
    const std::string words = is_hidden(message) ? "" : chatgpt_words(member(message, "content"), n_lost);
    if ((role != "user" && role != "assistant") || words.empty()) {
      ++thread.n_skipped;
      continue;
    }
    ImportedMessage m{.external = thread.external + ":" + node, .parent = parent, .role = role};
    m.at_ms = parse_date(member(message, "create_time"));
    m.parts = text_parts(words);
    if (role == "assistant") {
      const Json& metadata = member(message, "metadata");
      m.model = metadata.is_object() ? text_or(member(metadata, "model_slug"), "chatgpt") : "chatgpt";
      m.name = m.model->empty() ? "ChatGPT" : *m.model;
    }
    if (m.at_ms >= newest_ms) {
      newest_ms = m.at_ms;
      newest = m.external;
    }
    kept[node] = m.external;
    thread.messages.push_back(std::move(m));
  }
  const auto head = kept.find(text_or(member(talk, "current_node")));
  thread.head = head != kept.end() && !head->second.empty() ? head->second : newest;
  if (n_lost > 0) sink.problem(thread.title, fmt::format("{} images or files are not in this file", n_lost));
  sink.thread(std::move(thread));
}

// ---- Claude

void read_claude(const Json& talk, const ImportSink& sink) {
  ImportedThread thread;
  thread.external = "claude:" + text_or(member(talk, "uuid"), short_hash(dump(talk)));
  thread.title = text_or(member(talk, "name"));
  thread.created_ms = parse_date(member(talk, "created_at"));
  thread.updated_ms = parse_date(member(talk, "updated_at"));
  std::set<std::string> here;
  std::string before;
  int n = 0;
  for (const Json& message : member(talk, "chat_messages")) {
    if (!message.is_object()) continue;
    std::string words = text_or(member(message, "text"));
    std::string blocks;
    if (const Json& content = member(message, "content"); content.is_array())
      for (const Json& block : content)
        if (block.is_object() && member(block, "type") == "text")
          blocks += (blocks.empty() ? "" : "\n\n") + text_or(member(block, "text"));
    if (!blocks.empty()) words = blocks;
    if (words.empty()) {
      ++thread.n_skipped;
      continue;
    }
    const bool human = member(message, "sender") == "human";
    ImportedMessage m{
        .external = fmt::format("{}:{}", thread.external, text_or(member(message, "uuid"), std::to_string(n))),
        .role = human ? "user" : "assistant"};
    ++n;
    const std::string parent = thread.external + ":" + text_or(member(message, "parent_message_uuid"));
    m.parent = here.count(parent) ? parent : before;
    m.at_ms = parse_date(member(message, "created_at"));
    m.parts = text_parts(words);
    if (!human) m.name = "Claude", m.model = "claude";
    here.insert(m.external);
    before = m.external;
    thread.messages.push_back(std::move(m));
  }
  sink.thread(std::move(thread));
}

// ---- SillyTavern

void SillyTavern::line(std::string_view text) {
  ++n_lines_;
  const Json line = parsed_talk(text);
  if (!line.is_object()) {
    if (text.find_first_not_of(" \t\r") != std::string_view::npos)
      sink_.problem(fmt::format("line {}", n_lines_), "not JSON");
  } else if (n_lines_ == 1) {
    header(line);
  } else if (member(line, "is_system") == true) {
    ++thread_.n_skipped;
  } else {
    message(line);
  }
}

void SillyTavern::header(const Json& line) {
  character_ = text_or(member(line, "character_name"));
  const std::string made = dump(member(line, "create_date"));
  thread_.external = "sillytavern:" + short_hash(character_ + made + text_or(member(line, "user_name")));
  thread_.title = character_;
  thread_.created_ms = parse_date(member(line, "create_date"));
}

// Swipes, the answers among which one was chosen, are siblings.
void SillyTavern::message(const Json& line) {
  const bool user = member(line, "is_user") == true;
  std::vector<std::string> variants;
  if (const Json& swipes = member(line, "swipes"); !user && swipes.is_array())
    for (const Json& s : swipes) variants.push_back(text_or(s));
  size_t chosen = 0;
  if (const Json& swipe = member(line, "swipe_id"); swipe.is_number_unsigned()) chosen = swipe.get<size_t>();
  if (chosen >= variants.size()) variants = {text_or(member(line, "mes"))}, chosen = 0;
  std::string next = before_;
  for (size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].empty()) continue;
    ImportedMessage m{.external = fmt::format("{}:{}.{}", thread_.external, n_lines_, i),
                      .parent = before_,
                      .role = user ? "user" : "assistant"};
    m.at_ms = parse_date(member(line, "send_date"));
    m.parts = text_parts(variants[i]);
    if (!user) m.name = text_or(member(line, "name"), character_);
    if (i == chosen) next = m.external;
    thread_.messages.push_back(std::move(m));
  }
  before_ = next;
}

void SillyTavern::end() {
  thread_.head = before_;
  sink_.thread(std::move(thread_));
}

// ---- text-generation-webui

void read_textgen(const Json& history, const ImportSink& sink) {
  const Json& visible = member(history, "visible");
  const Json& pairs = visible.is_array() && !visible.empty() ? visible : member(history, "internal");
  ImportedThread thread;
  thread.external = "textgen:" + short_hash(pairs.empty() ? "" : dump(pairs[0]));
  std::string before;
  int n = 0;
  const auto add = [&](const char* role, std::string words) {
    ++n;
    if (words.empty() || words == "<|BEGIN-VISIBLE-CHAT|>") return;
    ImportedMessage m{.external = fmt::format("{}:{}", thread.external, n), .parent = before, .role = role};
    m.parts = text_parts(std::move(words));
    before = m.external;
    thread.messages.push_back(std::move(m));
  };
  for (const Json& pair : pairs) {
    if (!pair.is_array() || pair.size() != 2) {
      sink.problem("history", "an entry is no pair of question and answer");
      continue;
    }
    add("user", text_or(pair[0]));
    add("assistant", text_or(pair[1]));
  }
  sink.thread(std::move(thread));
}

}  // namespace watra::home
