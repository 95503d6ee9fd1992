#include "home/personas.h"

namespace watra::home {
namespace {

Result<Persona> persona_of(const Result<Json>& one) {
  if (!one) return fail(one.error());
  return Persona{one->at("id"), one->at("name"), one->at("text"), one->at("updated_ms")};
}

}  // namespace

Result<Persona> Personas::find(const std::string& id) const { return persona_of(kept_.find(kPersona, id)); }
Result<Persona> Personas::put(const std::string& id, const Json& body) {
  return persona_of(kept_.put(kPersona, id, body));
}

}  // namespace watra::home
