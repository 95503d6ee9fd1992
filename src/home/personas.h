// Personas as who answers by them needs them; how they are listed, written and removed: kept.h. Any thread may call.
//
// Errors: those of Kept.
#pragma once

#include "home/kept.h"

namespace watra::home {

struct Persona {
  std::string id, name, text;
  int64_t updated_ms = 0;
  Json json() const { return {{"id", id}, {"name", name}, {"text", text}, {"updated_ms", updated_ms}}; }
};

class Personas {
 public:
  explicit Personas(Kept& kept) : kept_(kept) {}

  Result<Persona> find(const std::string& id) const;
  Result<Persona> put(const std::string& id, const Json& body);
  Status remove(const std::string& id) { return kept_.remove(kPersona, id); }

 private:
  Kept& kept_;
};

}  // namespace watra::home
