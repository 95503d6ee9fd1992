// Folding: how a text looks to somebody who searches: no capitals, no marks, ł as l, so that "lodz" finds Łódź.
//
// NFKD, combining marks dropped, letters with a stroke to their plain ones (they have no decomposition), casefold. Each
// folded byte knows which character of the original it came from, so that what was found can be shown as it was
// written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace watra::home {

std::string folded(std::string_view text);

struct Folded {
  std::string text;
  std::vector<uint32_t> from;  // from[i]: where in the original the character of byte i begins; one more at the end
};
Folded folded_with_places(std::string_view text);

}  // namespace watra::home
