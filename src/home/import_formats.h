// Import formats: conversations as other programs export them, read into one shape. Told apart by what is in the file,
// never by its name. Nothing is written here.
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
  Json facts;
  std::string state = "done";
};

struct ImportedThread {
  std::string external, id, title;
  bool named = true, pinned = false, archived = false;
  int64_t created_ms = 0, updated_ms = 0;
  std::optional<std::string> folder, system;
  Json tags = Json::array();
  std::string head;                       // external; empty = the last message
  std::vector<ImportedMessage> messages;  // what is followed comes before what follows
  int n_skipped = 0;                      // that hold no words of anybody: tool traffic, hidden ones
};

struct ImportSink {
  std::function<void(ImportedThread)> thread;
  std::function<void(const std::string& where, const std::string& what)> problem;
};

// The format's name. Throws Failure "import.unreadable" when it is none of these.
std::string read_import(std::string_view bytes, const ImportSink& sink);

// Elements of a JSON list at the top, one by one: files of a gigabyte are never parsed whole. False when it is no list.
bool for_each_element(std::string_view json, const std::function<void(std::string_view)>& element);

// "2024-07-04T15:05:12.5Z", "July 4, 2024 3:05pm", "2024-7-4 @15h 05m 12s 123ms", or a number of seconds or
// milliseconds; 0 when it is none of them.
int64_t parse_date(const Json& date);

}  // namespace watra::home
