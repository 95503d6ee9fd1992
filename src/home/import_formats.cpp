#include "home/import_formats.h"

#include <optional>

#include "home/attachments.h"
#include "home/check.h"
#include "home/internal/import_source.h"
#include "home/internal/import_talks.h"
#include "home/kept.h"

namespace watra::home {
namespace {

using Got = TextReader::Got;

std::string too_long() { return fmt::format("a conversation longer than {} MiB", kMostTalkBytes >> 20); }

// A list of conversations as ChatGPT and Claude write it.
std::string read_list(TextReader& in, const ImportSink& sink) {
  std::string format, element;
  for (Got got; (got = in.element(element, kMostTalkBytes)) != Got::nothing;) {
    if (got == Got::too_long) {
      sink.problem("list", too_long());
      continue;
    }
    const Json talk = parsed_talk(element);
    if (member(talk, "mapping").is_object())
      format = "chatgpt", read_chatgpt(talk, sink);
    else if (member(talk, "chat_messages").is_array())
      format = "claude", read_claude(talk, sink);
    else
      sink.problem("list", "an entry that is no conversation");
  }
  return format;
}

template <class F>
void for_each_line(TextReader& in, const ImportSink& sink, F take) {
  std::string line;
  for (Got got; (got = in.line(line, kMostLineBytes)) != Got::nothing;)
    if (got == Got::whole)
      take(line);
    else
      sink.problem("line", too_long());
}

bool is_sillytavern(const Json& head) {
  return head.contains("chat_metadata") || (head.contains("user_name") && head.contains("character_name"));
}

std::string read_sillytavern(const std::string& head, TextReader& in, const ImportSink& sink) {
  SillyTavern chat(sink);
  chat.line(head);
  for_each_line(in, sink, [&](const std::string& line) { chat.line(line); });
  chat.end();
  return "sillytavern";
}

// Our own export: a thread on a line, or on several one after the other.
std::string read_threads(const Json& first, TextReader& in, const ImportSink& sink) {
  read_watra(first, sink);
  for_each_line(in, sink, [&](const std::string& line) {
    if (const Json one = parsed_talk(line); one.is_object()) read_watra(one, sink);
  });
  return "watra";
}

std::string read_json(ImportSource& source, const ImportSink& sink) {
  TextReader in(source);
  if (in.enter_list()) return read_list(in, sink);
  std::string text;
  const Got got = in.line(text, kMostLineBytes);
  const bool is_lines = in.first().has_value();
  if (const Json head = parsed_talk(text); head.is_object()) {
    if (is_sillytavern(head)) return read_sillytavern(text, in, sink);
    const bool is_ours = is_lines || head.contains("watra");
    if (is_ours && head.contains("thread") && head.contains("messages")) return read_threads(head, in, sink);
  }
  // One object, on one line or over many.
  if (got == Got::too_long || text.size() > kMostTalkBytes || !in.rest(text, kMostTalkBytes))
    refuse("import.too_large", "this is " + too_long(), "an export of several conversations, each its own");
  const Json whole = parsed_talk(text);
  if (!whole.is_object()) return {};
  if (whole.contains("watra")) return read_watra(whole, sink), "watra";
  if (member(whole, "mapping").is_object()) return read_chatgpt(whole, sink), "chatgpt";
  if (member(whole, "chat_messages").is_array()) return read_claude(whole, sink), "claude";
  if (member(whole, "internal").is_array()) return read_textgen(whole, sink), "textgen";
  return {};
}

// One by one: the list of all personas may be longer than anything that is held.
bool read_kept(ImportSource& source, const char* kind, const ImportSink& sink) {
  TextReader in(source);
  if (!in.enter_list()) return false;
  std::string one;
  for (Got got; (got = in.element(one, kMostTalkBytes)) != Got::nothing;)
    if (got == Got::whole)
      sink.kept(kind, Json::array({parsed_talk(one)}));
    else
      sink.problem(kind, fmt::format("an entry longer than {} MiB", kMostTalkBytes >> 20));
  return !source.broken();
}

// What our own zip holds beside conversations.
void read_house(const ZipArchive& zip, const ImportSink& sink) {
  if (const auto list = zip.open("attachments.jsonl")) {
    TextReader in(*list);
    for_each_line(in, sink, [&](const std::string& text) {
      const Json line = parsed_talk(text);
      if (!line.is_object()) return;
      const std::string hash = text_or(member(line, "hash"));
      if (const auto content = zip.content("attachments/" + hash, kMostAttachmentBytes))
        sink.file({hash, text_or(member(line, "name"), "file"), text_or(member(line, "mime")), *content});
      else
        sink.problem("attachments", hash + " is missing or cannot be unpacked");
    });
  }
  for (const KeptKind* kept : kept_kinds()) {
    const char* kind = kept->plural;
    const std::string name = std::string(kind) + ".json";
    if (!zip.has(name)) continue;
    const auto source = zip.open(name);
    if (!source || !read_kept(*source, kind, sink)) sink.problem(name, "cannot be unpacked as a whole, or is no list");
  }
}

std::string read_zip(const ZipArchive& zip, const ImportSink& sink) {
  std::string format;
  std::optional<Failure> too_large;
  if (zip.has("watra.json")) read_house(zip, sink);
  for (const std::string& name : zip.names()) {
    const std::string_view base = std::string_view(name).substr(name.rfind('/') + 1);
    const bool talks = (base.starts_with("conversations") && base.ends_with(".json")) ||
                       (base.ends_with(".jsonl") && base != "attachments.jsonl");
    if (!talks) continue;
    const auto source = zip.open(name);
    if (source) try {
        if (const std::string found = read_json(*source, sink); !found.empty()) format = found;
      } catch (const Failure& e) {  // the others are read
        if (e.error.code != "import.too_large") throw;
        sink.problem(name, e.error.message);
        too_large = e;
      }
    if (!source || source->broken()) sink.problem(name, "cannot be unpacked as a whole");
  }
  if (format.empty() && too_large) throw *too_large;              // there was nothing else
  if (format.empty() && zip.has("watra.json")) format = "watra";  // a house where nobody has spoken yet
  return format;
}

template <class Source, class Where>
std::string read_either(const Where& where, const ImportSink& sink) {
  std::string begin(2, '\0');
  begin.resize(Source(where).read(begin));
  Source source(where);
  const std::string format = begin == "PK" ? read_zip(ZipArchive(where), sink) : read_json(source, sink);
  if (format.empty())
    refuse("import.unreadable", "this is no export that Watra knows",
           "exports of Watra, ChatGPT, Claude, SillyTavern and text-generation-webui are read");
  return format;
}

}  // namespace

std::string read_import(const fs::path& file, const ImportSink& sink) { return read_either<FileSource>(file, sink); }

std::string read_import(std::string_view bytes, const ImportSink& sink) {
  return read_either<BytesSource>(bytes, sink);
}

}  // namespace watra::home
