// The tables of filters, tests and globals.
#pragma once

#include <string_view>

#include "text/jinja_value.h"

namespace watra::text::jinja {

using TestFn = bool (*)(Runtime&, const Value& self, Args&);

NativeFn find_filter(std::string_view name);  // null: there is none
TestFn find_test(std::string_view name);
const NativeDef* find_global(std::string_view name);  // range, dict, namespace, raise_exception ...

// The pieces that the tables are put together from (name sorted within each is not needed).
struct FilterDef {
  const char* name;
  NativeFn fn;
};
struct FilterTable {
  const FilterDef* defs;
  size_t n;
};
FilterTable text_filters();      // jinja_filters_text.cpp
FilterTable sequence_filters();  // jinja_filters_sequence.cpp
FilterTable number_filters();    // jinja_filters_number.cpp

// int(text, base) and float(text) as Python reads them; nullopt where Python raises ValueError.
std::optional<Int> parse_int(std::string_view text, Int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace watra::text::jinja
