// add_house_session: coming in and going: /session, /sessions, /password, /codes (docs/api.md, section 3).
#pragma once

#include "server/entrance.h"
#include "server/router.h"
#include "server/slow_work.h"

namespace watra::server {

// Both outlive the router. Passwords are hashed on the threads of `slow`.
void add_house_session(Router& router, Entrance& entrance, SlowWork& slow);

// What a User-Agent header is called in a list of sessions: "Firefox, Linux".
std::string device_name(std::string_view user_agent);

}  // namespace watra::server
