// String operations that str's methods and the filters share.
#pragma once

#include <vector>

#include "text/jinja_value.h"

namespace watra::text::jinja {

enum class CaseMapping { kKeep, kUpper, kLower, kFold, kSwap, kTitle, kTitleChar, kCapitalize };
enum class Pad { kLeft, kRight, kCenter };  // where the fill goes

Str strip(const Str& s, const Value* chars, bool left, bool right);  // chars null: white space
Str map_case(Runtime& rt, const Str& s, CaseMapping mapping);
bool is_final_sigma(std::string_view text, size_t start, size_t end);
Str replace_text(Runtime& rt, const Str& s, const Str& old, const Str& with, Int count);  // count < 0: all
std::vector<Str> split_lines(Runtime& rt, const Str& s, bool keep_ends);
std::vector<Str> split_space(Runtime& rt, const Str& s, Int max, bool from_right);
std::vector<Str> split_text(Runtime& rt, const Str& s, std::string_view separator, Int max, bool from_right);
Str join_text(Runtime& rt, const Str& separator, const Value& items, bool convert);
Str pad(Runtime& rt, const Str& s, Int width, Pad how, const Str* fill);

}  // namespace watra::text::jinja
