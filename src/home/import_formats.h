// Import formats: conversations as other programs export them, read into one shape. Told apart by what is in the file,
// never by its name. Nothing is written here. Any thread may call.
//
//   watra       our own export: a thread as JSON, or the zip of a whole house
//   chatgpt     conversations.json (alone or in its zip, whole or in shards): a tree under `mapping`, branches kept
//   claude      conversations.json with `chat_messages`
//   sillytavern JSON Lines: a header, then messages; swipes become sibling answers
//   textgen     text-generation-webui's history: pairs under `internal` and `visible`
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "home/failure.h"
#include "home/json.h"

namespace watra::home {

struct ImportedMessage {
  std::string external;  // names it for ever: the same file again gives the same
  std::string parent;    // external of what it follows; empty = the first
  std::string role = "user";
  std::string id;  // to be kept where it is free (our own exports); else empty
  std::optional<std::string> name, model;
  int64_t at_ms = 0;  // 0 = not known
  Json parts = Json::array();
  Json facts, error;
  std::string state = "done";
  std::string ref;                 // external of what it quotes; empty = nothing
  std::string source = "import";   // of our own exports, as the next three: where it came from at first
  std::string actor_kind, origin;  // empty = by its role; none
  bool pinned = false;
};

// What the answers of a thread were asked for side by side; of our own exports.
struct ImportedCompare {
  std::string id, question;  // id: to be kept where it is free
  std::optional<std::string> system;
  bool blind = false, revealed = false;
  std::string order, state;
  int64_t created_ms = 0;
  Json vote;                     // or null
  Json columns = Json::array();  // as Compare has them, messages by their external names
};

struct ImportedThread {
  std::string external, id, title;
  bool named = true, pinned = false, archived = false;
  int64_t created_ms = 0, updated_ms = 0;
  std::optional<std::string> folder, system, model, persona;
  Json tags = Json::array(), sampling = Json::object();
  Json draft, origin;  // or null
  bool own = false;    // of our own export: kept as it is, without a message too
  std::string head;    // external; empty = the last message
  std::optional<ImportedCompare> compare;
  std::vector<ImportedMessage> messages;  // what is followed comes before what follows
  int n_skipped = 0;                      // that hold no words of anybody: tool traffic, hidden ones
};

// A file that messages show; of our own exports.
struct ImportedFile {
  std::string hash, name, mime;
  std::string_view content;
};

struct ImportSink {
  std::function<void(ImportedThread)> thread;
  std::function<void(const std::string& where, const std::string& what)> problem;
  std::function<void(const ImportedFile&)> file;
  // "personas" or another of kept_kinds(), with a list of some of them.
  std::function<void(std::string_view kind, const Json& list)> kept;
};

// A conversation may be this long, as JSON; the whole file as long as it likes.
constexpr size_t kMostTalkBytes = size_t{64} << 20;
// A line of our own export may be longer by what stands around a single message that came in by such a conversation.
// Longer conversations are written on several lines (export.h).
constexpr size_t kMostLineBytes = kMostTalkBytes + (size_t{16} << 20);

// Both give the format's name. A file is read piece by piece: what is held is one conversation, or one file that a zip
// has. Throws Failure: "import.unreadable" when it is none of these formats, "import.too_large" when it is one
// conversation longer than kMostTalkBytes; a longer one among others is left out and told.
std::string read_import(const fs::path& file, const ImportSink& sink);
std::string read_import(std::string_view bytes, const ImportSink& sink);

}  // namespace watra::home
