// Python's textwrap.wrap and pprint.pformat, which two rarely used filters stand on.
#pragma once

#include <vector>

#include "text/jinja_value.h"

namespace watra::text::jinja {

struct WrapStyle {
  Int width = 79;
  bool break_long_words = true;
  bool break_on_hyphens = true;
};

// The lines of one paragraph; slices of it where nothing is dropped.
std::vector<Str> wrap_words(Runtime& rt, const Str& paragraph, const WrapStyle& style);

void append_pretty(Runtime& rt, Buffer& out, const Value& v);

}  // namespace watra::text::jinja
