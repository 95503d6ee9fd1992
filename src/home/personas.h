// Personas, sampling presets and question sets: small named things the person keeps (docs/api.md sections 6, 7, 8).
// Each change is told by an event ("persona.changed", "preset.changed", "set.changed") that names what changed, never
// its words. Who changes what another has changed meanwhile is refused: a body may say `if_updated_ms`, the
// `updated_ms` that its sender has read (0: nothing was there). Any thread may call.
//
// Errors: "request.invalid", "persona.unknown", "preset.unknown", "preset.builtin", "set.unknown", "persona.changed",
// "preset.changed", "set.changed".
#pragma once

#include "home/ledger.h"

namespace watra::home {

struct Persona {
  std::string id, name, text;
  int64_t updated_ms = 0;
  Json json() const { return {{"id", id}, {"name", name}, {"text", text}, {"updated_ms", updated_ms}}; }
};

class Personas {
 public:
  explicit Personas(Ledger& ledger) : ledger_(ledger), db_(ledger.db()) {}

  struct Kind {
    const char* name;   // "persona", of events and errors
    const char* table;  // where they lie
  };
  Result<std::vector<Persona>> list() const;
  Result<Persona> find(const std::string& id) const;
  Result<Persona> put(const std::string& id, const Json& body);
  // Conversations that spoke by it go on without one, and their pages are told.
  Status remove(const std::string& id);

  Result<Json> presets() const;  // those that come with Watra first
  Result<Json> put_preset(const std::string& id, const Json& body);
  Status remove_preset(const std::string& id);

  Result<Json> sets() const;
  Result<Json> put_set(const std::string& id, const Json& body);
  Status remove_set(const std::string& id);

 private:
  int64_t checked_stamp(const Kind& kind, const std::string& id, const Json& body) const;
  void tell(const Kind& kind, const std::string& id, std::optional<int64_t> updated_ms);
  void drop(const Kind& kind, const std::string& id);

  Ledger& ledger_;
  Database& db_;
};

}  // namespace watra::home
