// What Python's str methods ask about a character: its class and its other cases. Unicode data: utf8proc, and a small
// table (jinja_unicode_tables.inc) of what utf8proc does not tell.
#pragma once

#include <string_view>

namespace watra::text::jinja {

bool is_space(char32_t c);       // str.isspace, strip(), \s
bool is_line_break(char32_t c);  // splitlines()
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_cased(char32_t c);
bool is_case_ignorable(char32_t c);
bool is_printable(char32_t c);  // what repr() does not escape
inline bool is_alnum(char32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }
inline bool is_word(char32_t c) { return c == '_' || is_alnum(c); }
int decimal_value(char32_t c);  // 0 to 9, or -1

// Full case mappings: one character can become three. The views live forever or until the next call on the same thread.
std::u32string_view to_upper(char32_t c);
std::u32string_view to_lower(char32_t c);  // without the rule for a final sigma
std::u32string_view to_title(char32_t c);
std::u32string_view to_folded(char32_t c);

}  // namespace watra::text::jinja
