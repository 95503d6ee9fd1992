// Settings: the person's choices, one row a key; what is not there has the schema's default. Any thread may call.
#pragma once

#include "home/events.h"
#include "home/settings_schema.h"

namespace watra::home {

class Settings {
 public:
  Settings(Database& db, EventLog& events) : db_(db), events_(events) {}

  // Every key with its value.
  Result<Json> values() const;
  struct Seen {
    Json values;
    int64_t as_of = 0;
  };
  Result<Seen> seen() const;
  Result<Json> value(std::string_view key) const;  // of a known key

  // {key: value}; null = back to the default. One wrong value or unknown key refuses all ("request.invalid",
  // "persona.unknown"). Tells
  // engine.settings with what changed; gives all values.
  Result<Json> change(const Json& changes);

  // sampling.* without the prefix; the defaults, then the person's.
  Result<Json> sampling() const;
  // What somebody asks for beside them: checked_sampling() for other modules; `value` may be null.
  Result<Json> checked_sampling_of(const Json& value) const;

 private:
  Json read() const;
  Database& db_;
  EventLog& events_;
};

}  // namespace watra::home
