// The tree of a parsed template. Nodes live in the Program's deques; nothing in it changes after jinja_scope has
// resolved every name to a slot, so renders on any number of threads share it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace watra::text::jinja {

enum class ExprKind : uint8_t {
  kNone,
  kTrue,
  kFalse,
  kInt,
  kFloat,
  kText,
  kName,
  kNamespaceRef,  // a.b as an assignment target
  kTuple,
  kList,
  kDict,  // items: key, value, key, value ...
  kCondition,
  kOr,
  kAnd,
  kNot,
  kNegate,
  kPositive,
  kBinary,
  kConcat,
  kCompare,
  kFilter,
  kTest,
  kCall,
  kAttribute,
  kItem,
  kSlice,
};

enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };
enum class NameUse : uint8_t { kLoad, kStore, kParam };

// Where a variable lives: `hops` functions outwards, then a slot of that function.
struct SlotRef {
  uint16_t hops = 0;
  uint16_t slot = 0;
};

struct Expr {
  ExprKind kind = ExprKind::kNone;
  NameUse use = NameUse::kLoad;
  BinaryOp op = BinaryOp::kAdd;
  int line = 0;
  int height = 1;     // of the tree below: bounds the evaluator's recursion
  std::string text;   // name, attribute, literal, filter, test
  std::string text2;  // kNamespaceRef: the attribute
  Int integer = 0;
  double real = 0;
  uint32_t text_id = 0;  // kText: which of the program's texts
  Expr* a = nullptr;     // operand; condition: the value if true; filter block: null
  Expr* b = nullptr;     // second operand; condition: otherwise (or null)
  Expr* c = nullptr;     // condition: the test; slice: step
  std::vector<Expr*> items;
  std::vector<CompareOp> compare;
  std::vector<std::pair<std::string, Expr*>> keywords;
  Expr* star = nullptr;
  Expr* star_star = nullptr;
  SlotRef slot;
};

enum class StmtKind : uint8_t {
  kOutput,
  kFor,
  kIf,
  kMacro,
  kCallBlock,
  kGeneration,
  kFilterBlock,
  kWith,
  kAssign,
  kAssignBlock,
  kBlock,
  kBreak,
  kContinue,
  kImport,  // include, import, from, extends: refused when reached
};

// What happens to a function's slots when a scope is entered and left.
struct ScopeCode {
  struct Load {
    enum How : uint8_t { kResolve, kAlias, kUndefined } how;
    uint16_t slot;
    SlotRef from;
    std::string name;
  };
  std::vector<Load> loads;
  std::vector<uint16_t> leave;  // slots that become unset again
};

struct Stmt;
using Body = std::vector<Stmt*>;

struct Stmt {
  StmtKind kind = StmtKind::kOutput;
  int line = 0;
  int height = 1;
  // kOutput: a piece is data (expr null) or an expression.
  struct Piece {
    std::string data;
    Expr* expr = nullptr;
  };
  std::vector<Piece> pieces;
  std::string name;             // macro, block, the word of an import
  Expr* target = nullptr;       // for, set
  Expr* expr = nullptr;         // for: iterable; if: test; set: value; call, filter; set block: filter or null
  Expr* test = nullptr;         // for ... if
  Expr* test_target = nullptr;  // for ... if: the target again, in the test's own function
  bool recursive = false;
  Body body;
  Body else_body;
  std::vector<Stmt*> elifs;   // kIf
  std::vector<Expr*> params;  // names of macro, call, with (targets)
  std::vector<Expr*> values;  // defaults (for the last params), with's values

  // Filled in by jinja_scope.
  ScopeCode scope, else_scope, test_scope;
  uint16_t n_slots = 0, n_test_slots = 0;  // of the functions this statement makes
  bool has_loop = false;                   // the body reads `loop`
  SlotRef loop_slot;
  bool takes_caller = false, takes_kwargs = false, takes_varargs = false, explicit_caller = false;
  uint16_t caller_slot = 0, kwargs_slot = 0, varargs_slot = 0;
  bool exports = false;  // set and macro at top level: visible to blocks
  std::vector<std::pair<std::string, SlotRef>> exported;
};

struct Program {
  std::deque<Expr> exprs;
  std::deque<Stmt> stmts;
  std::vector<std::string> texts;
  Body body;
  ScopeCode scope;
  uint16_t n_slots = 0;

  Expr* expr(ExprKind kind, int line) {
    Expr& e = exprs.emplace_back();
    e.kind = kind;
    e.line = line;
    return &e;
  }
  Stmt* stmt(StmtKind kind, int line) {
    Stmt& s = stmts.emplace_back();
    s.kind = kind;
    s.line = line;
    return &s;
  }
};

// jinja_parser.cpp and jinja_scope.cpp; both throw Refusal "template.syntax".
void parse_program(std::string_view source, Program& program);
void resolve_names(Program& program);

}  // namespace watra::text::jinja
