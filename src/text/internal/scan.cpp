#include "text/internal/scan.h"

#include <algorithm>

#include "text/internal/char_class.h"
#include "text/internal/utf8.h"

namespace watra::text::scan {
namespace {

// A position in the text and the table at hand. `end` bounds every read.
struct Cursor {
  const char* p;
  const char* end;
  const CharClasses& classes = CharClasses::get();

  Cursor(std::string_view text, size_t from) : p(text.data() + from), end(text.data() + text.size()) {}

  bool done() const { return p == end; }
  CharClass next() { return classes[utf8_next(p)]; }
  CharClass peek() const {
    const char* q = p;
    return classes[utf8_next(q)];
  }
  template <class Accept>
  void skip(Accept accept) {
    while (p < end) {
      const char* q = p;
      if (!accept(classes[utf8_next(q)])) return;
      p = q;
    }
  }
  size_t offset(std::string_view text) const { return static_cast<size_t>(p - text.data()); }
};

bool is_newline(char c) { return c == '\r' || c == '\n'; }
char lower(char c) { return static_cast<char>(c | 0x20); }

// 's|'t|'re|'ve|'m|'ll|'d at `p`: its length, or 0.
size_t contraction(const char* p, const char* end) {
  if (end - p < 2 || *p != '\'') return 0;
  const char a = p[1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (end - p < 3) return 0;
  const char b = p[2];
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// The same without regard to case: U+017F, the long s, folds to s.
size_t contraction_any_case(const char* p, const char* end) {
  if (end - p < 2 || *p != '\'') return 0;
  const char a = lower(p[1]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (end - p < 3) return 0;
  if (p[1] == '\xC5' && p[2] == '\xBF') return 3;
  const char b = lower(p[2]);
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ after the space run [begin, run_end) is known: all of it at the end of the text, else all but its last
// character.
const char* space_run(const char* begin, const char* run_end, bool at_end) {
  if (at_end) return run_end;
  const char* const last = utf8_previous(run_end);
  return last > begin ? last : run_end;
}

template <bool kSingleDigits>
size_t gpt2_words(std::string_view text, size_t from) {
  Cursor at(text, from);
  const char* const begin = at.p;
  if (const size_t n = contraction(begin, at.end)) return from + n;
  const auto number = [](CharClass c) { return kSingleDigits ? (c & kDigit) != 0 : is_number(c); };
  const auto other = [&](CharClass c) { return !is_space(c) && !is_letter(c) && !number(c); };

  CharClass c = at.next();
  const bool leading_space = *begin == ' ' && !at.done();
  if (leading_space) {
    const CharClass after = at.peek();
    if (!is_space(after) && !(kSingleDigits && number(after))) {
      c = after;
      at.next();
    }
  }
  if (is_letter(c)) {
    at.skip(is_letter);
  } else if (number(c)) {
    if (!kSingleDigits) at.skip(number);
  } else if (other(c)) {
    at.skip(other);
  } else {
    at.skip(is_space);
    // a digit that stands alone ends the text the pattern sees
    at.p = space_run(begin, at.p, at.done() || (kSingleDigits && number(at.peek())));
  }
  return at.offset(text);
}

enum class Tail { none, newlines, newlines_and_slash };

const char* skip_tail(Tail tail, const char* p, const char* end) {
  if (tail == Tail::none) return p;
  while (p < end && (is_newline(*p) || (tail == Tail::newlines_and_slash && *p == '/'))) ++p;
  return p;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
const char* spaces_and_newlines(const char* begin, Cursor at) {
  const char* after_newline = nullptr;
  at.p = begin;
  while (!at.done()) {
    const char* const start = at.p;
    if (!is_space(at.next())) {
      at.p = start;
      break;
    }
    if (is_newline(*start)) after_newline = at.p;
  }
  return after_newline ? after_newline : space_run(begin, at.p, at.done());
}

// What the patterns from llama3 on share behind their words: numbers, punctuation, white space. `at` stands at the
// first character.
template <size_t kMaxNumbers, Tail kTail, bool kMarksAreLetters>
size_t after_words(std::string_view text, Cursor at) {
  const char* const begin = at.p;
  const auto other = [](CharClass c) {
    return !is_space(c) && !is_letter(c) && !is_number(c) && !(kMarksAreLetters && is_mark(c));
  };
  const CharClass c = at.next();
  if (is_number(c)) {
    for (size_t n = 1; n < kMaxNumbers && !at.done() && is_number(at.peek()); ++n) at.next();
    return at.offset(text);
  }
  if (other(c) || (*begin == ' ' && !at.done() && other(at.peek()))) {
    at.skip(other);
    at.p = skip_tail(kTail, at.p, at.end);
    return at.offset(text);
  }
  at.p = spaces_and_newlines(begin, at);
  return at.offset(text);
}

template <size_t kMaxNumbers, Tail kTail, bool kContractions, bool kMarksAreLetters>
size_t words(std::string_view text, size_t from) {
  Cursor at(text, from);
  const char* const begin = at.p;
  if (kContractions) {
    if (const size_t n = contraction_any_case(begin, at.end)) return from + n;
  }
  const auto letter = [](CharClass c) { return is_letter(c) || (kMarksAreLetters && is_mark(c)); };
  const CharClass c = at.next();
  const bool may_lead = !is_newline(*begin) && !is_number(c);
  if (letter(c) || (may_lead && !at.done() && letter(at.peek()))) {
    at.skip(letter);
    return at.offset(text);
  }
  return after_words<kMaxNumbers, kTail, kMarksAreLetters>(text, Cursor(text, from));
}

bool is_upper(CharClass c) {  // U of scan.h
  const CharClass k = c & kCategoryMask;
  return k >= category::lu && k <= category::me && k != category::ll;
}
bool is_lower(CharClass c) {  // W of scan.h
  const CharClass k = c & kCategoryMask;
  return k == category::ll || (k >= category::lm && k <= category::me);
}

// U*W+ at `at`: its end, or null. U* takes all it can and gives back only as far as it must for W+ to find one
// character.
const char* upper_then_lower(Cursor at) {
  const char* after_last_lower = nullptr;
  while (!at.done()) {
    const char* const start = at.p;
    const CharClass c = at.next();
    if (!is_upper(c)) {
      at.p = start;
      break;
    }
    if (is_lower(c)) after_last_lower = at.p;
  }
  if (at.done() || !is_lower(at.peek())) return after_last_lower;
  at.skip(is_lower);
  return at.p;
}

// U+W* at `at`, where U*W+ has failed: no W follows the run.
const char* upper_run(Cursor at) {
  const char* const begin = at.p;
  at.skip(is_upper);
  return at.p > begin ? at.p : nullptr;
}

template <size_t kMaxNumbers, bool kContractions>
size_t cased_words(std::string_view text, size_t from) {
  const Cursor start(text, from);
  Cursor second = start;
  const CharClass c = second.next();
  const bool may_lead = !is_newline(*start.p) && !is_letter(c) && !is_number(c);
  const char* end = nullptr;
  if (may_lead) end = upper_then_lower(second);
  if (!end) end = upper_then_lower(start);
  if (!end && may_lead) end = upper_run(second);
  if (!end) end = upper_run(start);
  if (!end) return after_words<kMaxNumbers, Tail::newlines_and_slash, false>(text, start);
  if (kContractions) end += contraction_any_case(end, start.end);
  return static_cast<size_t>(end - text.data());
}

// Runs of characters that `accept` takes, and runs of those that it does not.
template <class Accept>
size_t runs(std::string_view text, size_t from, Accept accept) {
  Cursor at(text, from);
  const bool inside = accept(at.next());
  at.skip([&](CharClass c) { return accept(c) == inside; });
  return at.offset(text);
}

// Every character alone that `accept` takes, and runs of the others.
template <class Accept>
size_t singles(std::string_view text, size_t from, Accept accept) {
  Cursor at(text, from);
  if (!accept(at.next())) at.skip([&](CharClass c) { return !accept(c); });
  return at.offset(text);
}

// The same for bytes.
template <class Accept>
size_t byte_runs(std::string_view text, size_t from, Accept accept) {
  const bool inside = accept(text[from]);
  size_t at = from + 1;
  while (at < text.size() && accept(text[at]) == inside) ++at;
  return at;
}

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

size_t gpt2(std::string_view text, size_t from) { return gpt2_words<false>(text, from); }
size_t gpt2_single_digits(std::string_view text, size_t from) { return gpt2_words<true>(text, from); }

size_t llama3(std::string_view text, size_t from) { return words<3, Tail::newlines, true, false>(text, from); }
size_t qwen2(std::string_view text, size_t from) { return words<1, Tail::newlines, true, false>(text, from); }
size_t number_runs(std::string_view text, size_t from) {
  return words<SIZE_MAX, Tail::newlines, true, false>(text, from);
}
size_t qwen35(std::string_view text, size_t from) { return words<1, Tail::newlines, true, true>(text, from); }
size_t no_contractions(std::string_view text, size_t from) {
  return words<1, Tail::newlines, false, false>(text, from);
}
size_t seed_coder(std::string_view text, size_t from) { return words<1, Tail::none, true, false>(text, from); }

size_t gpt4o(std::string_view text, size_t from) { return cased_words<3, true>(text, from); }
size_t tekken(std::string_view text, size_t from) { return cased_words<1, false>(text, from); }

size_t up_to_three_numbers(std::string_view text, size_t from) {
  Cursor at(text, from);
  if (!is_number(at.next())) {
    at.skip([](CharClass c) { return !is_number(c); });
  } else {
    for (int n = 1; n < 3 && !at.done() && is_number(at.peek()); ++n) at.next();
  }
  return at.offset(text);
}

size_t numbers(std::string_view text, size_t from) { return runs(text, from, is_number); }

size_t single_digits(std::string_view text, size_t from) {
  return singles(text, from, [](CharClass c) { return (c & kDigit) != 0; });
}

size_t three_digits(std::string_view text, size_t from) {
  size_t at = from;
  const auto match = [&](size_t i) {
    return i + 3 <= text.size() && is_ascii_digit(text[i]) && is_ascii_digit(text[i + 1]) &&
           is_ascii_digit(text[i + 2]);
  };
  if (match(at)) return at + 3;
  while (at < text.size() && !match(at)) ++at;
  return at;
}

size_t digit_groups(std::string_view text, size_t from) {
  const auto digit = [](CharClass c) { return (c & kCategoryMask) == category::nd; };
  const auto word = [&](CharClass c) {
    return is_letter(c) || is_mark(c) || digit(c) || (c & kCategoryMask) == category::pc;
  };
  // The run of digits at `at`: how many, and whether a word ends behind them (else none of them is in a group).
  struct Run {
    size_t n;
    bool grouped;
    const char* end;
  };
  const auto measure = [&](Cursor at) {
    size_t n = 0;
    for (; !at.done() && digit(at.peek()); ++n) at.next();
    return Run{n, n > 0 && (at.done() || !word(at.peek())), at.p};
  };

  Cursor at(text, from);
  Cursor before = at;
  if (from > 0) before.p = utf8_previous(at.p);
  if (from > 0 && digit(at.peek()) && digit(before.peek())) {
    for (int i = 0; i < 3; ++i) at.next();  // the first group left a number of digits that divides by three
    return at.offset(text);
  }
  if (const Run run = measure(at); run.grouped) {
    for (size_t i = run.n % 3 == 0 ? 3 : run.n % 3; i > 0; --i) at.next();
    return at.offset(text);
  }
  while (!at.done()) {
    at.skip([&](CharClass c) { return !digit(c); });
    const Run run = measure(at);
    if (run.grouped) break;
    at.p = run.end;
  }
  return at.offset(text);
}

size_t byte_digits(std::string_view text, size_t from) {
  return byte_runs(text, from, [](char c) {
    const auto b = static_cast<unsigned char>(c);
    return is_ascii_digit(c) || b == 0xB2 || b == 0xB3 || b == 0xB9 || (b >= 0xBC && b <= 0xBE);
  });
}

size_t punctuation_runs(std::string_view text, size_t from) {
  return runs(text, from, [](CharClass c) { return (c & kBertPunct) != 0; });
}

size_t default_punctuation(std::string_view text, size_t from) {
  const auto accept = [](const char* p, CharClass c) {
    const CharClass k = c & kCategoryMask;
    return (k >= category::pc && k <= category::po) || std::string_view("$+<=>^~|").find(*p) != std::string_view::npos;
  };
  Cursor at(text, from);
  const char* start = at.p;
  const bool inside = accept(start, at.next());
  while (!at.done()) {
    start = at.p;
    if (accept(start, at.next()) != inside) {
      at.p = start;
      break;
    }
  }
  return at.offset(text);
}

size_t newlines(std::string_view text, size_t from) {
  if (is_newline(text[from])) return from + 1;
  return std::min(text.find_first_of("\r\n", from), text.size());
}

size_t newline_runs(std::string_view text, size_t from) {
  return byte_runs(text, from, [](char c) { return c == '\n'; });
}

size_t trailing_space(std::string_view text, size_t from) {
  const CharClasses& classes = CharClasses::get();
  size_t begin = text.size();
  while (begin > from) {
    const char* const start = utf8_previous(text.data() + begin);
    const char* p = start;
    if (!is_space(classes[utf8_next(p)])) break;
    begin = static_cast<size_t>(start - text.data());
  }
  return begin > from ? begin : text.size();
}

}  // namespace watra::text::scan
