// The dates of other programs' exports. Any thread may call.
#pragma once

#include <cstdint>

#include "home/json.h"

namespace watra::home {

// "2024-07-04T15:05:12.5Z", "July 4, 2024 3:05pm", "2024-7-4 @15h 05m 12s 123ms", or a number of seconds or
// milliseconds -> milliseconds since 1970 UTC; 0 when it is none of them.
int64_t parse_date(const Json& date);

}  // namespace watra::home
