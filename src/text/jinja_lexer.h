// Template source to tokens, as jinja2's lexer does it with trim_blocks and lstrip_blocks on and keep_trailing_newline
// off.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace watra::text::jinja {

enum class Token : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kTilde,
  kLeftBracket,
  kRightBracket,
  kLeftParen,
  kRightParen,
  kLeftBrace,
  kRightBrace,
  kEq,
  kNe,
  kGt,
  kGe,
  kLt,
  kLe,
  kAssign,
  kDot,
  kColon,
  kPipe,
  kComma,
  kSemicolon,
  kEnd,
};

struct Lexeme {
  Token token = Token::kEnd;
  int line = 0, column = 0;
  std::string text;  // data, name, string, or the operator
  Int integer = 0;
  double real = 0;
};

[[noreturn]] void refuse_syntax(std::string message, int line, int column = 0);

// Ends with one kEnd. Throws Refusal "template.syntax".
std::vector<Lexeme> tokenize_template(std::string_view source);

}  // namespace watra::text::jinja
