// Split patterns scanned by hand: each function gives the end of the piece that starts at `from` (< text.size(), valid
// UTF-8).
//
// They are the hot path of every encode call, several times faster than a compiled pattern, and they read character
// classes from the table that agrees with the reference (char_class.h). scan_test.cpp holds each against its pattern.
#pragma once

#include <cstddef>
#include <string_view>

namespace watra::text::scan {

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t gpt2(std::string_view text, size_t from);
// Every digit alone, the rest as gpt2 (StarCoder, SmolLM, Command-R).
size_t gpt2_single_digits(std::string_view text, size_t from);

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t llama3(std::string_view text, size_t from);
// As llama3, with \p{N}, with \p{N}+
size_t qwen2(std::string_view text, size_t from);
size_t number_runs(std::string_view text, size_t from);
// As qwen2, with [\p{L}\p{M}]+ for words and \p{M} no part of punctuation.
size_t qwen35(std::string_view text, size_t from);
// As qwen2, without contractions.
size_t no_contractions(std::string_view text, size_t from);
// As qwen2, punctuation without the newlines after it.
size_t seed_coder(std::string_view text, size_t from);

// With U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], W = [\p{Ll}\p{Lm}\p{Lo}\p{M}], C = (?i:'s|'t|'re|'ve|'m|'ll|'d):
// [^\r\n\p{L}\p{N}]?U*W+C?|[^\r\n\p{L}\p{N}]?U+W*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
size_t gpt4o(std::string_view text, size_t from);
// As gpt4o, without C and with \p{N}.
size_t tekken(std::string_view text, size_t from);

// \p{N}{1,3}; stretches between matches stay whole.
size_t up_to_three_numbers(std::string_view text, size_t from);
// \p{N}+
size_t numbers(std::string_view text, size_t from);
// Each digit of the digit splitter.
size_t single_digits(std::string_view text, size_t from);
// [0-9][0-9][0-9]
size_t three_digits(std::string_view text, size_t from);
// \d{1,3}(?=(?:\d{3})*\b): groups of three from the right, where a word ends after the digits.
size_t digit_groups(std::string_view text, size_t from);
// Runs of digits among the letters that stand for single bytes: [0-9] and the bytes of U+00B2, B3, B9, BC, BD, BE.
size_t byte_digits(std::string_view text, size_t from);
// Runs of punctuation as the punctuation splitter understands it; runs of [\p{P}$+<=>^~|].
size_t punctuation_runs(std::string_view text, size_t from);
size_t default_punctuation(std::string_view text, size_t from);
// [\r\n]
size_t newlines(std::string_view text, size_t from);
// [^\n]+|\n+
size_t newline_runs(std::string_view text, size_t from);
// \s+$ in a text without newlines.
size_t trailing_space(std::string_view text, size_t from);

}  // namespace watra::text::scan
