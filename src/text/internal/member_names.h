// Names of members by the patterns of `patternProperties`: what a pattern describes, and which names are left to
// `additionalProperties` beside it. Both as patterns of whole names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace watra::text {

// A pattern without an end ("^x-") describes names that go on; so does what is made of it here. Others stay as
// they are.
std::string whole_names(const std::string& pattern);

// Names that are none of `taken` and match none of `patterns`; not all of them. Empty where it cannot be told: a
// pattern that does not begin with "^" and characters of its own, or "^" and one class of characters.
std::string other_names(const std::vector<std::string>& patterns, const std::vector<std::string>& taken);

// False where no name can match both, which is told by how they begin: characters of their own that differ, or classes
// of ASCII that have none in common. True also where it cannot be told.
bool may_share_a_name(const std::string& a, const std::string& b);

}  // namespace watra::text
