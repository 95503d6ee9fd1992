// One conversation of each program -> ImportedThread. What each format looks like: home/import_formats.h. Nothing is
// thrown: what cannot be read is left out and told to the sink. Of import_formats.cpp alone.
#pragma once

#include "home/import_formats.h"

namespace watra::home {

// JSON of a conversation or a line; null when it is none, or nests too deep for a parser.
Json parsed_talk(std::string_view text);

void read_chatgpt(const Json& talk, const ImportSink& sink);     // an object with `mapping`
void read_claude(const Json& talk, const ImportSink& sink);      // an object with `chat_messages`
void read_textgen(const Json& history, const ImportSink& sink);  // an object with `internal`, perhaps `visible`
void read_watra(const Json& exported, const ImportSink& sink);   // an object with `thread` and `messages`

// JSON Lines: a header, then a message a line.
class SillyTavern {
 public:
  explicit SillyTavern(const ImportSink& sink) : sink_(sink) {}
  void line(std::string_view text);
  void end();

 private:
  void header(const Json& line);
  void message(const Json& line);

  const ImportSink& sink_;
  ImportedThread thread_;
  std::string before_, character_;
  int n_lines_ = 0;
};

// For the readers.
std::string text_or(const Json& value, std::string other = {});  // a text, or `other`
Json text_parts(std::string words);
std::string short_hash(const std::string& text);  // 32 hex digits
// Ids name files and stand in headers later: those of another house are kept where they look like ours; else empty.
std::string kept_id(std::string id);

}  // namespace watra::home
