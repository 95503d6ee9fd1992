#include "text/jinja_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/jinja_unicode.h"

namespace watra::text::jinja {

void refuse_syntax(std::string message, int line, int column) {
  if (column > 0) message += fmt::format(" (line {}, column {})", line, column);
  throw Refusal{"template.syntax", std::move(message), line};
}

namespace {

// Line ends become \n, and the last one goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : owned_(normalized(source)), src_(owned_) {}

  std::vector<Lexeme> run() {
    while (pos_ < src_.size()) data();
    emit(Token::kEnd, "");
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(std::string message) { refuse_syntax(std::move(message), line_, column()); }

  int column() const { return static_cast<int>(pos_ - line_start_) + 1; }

  Lexeme& emit(Token token, std::string text) {
    Lexeme l;
    l.token = token;
    l.line = line_;
    l.column = column();
    l.text = std::move(text);
    out_.push_back(std::move(l));
    return out_.back();
  }

  bool at(std::string_view what, size_t pos) const { return src_.substr(pos).starts_with(what); }

  void advance(size_t to) {
    for (size_t i = pos_; i < to; ++i) {
      if (src_[i] != '\n') continue;
      ++line_;
      line_start_ = i + 1;
    }
    line_starting_ = to > pos_ ? src_[to - 1] == '\n' : false;
    pos_ = to;
  }

  size_t skip_space(size_t pos) const {
    while (pos < src_.size()) {
      size_t next = pos;
      if (!is_space(decode_utf8(src_, next))) break;
      pos = next;
    }
    return pos;
  }

  // {% raw %}: where its head ends, or npos. `sign` is what stands after the opening brace.
  size_t raw_head(size_t pos, char& sign) const {
    if (!at("{%", pos)) return std::string_view::npos;
    size_t p = pos + 2;
    sign = 0;
    if (p < src_.size() && (src_[p] == '-' || src_[p] == '+')) sign = src_[p++];
    p = skip_space(p);
    if (!at("raw", p)) return std::string_view::npos;
    p = skip_space(p + 3);
    if (at("-%}", p)) return skip_space(p + 3);
    if (at("%}", p)) return p + 2;
    return std::string_view::npos;
  }

  // The text before a tag, trimmed as the tag's sign and lstrip_blocks say.
  std::string_view trimmed(std::string_view text, char sign, bool is_variable) const {
    if (sign == '-') {
      size_t end = text.size();
      while (end > 0) {
        size_t start = end - 1;
        while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
        size_t next = start;
        if (!is_space(decode_utf8(text, next))) break;
        end = start;
      }
      return text.substr(0, end);
    }
    if (sign == '+' || is_variable) return text;
    const size_t newline = text.rfind('\n');
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if ((line > 0 || line_starting_) && skip_space_in(text, line) == text.size()) return text.substr(0, line);
    return text;
  }

  static size_t skip_space_in(std::string_view text, size_t pos) {
    while (pos < text.size()) {
      size_t next = pos;
      if (!is_space(decode_utf8(text, next))) break;
      pos = next;
    }
    return pos;
  }

  void data() {
    size_t tag = pos_;
    while (true) {
      tag = src_.find('{', tag);
      if (tag == std::string_view::npos) {
        emit(Token::kData, std::string(src_.substr(pos_)));
        advance(src_.size());
        return;
      }
      if (tag + 1 < src_.size() && (src_[tag + 1] == '%' || src_[tag + 1] == '#' || src_[tag + 1] == '{')) break;
      ++tag;
    }
    const char kind = src_[tag + 1];
    char sign = 0;
    size_t after = raw_head(tag, sign);
    const bool raw = after != std::string_view::npos;
    if (!raw) {
      after = tag + 2;
      sign = after < src_.size() && (src_[after] == '-' || src_[after] == '+') ? src_[after++] : '\0';
    }
    const std::string_view text = trimmed(src_.substr(pos_, tag - pos_), sign, kind == '{');
    if (!text.empty()) emit(Token::kData, std::string(text));
    advance(after);
    if (raw) {
      raw_block();
    } else if (kind == '#') {
      comment();
    } else {
      if (kind == '{') {
        emit(Token::kVariableBegin, "{{");
      } else {
        emit(Token::kBlockBegin, "{%");
      }
      inside(kind == '{');
    }
  }

  void comment() {
    const size_t end = src_.find("#}", pos_);
    if (end == std::string_view::npos) fail("Missing end of comment tag");
    size_t after = end + 2;
    const char sign = end > pos_ ? src_[end - 1] : '\0';
    if (sign == '-') {
      after = skip_space(after);
    } else if (sign != '+' && after < src_.size() && src_[after] == '\n') {
      ++after;
    }
    advance(after);
  }

  void raw_block() {
    for (size_t tag = src_.find("{%", pos_); tag != std::string_view::npos; tag = src_.find("{%", tag + 1)) {
      size_t p = tag + 2;
      char sign = 0;
      if (p < src_.size() && (src_[p] == '-' || src_[p] == '+')) sign = src_[p++];
      p = skip_space(p);
      if (!at("endraw", p)) continue;
      p = skip_space(p + 6);
      size_t after = 0;
      if (at("+%}", p)) {
        after = p + 3;
      } else if (at("-%}", p)) {
        after = skip_space(p + 3);
      } else if (at("%}", p)) {
        after = p + 2;
        if (after < src_.size() && src_[after] == '\n') ++after;
      } else {
        continue;
      }
      const std::string_view text = trimmed(src_.substr(pos_, tag - pos_), sign, false);
      if (!text.empty()) emit(Token::kData, std::string(text));
      advance(after);
      return;
    }
    fail("Missing end of raw directive");
  }

  // The expression or statement up to the closing brace.
  void inside(bool variable) {
    std::vector<char> open;
    while (true) {
      if (pos_ >= src_.size()) return;  // the parser says what is missing
      if (open.empty() && closing(variable)) return;
      const size_t space = skip_space(pos_);
      if (space > pos_) {
        advance(space);
        continue;
      }
      const char c = src_[pos_];
      size_t next = pos_;
      const char32_t wide = decode_utf8(src_, next);
      if (c >= '0' && c <= '9') {
        number();
      } else if (is_word(wide)) {
        while (next < src_.size()) {
          size_t ahead = next;
          if (!is_word(decode_utf8(src_, ahead))) break;
          next = ahead;
        }
        if (wide != '_' && !is_alpha(wide)) fail("Invalid character in identifier");
        emit(Token::kName, std::string(src_.substr(pos_, next - pos_)));
        advance(next);
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        operator_token(open);
      }
    }
  }

  bool closing(bool variable) {
    if (variable) {
      if (at("-}}", pos_)) {
        emit(Token::kVariableEnd, "-}}");
        advance(skip_space(pos_ + 3));
        return true;
      }
      if (at("}}", pos_)) {
        emit(Token::kVariableEnd, "}}");
        advance(pos_ + 2);
        return true;
      }
      return false;
    }
    size_t after = 0;
    if (at("+%}", pos_)) {
      after = pos_ + 3;
    } else if (at("-%}", pos_)) {
      after = skip_space(pos_ + 3);
    } else if (at("%}", pos_)) {
      after = pos_ + 2;
      if (after < src_.size() && src_[after] == '\n') ++after;
    } else {
      return false;
    }
    emit(Token::kBlockEnd, "%}");
    advance(after);
    return true;
  }

  static bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

  // digits, possibly _ between them; returns the end.
  size_t digits(size_t p) const {
    while (p < src_.size() &&
           (is_ascii_digit(src_[p]) || (src_[p] == '_' && p + 1 < src_.size() && is_ascii_digit(src_[p + 1]))))
      ++p;
    return p;
  }

  void number() {
    const auto byte = [&](size_t p) { return p < src_.size() ? src_[p] : '\0'; };
    // A float: not right after a dot, with a fraction or an exponent.
    if (pos_ == 0 || src_[pos_ - 1] != '.') {
      size_t p = digits(pos_);
      bool real = false;
      if (byte(p) == '.' && is_ascii_digit(byte(p + 1))) {
        p = digits(p + 1);
        real = true;
      }
      if ((byte(p) | 0x20) == 'e') {
        const size_t sign = p + 1 + (byte(p + 1) == '+' || byte(p + 1) == '-');
        if (is_ascii_digit(byte(sign))) {
          p = digits(sign);
          real = true;
        }
      }
      if (real) {
        std::string text(src_.substr(pos_, p - pos_));
        std::erase(text, '_');
        Lexeme& l = emit(Token::kFloat, text);
        // Out of range reads as infinity or zero, as in Python.
        l.real = std::strtod(text.c_str(), nullptr);
        advance(p);
        return;
      }
    }
    unsigned base = 10;
    size_t p = pos_, from = pos_;
    const char letter = static_cast<char>(byte(pos_ + 1) | 0x20);
    const auto digit_value = [](char c) {
      return is_ascii_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
    };
    if (src_[pos_] == '0' && (letter == 'b' || letter == 'o' || letter == 'x')) {
      const unsigned wanted = letter == 'b' ? 2 : letter == 'o' ? 8 : 16;
      const size_t first = pos_ + 2 + (byte(pos_ + 2) == '_');
      if (first < src_.size() && digit_value(src_[first]) < static_cast<int>(wanted)) {
        base = wanted;
        from = p = pos_ + 2;
      }
    }
    const bool zero = base == 10 && src_[pos_] == '0';  // a zero is followed by zeros only
    const auto fits = [&](char c) { return zero ? c == '0' : digit_value(c) < static_cast<int>(base); };
    while (p < src_.size() && (fits(src_[p]) || (src_[p] == '_' && p + 1 < src_.size() && fits(src_[p + 1])))) ++p;
    Int value = 0;
    for (char c : src_.substr(from, p - from)) {
      if (c == '_') continue;
      if (__builtin_mul_overflow(value, static_cast<Int>(base), &value) ||
          __builtin_add_overflow(value, static_cast<Int>(digit_value(c)), &value)) {
        fail("an integer needs more than 128 bits");
      }
    }
    emit(Token::kInteger, std::string(src_.substr(pos_, p - pos_))).integer = value;
    advance(p);
  }

  void string(char quote) {
    size_t end = pos_ + 1;
    while (end < src_.size() && src_[end] != quote) end += src_[end] == '\\' ? 2 : 1;
    if (end >= src_.size()) fail(fmt::format("unexpected char '{}'", quote));
    emit(Token::kString, unescaped(src_.substr(pos_ + 1, end - pos_ - 1)));
    advance(end + 1);
  }

  std::string unescaped(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text[i] != '\\' || i + 1 >= text.size()) {
        out += text[i++];
        continue;
      }
      const char c = text[i + 1];
      i += 2;
      const auto hex = [&](size_t n) {
        uint32_t code = 0;
        const auto* first = text.data() + i;
        if (i + n > text.size() || std::from_chars(first, first + n, code, 16).ptr != first + n)
          fail("truncated escape in a string");
        if (code > 0x10FFFF) fail("illegal Unicode character in a string");
        i += n;
        // A pair of surrogates is not joined by Python, and a lone one cannot be written as UTF-8.
        if (code >= 0xD800 && code < 0xE000) fail("a string holds a surrogate");
        encode_utf8(out, code);
      };
      switch (c) {
        case '\n':
          break;
        case '\\':
          out += '\\';
          break;
        case '\'':
          out += '\'';
          break;
        case '"':
          out += '"';
          break;
        case 'a':
          out += '\a';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'v':
          out += '\v';
          break;
        case 'x':
          hex(2);
          break;
        case 'u':
          hex(4);
          break;
        case 'U':
          hex(8);
          break;
        case 'N':
          fail("named characters are not supported in strings");
        default:
          if (c >= '0' && c <= '7') {
            uint32_t code = static_cast<uint32_t>(c - '0');
            for (int n = 1; n < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++n) {
              code = code * 8 + static_cast<uint32_t>(text[i++] - '0');
            }
            encode_utf8(out, code);
          } else if (static_cast<unsigned char>(c) >= 0x80) {
            // jinja2 decodes escapes from an ASCII form, in which this backslash meets another one.
            size_t p = i - 1;
            const auto code = static_cast<uint32_t>(decode_utf8(text, p));
            i = p;
            out += code < 0x100     ? fmt::format("\\x{:02x}", code)
                   : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                                    : fmt::format("\\U{:08x}", code);
          } else {
            out += '\\';
            out += c;
          }
      }
    }
    return out;
  }

  void operator_token(std::vector<char>& open) {
    static constexpr std::pair<std::string_view, Token> kOperators[] = {
        {"//", Token::kFloorDiv},   {"**", Token::kPow},         {"==", Token::kEq},       {"!=", Token::kNe},
        {">=", Token::kGe},         {"<=", Token::kLe},          {"+", Token::kAdd},       {"-", Token::kSub},
        {"/", Token::kDiv},         {"*", Token::kMul},          {"%", Token::kMod},       {"~", Token::kTilde},
        {"[", Token::kLeftBracket}, {"]", Token::kRightBracket}, {"(", Token::kLeftParen}, {")", Token::kRightParen},
        {"{", Token::kLeftBrace},   {"}", Token::kRightBrace},   {">", Token::kGt},        {"<", Token::kLt},
        {"=", Token::kAssign},      {".", Token::kDot},          {":", Token::kColon},     {"|", Token::kPipe},
        {",", Token::kComma},       {";", Token::kSemicolon},
    };
    for (const auto& [text, token] : kOperators) {
      if (!at(text, pos_)) continue;
      const char c = text[0];
      if (c == '(' || c == '[' || c == '{') {
        open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      } else if (c == ')' || c == ']' || c == '}') {
        if (open.empty()) fail(fmt::format("unexpected '{}'", c));
        if (open.back() != c) fail(fmt::format("unexpected '{}', expected '{}'", c, open.back()));
        open.pop_back();
      }
      emit(token, std::string(text));
      advance(pos_ + text.size());
      return;
    }
    fail(fmt::format("unexpected char '{}'", src_[pos_]));
  }

  std::string owned_;
  std::string_view src_;
  std::vector<Lexeme> out_;
  size_t pos_ = 0, line_start_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
};

}  // namespace

std::vector<Lexeme> tokenize_template(std::string_view source) {
  if (!is_valid_utf8(source)) refuse_syntax("the template is not valid UTF-8", 1);
  return Lexer(source).run();
}

}  // namespace watra::text::jinja
