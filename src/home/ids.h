// Ids and clocks of what is remembered. Ids are opaque and never change; the letter in front is for people who read a
// database.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace watra::home {

std::string make_id(std::string_view prefix);  // "m_" -> "m_" and 16 random letters and digits
int64_t now_ms();                              // since 1970 UTC
std::string local_zone();                      // "+02:00", as it stands now where the server runs

}  // namespace watra::home
