// The `pattern` of a JSON string, rewritten for XGrammar: it describes characters, but what is written are the bytes
// between the quotation marks, where " and \ and control characters stand as escapes.
//
// A character that the pattern names (alone, or as member or range of a class) and that must be escaped becomes its
// escape; where it is only one of all others ([^a], ., \S, \s) it is left out, as long as something else remains. The
// whole string matches the pattern, anchors or not.
#pragma once

#include <string>
#include <string_view>

namespace watra::text {

struct StringPattern {
  std::string regex;   // in ASCII; empty: it cannot be read
  std::string unheld;  // what is left out of it and why; empty = nothing
};

// `pattern` is valid UTF-8, in the words of ECMA 262.
StringPattern string_pattern(std::string_view pattern);

// Whether some part of `text` matches; unknown (false, with `is_known` false) where the pattern cannot be read or takes
// too long.
struct PatternMatch {
  bool is_known = false;
  bool matches = false;
};
PatternMatch pattern_matches(const std::string& pattern, const std::string& text);

}  // namespace watra::text
