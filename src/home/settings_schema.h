// The one list of settings: key, range, default, and plain words in both languages. It makes the form of the page, the
// documentation and the validation (docs/api.md section 7). A new setting is a line in settings_schema.cpp.
#pragma once

#include <string_view>

#include "home/failure.h"
#include "home/json.h"

namespace watra::home {

// {"groups": [...], "settings": [...]} as the page is told it.
const Json& settings_schema();
// The setting's entry in it; null for an unknown key.
const Json* find_setting(std::string_view key);

// Who new conversations are with: the id of a persona, or "".
inline constexpr const char* kPersonaSetting = "house.persona";

// Throws "request.invalid" naming `field` when the value is not what the setting takes. null is always taken.
void check_setting(const Json& setting, const Json& value, std::string_view field);

// {"temperature": 0.7, ...}: each member is checked as the setting "sampling.NAME"; unknown ones are left out. What
// remains, without nulls. `field` goes in front of names in errors ("sampling").
Json checked_sampling(const Json& value, std::string_view field);

}  // namespace watra::home
