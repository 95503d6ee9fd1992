// closest_word: which of the words that exist was meant by somebody who typed one that does not.
//
// Not a search: one word against a short list, such as the options of a command. Pure; any thread may call.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace watra {

// Letters to insert, drop, exchange, or swap with their neighbour until one word is the other; case aside, bytes are
// letters (optimal string alignment: no part is edited twice).
size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known`, empty when none is near: one slip in three letters, or one word the beginning of the other
// ("temp" of "temperature"). Of several equally near ones the first.
std::string_view closest_word(std::string_view typed, std::span<const std::string> known);

}  // namespace watra
