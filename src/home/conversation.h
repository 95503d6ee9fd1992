// Thread and Message: a conversation as it is told to pages (docs/api.md section 6). Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "home/json.h"

namespace watra::home {

struct Message {
  std::string id;
  int64_t log = 0;  // its row in the log: grows with time, orders a thread
  int64_t seq = 0;  // the event its text reaches to
  std::string thread;
  std::optional<std::string> parent;
  std::string role = "user";          // user, assistant, system, tool
  std::string actor_kind = "person";  // person, companion, model, system
  std::optional<std::string> actor_id, actor_name;
  int64_t at_ms = 0;
  Json parts = Json::array();
  std::string state = "done";  // done, running, stopped, interrupted, failed, erased
  bool pinned = false;
  std::optional<std::string> ref;
  std::string source = "page";  // page, api, import, pasted, edited
  std::optional<std::string> origin;
  Json facts;                        // Answer, or null
  Json error;                        // or null
  std::optional<std::string> run;    // the last one that wrote it
  bool veiled = false;               // an answer of a blind compare: who gave it is not told
  std::vector<std::string> missing;  // hashes of its files that are not here any more

  std::string text() const;  // of its text parts
  bool lacks(const std::string& hash) const;
  Json json() const;

 private:
  Json told_parts() const;
};

struct Thread {
  std::string id, title;
  bool named = false, pinned = false, archived = false, hidden = false;
  std::optional<std::string> folder;
  Json tags = Json::array();
  int64_t created_ms = 0, updated_ms = 0, n_messages = 0;
  std::optional<std::string> head, model, persona, system;
  Json sampling = Json::object();
  Json draft;  // or null
  std::optional<std::string> run;
  Json origin;  // or null

  Json json() const;
};

// Text parts joined.
std::string text_of(const Json& parts);

// The first words of a text, on one line, for a title nobody gave.
std::string title_of(const std::string& text);

}  // namespace watra::home
