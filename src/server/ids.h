// Names for what is answered: unguessable, of small letters and digits.
#pragma once

#include <string>
#include <string_view>

namespace watra::server {

std::string random_letters(size_t n);          // of 0-9 and a-z
std::string make_id(std::string_view prefix);  // "chatcmpl-" and 24 of them

}  // namespace watra::server
