#include "text/internal/string_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "text/internal/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace watra::text {
namespace {

constexpr int kMostNesting = 100;
constexpr uint32_t kLast = 0x10FFFF;
constexpr int64_t kMostRepeats = 100'000;

struct Range {
  uint32_t low, high;
};
using Ranges = std::vector<Range>;  // upwards, apart from each other, once tidy

Ranges tidy(Ranges ranges) {
  std::ranges::sort(ranges, {}, &Range::low);
  Ranges out;
  for (const Range& r : ranges) {
    if (!out.empty() && r.low <= out.back().high + 1)
      out.back().high = std::max(out.back().high, r.high);
    else
      out.push_back(r);
  }
  return out;
}

Ranges others(const Ranges& ranges) {
  Ranges out;
  uint32_t next = 0;
  for (const Range& r : tidy(ranges)) {
    if (r.low > next) out.push_back({next, r.low - 1});
    next = r.high + 1;
  }
  if (next <= kLast) out.push_back({next, kLast});
  return out;
}

Ranges both(const Ranges& a, const Ranges& b) {
  Ranges out;
  for (const Range& x : a)
    for (const Range& y : b)
      if (x.low <= y.high && y.low <= x.high) out.push_back({std::max(x.low, y.low), std::min(x.high, y.high)});
  return tidy(std::move(out));
}

const Ranges kEscaped = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
// What may stand in a string as it is; surrogates are no characters.
const Ranges kPlain = others({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0xD800, 0xDFFF}});
const Ranges kDigits = {{'0', '9'}};
const Ranges kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
// White space in every dialect, for \s, and in any, for \S.
const Ranges kSpaces = {{9, 13}, {' ', ' '}};
const Ranges kAllSpaces = {{9, 13},          {28, 32},         {0x85, 0x85},     {0xA0, 0xA0},
                           {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                           {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const Ranges kLineEnds = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

// A set of characters: those the pattern names, and those it has because they are not others.
struct Set {
  Ranges named, rest;
};

struct Unreadable {  // thrown and caught in this file
  std::string why;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string by_number(uint32_t c) { return c <= 0xFFFF ? fmt::format("\\u{:04x}", c) : fmt::format("\\u{{{:x}}}", c); }

// A character of a pattern outside of classes.
std::string spelled(uint32_t c) {
  if (c < 0x20 || c > 0x7E) return by_number(c);
  const char plain = static_cast<char>(c);
  return std::string_view("^$\\.*+?()[]{}|/").find(plain) == std::string_view::npos ? std::string(1, plain)
                                                                                    : std::string("\\") + plain;
}

// A class of characters, none of which must be escaped in JSON. XGrammar's readers disagree about some characters at
// the ends of ranges and at the beginning of a class.
std::string spelled(const Ranges& ranges) {
  if (ranges.size() == 1 && ranges[0].low == ranges[0].high) return spelled(ranges[0].low);
  constexpr std::string_view kSpecial = "-[]^";
  const auto is_special = [&](uint32_t c) {
    return c < 0x80 && kSpecial.find(static_cast<char>(c)) != std::string_view::npos;
  };
  std::string out, specials;
  const auto special = [&](uint32_t c) { specials += std::string("\\") + static_cast<char>(c); };
  const auto member = [](uint32_t c) {
    const bool plain =
        c < 0x80 && (is_digit(static_cast<char>(c)) || is_letter(static_cast<char>(c)) || c == '_' || c == ' ');
    return plain ? std::string(1, static_cast<char>(c)) : by_number(c);
  };
  for (auto [low, high] : ranges) {
    while (low <= high && is_special(low)) special(low++);
    while (high > low && is_special(high)) special(high--);
    if (low > high) continue;
    out += member(low);
    if (high > low) out += (high > low + 1 ? "-" : "") + member(high);
  }
  // "^" goes last, and never alone in front.
  if (out.empty() && specials.starts_with("\\^")) return "(?:\\^)";
  return "[" + out + specials + "]";
}

// What writes one of these characters in a JSON string; each of them must be escaped.
std::string escapes(const Ranges& ranges) {
  std::string letters, choices, by_16[2];
  for (const Range& r : ranges) {
    for (uint32_t c = r.low; c <= r.high; ++c) {
      if (c == '"') choices += "|\"";
      if (c == '\\') choices += "|\\\\";
      constexpr std::string_view kShort = "\b\f\n\r\t", kLetters = "bfnrt";
      const size_t at = c < 0x20 ? kShort.find(static_cast<char>(c)) : std::string_view::npos;
      if (at != std::string_view::npos) letters += kLetters[at];
      if (c < 0x20 && (at == std::string_view::npos || ranges.size() > 1 || r.high > r.low))
        by_16[c / 16] += fmt::format("{:x}", c % 16);
    }
  }
  const auto one_of = [](const std::string& chars) { return chars.size() == 1 ? chars : "[" + chars + "]"; };
  if (!letters.empty()) choices += "|" + one_of(letters);
  for (int i = 0; i < 2; ++i)
    if (!by_16[i].empty()) choices += fmt::format("|u00{}{}", i, one_of(by_16[i]));
  return "\\\\(?:" + choices.substr(1) + ")";
}

struct Piece {
  std::string text;       // empty: it takes no character
  bool is_atom = true;    // a quantifier may follow
  bool is_ended = false;  // an anchor says that nothing comes behind it
};

std::string as_atom(const Piece& p) { return p.is_atom ? p.text : "(?:" + p.text + ")"; }

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  StringPattern read() {
    if (text_.starts_with("(?i)")) {
      at_ = 4;
      ignores_case_ = true;
    }
    std::string regex = choice(false, 0).text;
    if (at_ < text_.size()) throw Unreadable{"a ) closes nothing"};
    // XGrammar's first engine knows no escapes; a character that is no ASCII text leads to its other one.
    if (has_escapes_) regex = "(?:" + regex + ")(?:\x7F){0,0}";
    if (regex.empty()) regex = "^$";
    return {std::move(regex), std::move(unheld_)};
  }

 private:
  bool ends() const { return at_ >= text_.size(); }
  char peek() const { return ends() ? '\0' : text_[at_]; }
  bool take(std::string_view what) {
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  void leave_out(std::string_view what) {
    if (unheld_.empty()) unheld_ = what;
  }

  Piece choice(bool begun, int depth) {
    if (depth > kMostNesting) throw Unreadable{fmt::format("at most {} groups stand in each other", kMostNesting)};
    std::vector<std::string> texts;
    bool may_be_empty = false, is_ended = false, is_atom = true;
    size_t n = 0;
    do {
      Piece p = sequence(begun, depth);
      is_ended = is_ended || p.is_ended;
      is_atom = p.is_atom;
      may_be_empty = may_be_empty || p.text.empty();
      if (!p.text.empty()) texts.push_back(std::move(p.text));
      ++n;
    } while (take("|"));
    if (texts.empty()) return {"", true, is_ended};
    if (n == 1) return {std::move(texts[0]), is_atom, is_ended};
    std::string all;
    for (const std::string& t : texts) all += (all.empty() ? "" : "|") + t;
    all = "(?:" + all + ")";
    return {may_be_empty ? all + "?" : all, !may_be_empty, is_ended};
  }

  Piece sequence(bool begun, int depth) {
    Piece out;
    size_t n = 0;
    while (!ends() && peek() != '|' && peek() != ')') {
      if (take("^")) {
        if (begun) leave_out("a ^ stands where the text has begun");
        continue;
      }
      if (take("$")) {
        out.is_ended = true;
        continue;
      }
      Piece p = quantified(atom(begun, depth));
      if (p.text.empty()) {
        out.is_ended = out.is_ended || p.is_ended;
        continue;
      }
      if (out.is_ended) leave_out("a $ stands where the text goes on");
      out.is_ended = p.is_ended;
      begun = true;
      out.is_atom = p.is_atom;
      out.text += p.text;
      ++n;
    }
    if (n > 1) out.is_atom = false;
    return out;
  }

  Piece atom(bool begun, int depth) {
    if (take("(")) return group(begun, depth);
    if (peek() == '[') return written(character_class());
    if (take(".")) return written({{}, others(kLineEnds)});
    if (peek() == '*' || peek() == '+' || peek() == '?') throw Unreadable{"a quantifier has nothing in front of it"};
    if (peek() == '\\') return written(escape(false));
    return written({{one(next())}, {}});
  }

  Piece group(bool begun, int depth) {
    if (take("?")) {
      const bool ahead = take("=") || take("!"), behind = !ahead && (take("<=") || take("<!"));
      if (ahead || behind) {
        leave_out("it looks ahead or back ((?=, (?!, (?<=, (?<!)");
        choice(true, depth + 1);
        close();
        return {};
      }
      if (!take(":")) {
        take("P");
        const size_t name = text_.find('>', at_);
        if (!take("<") || name == std::string_view::npos) throw Unreadable{"a group begins with unknown flags"};
        at_ = name + 1;
      }
    }
    Piece inside = choice(begun, depth + 1);
    close();
    return inside;
  }
  void close() {
    if (!take(")")) throw Unreadable{"a ( is not closed"};
  }

  // *, +, ?, {n}, {n,}, {n,m}, each with or without a ?. A { that is none of them stands for itself.
  Piece quantified(Piece p) {
    std::string mark;
    if (take("*"))
      mark = "*";
    else if (take("+"))
      mark = "+";
    else if (take("?"))
      mark = "?";
    else if (peek() == '{')
      mark = braces();
    if (mark.empty()) return p;
    take("?");
    if (peek() == '*' || peek() == '+' || peek() == '?') throw Unreadable{"a quantifier follows another"};
    if (p.is_ended) leave_out("a $ stands where the text goes on");
    if (p.text.empty() || mark == "{0}" || mark == "{0,0}") return {"", true, p.is_ended};
    return {as_atom(p) + mark, false, p.is_ended};
  }

  std::string braces() {
    const size_t begin = at_++;
    const auto number = [&]() -> std::optional<int64_t> {
      if (!is_digit(peek())) return std::nullopt;
      int64_t n = 0;
      while (is_digit(peek())) n = std::min<int64_t>(n * 10 + (text_[at_++] - '0'), kMostRepeats + 1);
      if (n > kMostRepeats) throw Unreadable{fmt::format("it repeats more than {} times", kMostRepeats)};
      return n;
    };
    const auto least = number();
    std::optional<int64_t> most = least;
    const bool comma = least && take(",");
    if (comma) most = number();
    if (!least || !take("}")) {
      at_ = begin;
      return {};
    }
    if (!comma) return fmt::format("{{{}}}", *least);
    if (!most) return fmt::format("{{{},}}", *least);
    if (*most < *least) throw Unreadable{"the numbers of a quantifier are out of order"};
    return fmt::format("{{{},{}}}", *least, *most);
  }

  uint32_t next() {
    const char* p = text_.data() + at_;
    const auto c = static_cast<uint32_t>(utf8_next(p));
    at_ = static_cast<size_t>(p - text_.data());
    return c;
  }

  static Range one(uint32_t c) { return {c, c}; }

  static void add(Set& to, const Set& from) {
    to.named.insert(to.named.end(), from.named.begin(), from.named.end());
    to.rest.insert(to.rest.end(), from.rest.begin(), from.rest.end());
  }

  Set character_class() {
    take("[");
    const bool negated = take("^");
    Set set;
    while (peek() != ']' || ends()) {
      if (ends()) throw Unreadable{"a [ is not closed"};
      const Set first = member();
      const bool is_range = peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']' && is_one(first);
      if (!is_range) {
        add(set, first);
        continue;
      }
      take("-");
      const Set last = member();
      if (!is_one(last)) {
        add(set, first), add(set, last);
        set.named.push_back(one('-'));
        continue;
      }
      if (last.named[0].low < first.named[0].low) throw Unreadable{"the range of a class is out of order"};
      set.named.push_back({first.named[0].low, last.named[0].low});
    }
    take("]");
    fold(set.named), fold(set.rest);
    if (!negated) return set;
    Ranges all = set.named;
    all.insert(all.end(), set.rest.begin(), set.rest.end());
    return {{}, others(all)};
  }

  static bool is_one(const Set& s) {
    return s.rest.empty() && s.named.size() == 1 && s.named[0].low == s.named[0].high;
  }

  Set member() { return peek() == '\\' ? escape(true) : Set{{one(next())}, {}}; }

  std::optional<uint32_t> hex(size_t n) {
    if (text_.size() - at_ < n) return std::nullopt;
    uint32_t c = 0;
    for (size_t i = 0; i < n; ++i) {
      const int digit = hex_digit(text_[at_ + i]);
      if (digit < 0) return std::nullopt;
      c = c * 16 + static_cast<uint32_t>(digit);
    }
    at_ += n;
    return c;
  }

  uint32_t unicode_escape() {
    if (take("{")) {
      const size_t end = text_.find('}', at_);
      const auto c = end == std::string_view::npos || end == at_ || end - at_ > 6 ? std::nullopt : hex(end - at_);
      if (!c || *c > kLast || !take("}")) throw Unreadable{"\\u{...} needs 1 to 6 digits of base 16"};
      return *c;
    }
    const auto c = hex(4);
    if (!c) throw Unreadable{"\\u needs four digits of base 16"};
    if (*c < 0xD800 || *c > 0xDBFF || !text_.substr(at_).starts_with("\\u")) return *c;
    const size_t begin = at_;
    at_ += 2;
    const auto low = hex(4);
    if (low && *low >= 0xDC00 && *low <= 0xDFFF) return 0x10000 + ((*c - 0xD800) << 10) + (*low - 0xDC00);
    at_ = begin;
    return *c;
  }

  Set escape(bool in_class) {
    take("\\");
    if (ends()) throw Unreadable{"it ends with a \\"};
    const uint32_t c = next();
    const auto single = [](uint32_t x) { return Set{{one(x)}, {}}; };
    switch (c) {
      case 'd':
        return {kDigits, {}};
      case 'D':
        return {{}, others(kDigits)};
      case 'w':
        return {kWord, {}};
      case 'W':
        return {{}, others(kWord)};
      case 's':
        return {{}, kSpaces};
      case 'S':
        return {{}, others(kAllSpaces)};
      case 't':
        return single('\t');
      case 'n':
        return single('\n');
      case 'v':
        return single('\v');
      case 'f':
        return single('\f');
      case 'r':
        return single('\r');
      case 'b':
        if (in_class) return single('\b');
        throw Unreadable{"\\b and \\B depend on what stands around them"};
      case 'B':
        throw Unreadable{"\\b and \\B depend on what stands around them"};
      case '0':
        if (is_digit(peek())) throw Unreadable{"\\0 is followed by a digit"};
        return single(0);
      case 'c':
        if (!is_letter(peek())) throw Unreadable{"\\c needs a letter"};
        return single(next() % 32);
      case 'x': {
        const auto x = hex(2);
        if (!x) throw Unreadable{"\\x needs two digits of base 16"};
        return single(*x);
      }
      case 'u':
        return single(unicode_escape());
      default:
        break;
    }
    if (c < 0x80 && (is_letter(static_cast<char>(c)) || is_digit(static_cast<char>(c))))
      throw Unreadable{fmt::format("\\{} is not known", static_cast<char>(c))};
    return single(c);
  }

  // Letters of ASCII in both cases.
  void fold(Ranges& ranges) const {
    if (!ignores_case_) return;
    Ranges more = both(ranges, {{'A', 'Z'}});
    for (Range& r : more) r = {r.low + 32, r.high + 32};
    for (const Range& r : both(ranges, {{'a', 'z'}})) more.push_back({r.low - 32, r.high - 32});
    ranges.insert(ranges.end(), more.begin(), more.end());
  }

  Piece written(Set set) {
    fold(set.named);
    Ranges all = set.named;
    all.insert(all.end(), set.rest.begin(), set.rest.end());
    all = tidy(std::move(all));
    const Ranges plain = both(all, kPlain);
    Ranges escaped = both(tidy(set.named), kEscaped);
    if (plain.empty() && escaped.empty()) escaped = both(all, kEscaped);
    if (plain.empty() && escaped.empty()) throw Unreadable{"a class has no character"};
    if (escaped.empty()) return {spelled(plain)};
    has_escapes_ = true;
    if (plain.empty()) return {escapes(escaped), false};
    return {fmt::format("(?:{}|{})", spelled(plain), escapes(escaped))};
  }

  std::string_view text_;
  size_t at_ = 0;
  bool ignores_case_ = false, has_escapes_ = false;
  std::string unheld_;
};

}  // namespace

StringPattern string_pattern(std::string_view pattern) {
  try {
    return Reader(pattern).read();
  } catch (const Unreadable& u) {
    return {"", u.why};
  }
}

PatternMatch pattern_matches(const std::string& pattern, const std::string& text) {
  constexpr uint32_t kMostSteps = 100'000, kMostDepth = 1000;
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_compile_context* options = pcre2_compile_context_create(nullptr);
  if (options) pcre2_set_compile_extra_options(options, PCRE2_EXTRA_ALT_BSUX);
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &at, options);
  pcre2_compile_context_free(options);
  if (!code) return {};
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  int found = PCRE2_ERROR_NOMEMORY;
  if (context && data) {
    pcre2_set_match_limit(context, kMostSteps);
    pcre2_set_depth_limit(context, kMostDepth);
    found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, data, context);
  }
  pcre2_match_data_free(data);
  pcre2_match_context_free(context);
  pcre2_code_free(code);
  return {found >= 0 || found == PCRE2_ERROR_NOMATCH, found >= 0};
}

}  // namespace watra::text
