// GBNF, llama.cpp's way to write a grammar, in the spelling XGrammar reads. The two look alike and differ: in GBNF
// names may begin with digits, \x41 has two hexadecimal digits and no more, a dot is any character, an alternative may
// be empty.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace watra::text {

// Rules reached from "root" or not, all are translated. Errors: "grammar.bad_grammar", with line and column: what GBNF
// does not allow, no rule "root", a rule that is used and not defined.
Result<std::string> gbnf_to_ebnf(std::string_view grammar);

}  // namespace watra::text
