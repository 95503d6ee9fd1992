// Names for what is answered, as the clients of each API expect them: unguessable, of small letters and digits.
#pragma once

#include <string>
#include <string_view>

#include "base/random_letters.h"

namespace watra::server {

// "chatcmpl-" and 24 letters.
inline std::string make_id(std::string_view prefix) { return std::string(prefix) + random_letters(24); }

}  // namespace watra::server
