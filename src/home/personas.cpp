#include "home/personas.h"

namespace watra::home {
namespace {

Result<Persona> persona_of(const Result<Json>& one) {
  if (!one) return fail(one.error());
  return Persona{one->at("id"), one->at("name"), one->at("text"), one->at("updated_ms")};
}

}  // namespace

Result<Persona> Personas::find(const std::string& id) const { return persona_of(kept_.find(kPersona, id)); }

}  // namespace watra::home
