#include "home/import_formats.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <set>

#include "base/json_nesting.h"
#include "home/check.h"
#include "hub/sha256.h"

namespace watra::home {
namespace {

constexpr int kMostNesting = 200;  // a chat tree is flat; deeper is an attack on the parser
constexpr uint64_t kMostInZip = uint64_t{4} << 30;

std::string text_or(const Json& value, std::string other = {}) {
  return value.is_string() ? value.get<std::string>() : std::move(other);
}

Json text_parts(std::string words) { return Json::array({{{"type", "text"}, {"text", std::move(words)}}}); }

std::string short_hash(const std::string& text) {
  hub::Sha256 sha;
  sha.add(std::as_bytes(std::span(text.data(), text.size())));
  return sha.hex().substr(0, 32);
}

Json parsed(std::string_view text) {
  if (nests_deeper(text, kMostNesting)) return nullptr;
  return Json::parse(text, nullptr, false);
}

int64_t days_from_civil(int y, int m, int d) {  // Hinnant, chrono-Compatible Low-Level Date Algorithms
  y -= m <= 2;
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int yoe = y - era * 400;
  const int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return int64_t{era} * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t to_ms(int y, int mo, int d, int h, int mi, double s) {
  if (mo < 1 || mo > 12 || d < 1 || d > 31 || h > 24 || mi > 59) return 0;
  return (days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60) * 1000 + std::llround(s * 1000);
}

// ---- ChatGPT

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

void read_sillytavern(std::string_view text, const ImportSink& sink) {
  ImportedThread thread;
  std::string before, character;
  int line_number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const Json line = parsed(text.substr(at, end - at));
    at = end + 1;
    ++line_number;
    if (!line.is_object()) {
      if (end > at) sink.problem(fmt::format("line {}", line_number), "not JSON");
      continue;
    }
    if (line_number == 1) {
      character = text_or(member(line, "character_name"));
      const std::string made = dump(member(line, "create_date"));
      thread.external = "sillytavern:" + short_hash(character + made + text_or(member(line, "user_name")));
      thread.title = character;
      thread.created_ms = parse_date(member(line, "create_date"));
      continue;
    }
    const bool user = member(line, "is_user") == true;
    if (member(line, "is_system") == true) {
      ++thread.n_skipped;
      continue;
    }
    std::vector<std::string> variants;
    if (const Json& swipes = member(line, "swipes"); !user && swipes.is_array())
      for (const Json& s : swipes) variants.push_back(text_or(s));
    size_t chosen = 0;
    if (const Json& swipe = member(line, "swipe_id"); swipe.is_number_unsigned()) chosen = swipe.get<size_t>();
    if (chosen >= variants.size()) variants = {text_or(member(line, "mes"))}, chosen = 0;
    std::string next = before;
    for (size_t i = 0; i < variants.size(); ++i) {
      if (variants[i].empty()) continue;
      ImportedMessage m{.external = fmt::format("{}:{}.{}", thread.external, line_number, i),
                        .parent = before,
                        .role = user ? "user" : "assistant"};
      m.at_ms = parse_date(member(line, "send_date"));
      m.parts = text_parts(variants[i]);
      if (!user) m.name = text_or(member(line, "name"), character);
      if (i == chosen) next = m.external;
      thread.messages.push_back(std::move(m));
    }
    before = next;
  }
  thread.head = before;
  sink.thread(std::move(thread));
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

// ---- our own

// Ids name files and stand in headers later: those of another house are kept where they look like ours, else made anew.
std::string kept_id(std::string id) {
  const bool fits = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return fits ? std::move(id) : std::string();
}

bool is_part(const Json& part) {
  const std::string type = text_or(member(part, "type"));
  if (type == "text" || type == "reasoning") return member(part, "text").is_string();
  return !type.empty();
}

bool is_state(const std::string& state) {
  return state == "done" || state == "stopped" || state == "interrupted" || state == "failed";
}

void read_watra(const Json& exported, const ImportSink& sink) {
  const Json& t = member(exported, "thread");
  const Json& messages = member(exported, "messages");
  if (!t.is_object() || !messages.is_array() || !member(t, "id").is_string()) {
    sink.problem("thread", "thread or messages are missing");
    return;
  }
  ImportedThread thread;
  thread.external = "watra:" + t.at("id").get<std::string>();
  thread.id = kept_id(t.at("id"));
  thread.title = text_or(member(t, "title"));
  thread.named = member(t, "named") == true;
  thread.pinned = member(t, "pinned") == true;
  thread.archived = member(t, "archived") == true;
  thread.created_ms = parse_date(member(t, "created_ms"));
  thread.updated_ms = parse_date(member(t, "updated_ms"));
  if (member(t, "folder").is_string()) thread.folder = t.at("folder").get<std::string>();
  if (member(t, "system").is_string()) thread.system = t.at("system").get<std::string>();
  if (member(t, "tags").is_array()) thread.tags = t.at("tags");
  if (member(t, "head").is_string()) thread.head = "watra:" + t.at("head").get<std::string>();
  for (const Json& j : messages) {
    if (!j.is_object() || !member(j, "id").is_string() || !member(j, "parts").is_array()) {
      sink.problem(thread.title, "a message without id or parts");
      continue;
    }
    if (member(j, "state") == "erased") {
      ++thread.n_skipped;
      continue;
    }
    ImportedMessage m;
    m.external = "watra:" + j.at("id").get<std::string>();
    m.id = kept_id(j.at("id"));
    if (member(j, "parent").is_string()) m.parent = "watra:" + j.at("parent").get<std::string>();
    m.role = text_or(member(j, "role"), "user");
    if (const Json& actor = member(j, "actor"); actor.is_object()) {
      if (member(actor, "name").is_string()) m.name = actor.at("name").get<std::string>();
      if (member(actor, "id").is_string()) m.model = actor.at("id").get<std::string>();
    }
    m.at_ms = parse_date(member(j, "at_ms"));
    for (const Json& part : j.at("parts"))
      if (part.is_object() && is_part(part))
        m.parts.push_back(part);
      else
        sink.problem(thread.title, "a part of a message that has no type or no text");
    const Json& facts = member(j, "answer");
    if (facts.is_object() && member(facts, "context").is_object() && facts.at("context").contains("sees_from"))
      m.facts = facts;
    const std::string state = text_or(member(j, "state"), "done");
    m.state = state == "running" ? "interrupted" : is_state(state) ? state : "done";
    thread.messages.push_back(std::move(m));
  }
  sink.thread(std::move(thread));
}

// ---- telling them apart

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

std::string read_json(std::string_view text, const ImportSink& sink) {
  std::string format;
  const auto of_list = [&](std::string_view element) {
    const Json talk = parsed(element);
    if (!talk.is_object()) return sink.problem("list", "an entry that is no conversation");
    if (talk.contains("mapping") && talk.at("mapping").is_object())
      format = "chatgpt", read_chatgpt(talk, sink);
    else if (talk.contains("chat_messages") && talk.at("chat_messages").is_array())
      format = "claude", read_claude(talk, sink);
    else
      sink.problem("list", "an entry that is no conversation");
  };
  if (for_each_element(text, of_list)) return format;
  const std::string_view line = first_line(text);
  if (const Json head = parsed(line); head.is_object() && line.size() < text.size()) {
    if (head.contains("chat_metadata") || (head.contains("user_name") && head.contains("character_name")))
      return read_sillytavern(text, sink), "sillytavern";
    if (head.contains("thread") && head.contains("messages")) {  // JSON Lines of ours
      for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        if (const Json one = parsed(text.substr(at, end - at)); one.is_object()) read_watra(one, sink);
        at = end + 1;
      }
      return "watra";
    }
  }
  const Json whole = parsed(text);
  if (!whole.is_object()) return {};
  if (whole.contains("watra")) return read_watra(whole, sink), "watra";
  if (whole.contains("mapping") && whole.at("mapping").is_object()) return read_chatgpt(whole, sink), "chatgpt";
  if (whole.contains("chat_messages") && whole.at("chat_messages").is_array())
    return read_claude(whole, sink), "claude";
  if (whole.contains("internal") && whole.at("internal").is_array()) return read_textgen(whole, sink), "textgen";
  if (whole.contains("chat_metadata")) return read_sillytavern(text, sink), "sillytavern";
  return {};
}

// Entries of a zip that lies in memory.
class ZipReader {
 public:
  explicit ZipReader(std::string_view bytes) : archive_(nullptr, &zip_discard) {
    zip_error_t error{};
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    if (source) archive_.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
    if (!archive_) refuse("import.unreadable", "the zip is damaged");
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive_.get(), 0); ++i)
      if (const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0)) out.emplace_back(name);
    return out;
  }

  // Nothing when it is not there, or cannot be unpacked.
  std::optional<std::string> content(const std::string& name) const {
    zip_stat_t stat{};
    if (zip_stat(archive_.get(), name.c_str(), 0, &stat) != 0) return std::nullopt;
    if (stat.size > kMostInZip) refuse("import.unreadable", fmt::format("{} is too large", name));
    std::unique_ptr<zip_file_t, decltype(&zip_fclose)> file(zip_fopen(archive_.get(), name.c_str(), 0), &zip_fclose);
    if (!file) return std::nullopt;
    // What an entry claims to hold is believed only as far as it unpacks.
    std::string text, piece(size_t{1} << 20, '\0');
    for (zip_int64_t n = 0; (n = zip_fread(file.get(), piece.data(), piece.size())) != 0;) {
      if (n < 0 || text.size() > stat.size) return std::nullopt;
      text.append(piece, 0, static_cast<size_t>(n));
    }
    return text;
  }

 private:
  std::unique_ptr<zip_t, decltype(&zip_discard)> archive_;
};

// What our own zip holds beside conversations.
void read_house(const ZipReader& zip, const ImportSink& sink) {
  const std::string lines = zip.content("attachments.jsonl").value_or("");
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    const Json line = parsed(std::string_view(lines).substr(at, end - at));
    at = end + 1;
    if (!line.is_object()) continue;
    const std::string hash = text_or(member(line, "hash"));
    const auto content = zip.content("attachments/" + hash);
    if (content)
      sink.file({hash, text_or(member(line, "name"), "file"), text_or(member(line, "mime")), *content});
    else
      sink.problem("attachments", hash + " is missing");
  }
  for (const char* kind : {"personas", "presets", "sets"})
    if (const auto text = zip.content(std::string(kind) + ".json"))
      if (const Json list = parsed(*text); list.is_array()) sink.kept(kind, list);
}

std::string read_zip(std::string_view bytes, const ImportSink& sink) {
  const ZipReader zip(bytes);
  std::string format;
  if (zip.content("watra.json")) read_house(zip, sink);
  for (const std::string& name : zip.names()) {
    const std::string_view base = std::string_view(name).substr(name.rfind('/') + 1);
    const bool talks = (base.starts_with("conversations") && base.ends_with(".json")) ||
                       (base.ends_with(".jsonl") && base != "attachments.jsonl");
    if (!talks) continue;
    if (const auto text = zip.content(name)) {
      if (const std::string found = read_json(*text, sink); !found.empty()) format = found;
    } else {
      sink.problem(name, "cannot be unpacked");
    }
  }
  return format;
}

}  // namespace

int64_t parse_date(const Json& date) {
  if (date.is_number()) {
    const auto x = date.get<double>();
    if (!std::isfinite(x) || x <= 0 || x > 1e14) return 0;
    return std::llround(x < 1e11 ? x * 1000 : x);  // seconds until the year 5138
  }
  if (!date.is_string()) return 0;
  const std::string s = date.get<std::string>();
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, n = 0, ms = 0, sec = 0;
  double seconds = 0;
  if (std::sscanf(s.c_str(), "%d-%d-%d @%dh %dm %ds %dms", &y, &mo, &d, &h, &mi, &sec, &ms) >= 6)
    return to_ms(y, mo, d, h, mi, sec + ms / 1000.0);
  if (std::sscanf(s.c_str(), "%d-%d-%dT%d:%d:%lf%n", &y, &mo, &d, &h, &mi, &seconds, &n) == 6) {
    int64_t at = to_ms(y, mo, d, h, mi, seconds);
    int oh = 0, om = 0;
    char sign = 0;
    if (std::sscanf(s.c_str() + n, "%c%2d:%2d", &sign, &oh, &om) >= 2 && (sign == '+' || sign == '-'))
      at -= (sign == '+' ? 1 : -1) * (oh * 3600 + om * 60) * int64_t{1000};
    return at;
  }
  std::array<char, 16> month{};
  std::array<char, 4> half{};
  if (std::sscanf(s.c_str(), "%15[A-Za-z] %d, %d %d:%d%3[apm]", month.data(), &d, &y, &h, &mi, half.data()) >= 5) {
    static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const size_t at = kMonths.find(std::string_view(month.data()).substr(0, 3));
    if (at == std::string_view::npos) return 0;
    if (half[0] == 'p' && h < 12) h += 12;
    if (half[0] == 'a' && h == 12) h = 0;
    return to_ms(y, static_cast<int>(at / 3) + 1, d, h, mi, 0);
  }
  int64_t number = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), number);
  return ec == std::errc() && end == s.data() + s.size() ? parse_date(Json(number)) : 0;
}

bool for_each_element(std::string_view json, const std::function<void(std::string_view)>& element) {
  size_t at = json.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (at == std::string_view::npos || json[at] != '[') return false;
  int depth = 0;
  bool in_string = false;
  size_t begin = ++at;
  const auto end_element = [&](size_t end) {
    const std::string_view text = json.substr(begin, end - begin);
    if (text.find_first_not_of(" \t\r\n") != std::string_view::npos) element(text);
    begin = end + 1;
  };
  for (; at < json.size(); ++at) {
    const char c = json[at];
    if (in_string) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth-- == 0) {
        end_element(at);
        return true;
      }
    } else if (c == ',' && depth == 0) {
      end_element(at);
    }
  }
  end_element(json.size());  // a file that was cut: what is whole of it
  return true;
}

std::string read_import(std::string_view bytes, const ImportSink& sink) {
  const std::string format = bytes.starts_with("PK") ? read_zip(bytes, sink) : read_json(bytes, sink);
  if (format.empty())
    refuse("import.unreadable", "this is no export that Watra knows",
           "exports of Watra, ChatGPT, Claude, SillyTavern and text-generation-webui are read");
  return format;
}

}  // namespace watra::home
