// SplitRegex: a split pattern run by PCRE2 (UTF, UCP, JIT with a stack of its own per thread).
//
// Patterns are ours to write (pretokenizer.cpp): quantifiers that cannot need backtracking are possessive, so no text
// runs into a limit. \s is written as kSpaceClass, because PCRE2 counts U+180E as a space and the reference does not.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace watra::text {

class SplitRegex {
 public:
  explicit SplitRegex(std::string_view pattern);
  SplitRegex(SplitRegex&&) noexcept;
  ~SplitRegex();

  // Ends of the pieces of `text` (valid UTF-8, not empty), each plus `offset`: every match is a piece, and so is what
  // lies between.
  void split(std::string_view text, size_t offset, std::vector<size_t>& ends) const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace watra::text
