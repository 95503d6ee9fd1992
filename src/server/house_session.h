// add_house_session: coming in and going: /session, /sessions, /password, /codes (docs/api.md, section 3).
#pragma once

#include "server/entrance.h"
#include "server/router.h"

namespace watra::server {

// `entrance` outlives the router.
void add_house_session(Router& router, Entrance& entrance);

// What a User-Agent header is called in a list of sessions: "Firefox, Linux".
std::string device_name(std::string_view user_agent);

}  // namespace watra::server
