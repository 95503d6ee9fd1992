// How deep brackets nest in a JSON text, known before a parser builds anything: the library's copies recurse.
#pragma once

#include <string_view>

namespace watra {

// Whether lists and objects lie in each other more than `most` deep; brackets inside of strings do not count. Any text
// may be asked about, whether it is JSON or not.
bool nests_deeper(std::string_view json, int most);

}  // namespace watra
