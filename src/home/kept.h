// Small named things the person keeps: personas, sampling presets, question sets, words kept ready (docs/api.md
// sections 6, 7, 8). All are listed, written whole and removed alike; what one of them holds is a row of kept_kinds().
// Each change is told by an event ("persona.changed", "phrase.changed") that names what changed, never its words. Who
// changes what another has changed meanwhile is refused: a body may say `if_updated_ms`, the `updated_ms` that its
// sender has read (0: nothing was there). Any thread may call.
//
// Errors: "request.invalid"; of each kind "<name>.unknown", "<name>.changed", and "<name>.builtin" where some come with
// Watra.
#pragma once

#include "home/ledger.h"

namespace watra::home {

struct KeptKind {
  struct Field {
    const char* name;
    bool is_json;                        // else a text
    Json (*checked)(const Json& value);  // what is kept of it
  };
  const char* name;    // "persona": of events and errors
  const char* plural;  // "personas": of routes, of files in an export
  const char* table;   // id, the fields in this order, updated_ms
  const char* order;   // as SQL says it
  std::vector<Field> fields;
  Json (*builtin)() = nullptr;  // those that come with Watra, where there are any: a list, each with its "id"
};

// In the order in which they are exported.
extern const KeptKind kPersona, kPreset, kSet, kPhrase;
const std::vector<const KeptKind*>& kept_kinds();

class Kept {
 public:
  explicit Kept(Ledger& ledger) : ledger_(ledger), db_(ledger.db()) {}

  // Each {"id", the fields, "updated_ms"}; "builtin" too where some come with Watra, these first.
  Result<Json> list(const KeptKind& kind) const;
  Result<Json> find(const KeptKind& kind, const std::string& id) const;
  Result<Json> put(const KeptKind& kind, const std::string& id, const Json& body);
  // Conversations that spoke by a persona go on without one, new ones begin without one, and their pages are told.
  Status remove(const KeptKind& kind, const std::string& id);

 private:
  int64_t checked_stamp(const KeptKind& kind, const std::string& id, const Json& body) const;
  void tell(const KeptKind& kind, const std::string& id, std::optional<int64_t> updated_ms);
  void leave_persona(const std::string& id);

  Ledger& ledger_;
  Database& db_;
};

}  // namespace watra::home
