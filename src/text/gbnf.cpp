#include "text/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "text/internal/utf8.h"

namespace watra::text {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;
constexpr int kMostNesting = 100;
constexpr int64_t kMostRepeats = 100'000;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A character in XGrammar's string or class: ASCII letters, digits and spaces as they are, the rest by its number.
std::string spelled(char32_t c) {
  if (c == ' ' || (c < 0x80 && is_name(static_cast<char>(c)) && c != '-')) return {static_cast<char>(c)};
  return c <= 0xFFFF ? fmt::format("\\u{:04x}", static_cast<uint32_t>(c))
                     : fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
}

struct Wrong {  // thrown and caught in this file
  std::string message;
  size_t at;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::string read() {
    std::string out;
    skip_blank(true);
    while (at_ < text_.size()) {
      out += rule() + "\n";
      skip_blank(true);
    }
    if (!defined_.contains("root")) wrong("a rule named root", 0);
    for (const auto& [name, at] : used_)
      if (!defined_.contains(name)) wrong(fmt::format("a definition of the rule {}, used here", name), at);
    return out;
  }

 private:
  [[noreturn]] void wrong(std::string needs, size_t at) const { throw Wrong{std::move(needs), at}; }
  [[noreturn]] void wrong(std::string needs) const { wrong(std::move(needs), at_); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_blank(bool lines) {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n' && text_[at_ + 1] != '\r') ++at_;
      } else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) {
        return;
      }
    }
  }

  std::string name() {
    const size_t begin = at_;
    while (is_name(peek())) ++at_;
    if (at_ == begin) wrong("the name of a rule");
    return std::string(text_.substr(begin, at_ - begin));
  }
  // XGrammar's names do not begin with digits; none of ours meets one it knows.
  static std::string known_as(const std::string& name) { return name == "root" ? name : "r_" + name; }

  std::string rule() {
    const size_t begin = at_;
    const std::string n = name();
    skip_blank(false);
    if (text_.substr(at_, 3) != "::=") wrong("::= after the name of a rule");
    at_ += 3;
    skip_blank(true);
    if (!defined_.emplace(n, begin).second) wrong(fmt::format("one definition of the rule {}", n), begin);
    std::string out = known_as(n) + " ::= " + alternatives(0);
    if (at_ < text_.size() && peek() != '\n' && peek() != '\r') wrong("the end of the rule, or more of it");
    return out;
  }

  // In parentheses lines mean nothing, outside they end the rule unless the next one goes on with |.
  std::string alternatives(int depth) {
    if (depth > kMostNesting) wrong(fmt::format("at most {} parentheses in each other", kMostNesting));
    std::string out = sequence(depth);
    for (;;) {
      const size_t end = at_;
      skip_blank(true);
      if (peek() != '|') {
        if (depth == 0) at_ = end;
        return out;
      }
      ++at_;
      skip_blank(true);
      out += " | " + sequence(depth);
    }
  }

  std::string sequence(int depth) {
    std::string out;
    for (;;) {
      skip_blank(depth > 0);
      std::string part;
      switch (peek()) {
        case '"':
          part = literal();
          break;
        case '[':
          part = character_class();
          break;
        case '(':
          ++at_;
          skip_blank(true);
          part = "(" + alternatives(depth + 1) + ")";
          if (peek() != ')') wrong("a closing )");
          ++at_;
          break;
        case '.':
          ++at_;
          part = "[^]";
          break;
        case '<':
        case '!':
          wrong("texts, not token ids: those are not read here");
        default:
          if (!is_name(peek())) return out.empty() ? "\"\"" : out;
          const size_t at = at_;
          const std::string n = name();
          skip_blank(false);
          if (text_.substr(at_, 3) == "::=") wrong("a line of its own for each rule", at);
          used_.emplace(n, at);
          part = known_as(n);
      }
      out += (out.empty() ? "" : " ") + repeated(std::move(part), depth);
    }
  }

  std::string repeated(std::string part, int depth) {
    constexpr int kMostRepetitions = 8;  // of one part: each wraps what is before it
    for (int n = 0;; ++n) {
      skip_blank(depth > 0);
      const char c = peek();
      if (n == kMostRepetitions && (c == '*' || c == '+' || c == '?' || c == '{'))
        wrong(fmt::format("at most {} repetitions of one part", kMostRepetitions));
      if (c == '*' || c == '+' || c == '?') {
        ++at_;
        part = fmt::format("({}{})", part, c);
      } else if (c == '{') {
        ++at_;
        const auto [least, most] = range();
        part = most < 0 ? fmt::format("({}{{{},}})", part, least) : fmt::format("({}{{{},{}}})", part, least, most);
      } else {
        return part;
      }
    }
  }

  std::pair<int64_t, int64_t> range() {
    skip_blank(true);
    const int64_t least = peek() == ',' ? 0 : number();
    int64_t most = least;
    skip_blank(true);
    if (peek() == ',') {
      ++at_;
      skip_blank(true);
      most = peek() == '}' ? -1 : number();
      skip_blank(true);
    }
    if (peek() != '}') wrong("a closing }");
    if (most >= 0 && most < least) wrong("repetitions from the smaller to the larger number");
    ++at_;
    return {least, most};
  }

  int64_t number() {
    int64_t n = 0;
    if (peek() < '0' || peek() > '9') wrong("a number of repetitions");
    while (peek() >= '0' && peek() <= '9') {
      n = n * 10 + (text_[at_++] - '0');
      if (n > kMostRepeats) wrong(fmt::format("at most {} repetitions", kMostRepeats));
    }
    return n;
  }

  char32_t hexadecimal(int n_digits) {
    char32_t c = 0;
    for (int i = 0; i < n_digits; ++i) {
      const int d = hex_digit(peek());
      if (d < 0) wrong(fmt::format("{} hexadecimal digits", n_digits));
      c = c << 4 | static_cast<char32_t>(d);
      ++at_;
    }
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) wrong("the number of a character");
    return c;
  }

  char32_t character() {
    if (at_ >= text_.size()) wrong("the end of a text or class that was begun");
    if (text_[at_] != '\\') {
      const char* p = text_.data() + at_;
      const char32_t c = utf8_next(p);
      at_ = static_cast<size_t>(p - text_.data());
      return c;
    }
    ++at_;
    const char c = peek();
    ++at_;
    switch (c) {
      case 'x':
        return hexadecimal(2);
      case 'u':
        return hexadecimal(4);
      case 'U':
        return hexadecimal(8);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
      case '/':
      case '.':
        return static_cast<char32_t>(c);
      default:
        --at_;
        wrong("x, u, U, t, r, n, \\, \", [ or ] after a backslash");
    }
  }

  std::string literal() {
    std::string out = "\"";
    ++at_;
    while (peek() != '"') out += spelled(character());
    ++at_;
    return out + "\"";
  }

  std::string character_class() {
    std::string out = "[";
    ++at_;
    if (peek() == '^') {
      out += '^';
      ++at_;
    }
    while (peek() != ']') {
      const size_t at = at_;
      const char32_t first = character();
      out += spelled(first);
      if (peek() != '-' || at_ + 1 >= text_.size() || text_[at_ + 1] == ']') continue;
      ++at_;
      const char32_t last = character();
      if (last < first) wrong("a range from the smaller to the larger character", at);
      out += "-" + spelled(last);
    }
    ++at_;
    if (out == "[") wrong("at least one character in a class");
    return out + "]";
  }

  std::string_view text_;
  size_t at_ = 0;
  std::map<std::string, size_t> defined_, used_;
};

}  // namespace

Result<std::string> gbnf_to_ebnf(std::string_view grammar) {
  const auto bad = [&](const std::string& needs, size_t at) {
    const std::string_view before = grammar.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    const size_t column = at - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    return fail("grammar.bad_grammar", fmt::format("the grammar needs {} (line {}, column {})", needs, line, column));
  };
  if (grammar.size() > kMostBytes)
    return fail("grammar.too_large",
                fmt::format("the grammar has {} bytes, at most {} are read", grammar.size(), kMostBytes));
  if (!utf8_is_valid(grammar)) return bad("text in UTF-8", 0);
  try {
    return Reader(grammar).read();
  } catch (const Wrong& w) {
    return bad(w.message, std::min(w.at, grammar.size()));
  }
}

}  // namespace watra::text
