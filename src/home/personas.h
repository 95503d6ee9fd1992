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

 private:
  Kept& kept_;
};

}  // namespace watra::home
