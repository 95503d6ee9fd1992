// Recursive descent over the tokens, in the order and with the quirks of jinja2's parser.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace watra::text::jinja {
namespace {

// Deeper source is refused. Python's own limits (recursion, nested parentheses) end earlier or near here.
constexpr int kMaxNesting = 150;
constexpr int kMaxHeight = 200;

class Parser {
 public:
  Parser(std::vector<Lexeme> tokens, Program& program) : tokens_(std::move(tokens)), program_(program) {}

  void run() {
    program_.body = statements({});
    if (current().token != Token::kEnd) fail("unexpected end of block");
  }

 private:
  // ---- the token stream ----
  const Lexeme& current() const { return tokens_[at_]; }
  const Lexeme& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  const Lexeme& next() { return tokens_[current().token == Token::kEnd ? at_ : at_++]; }
  bool is(Token t) const { return current().token == t; }
  bool is_name(std::string_view word) const { return is(Token::kName) && current().text == word; }
  bool skip(Token t) { return is(t) ? (next(), true) : false; }
  bool skip_name(std::string_view word) { return is_name(word) ? (next(), true) : false; }

  [[noreturn]] void fail(std::string message) const {
    refuse_syntax(std::move(message), current().line, current().column);
  }
  std::string found() const {
    return is(Token::kEnd) ? "end of template" : is(Token::kBlockEnd) ? "end of statement block" : current().text;
  }

  const Lexeme& expect(Token t, std::string_view what) {
    if (!is(t)) fail(fmt::format("expected {}, got '{}'", what, found()));
    return next();
  }
  void expect_name(std::string_view word) {
    if (!skip_name(word)) fail(fmt::format("expected '{}', got '{}'", word, found()));
  }

  struct Nested {
    explicit Nested(Parser& p) : parser(p) {
      if (++p.nesting_ > kMaxNesting) p.fail("the template nests too deeply");
    }
    ~Nested() { --parser.nesting_; }
    Parser& parser;
  };

  // ---- nodes; every one knows how high its tree is ----
  Expr* make(ExprKind kind, int line) { return program_.expr(kind, line); }

  Expr* grown(Expr* e) {
    const auto over = [&](const Expr* child) {
      if (child != nullptr) e->height = std::max(e->height, child->height + 1);
    };
    over(e->a);
    over(e->b);
    over(e->c);
    over(e->star);
    over(e->star_star);
    for (const Expr* i : e->items) over(i);
    for (const auto& k : e->keywords) over(k.second);
    if (e->height > kMaxHeight) fail("the expression is too deep");
    return e;
  }

  Expr* unary(ExprKind kind, Expr* a, int line) {
    Expr* e = make(kind, line);
    e->a = a;
    return grown(e);
  }

  Expr* pair(ExprKind kind, Expr* a, Expr* b, int line) {
    Expr* e = make(kind, line);
    e->a = a;
    e->b = b;
    return grown(e);
  }

  Expr* text_node(std::string text, int line) {
    Expr* e = make(ExprKind::kText, line);
    e->text_id = static_cast<uint32_t>(program_.texts.size());
    program_.texts.push_back(text);
    e->text = std::move(text);
    return e;
  }

  // ---- statements ----
  using Ends = std::vector<std::string_view>;

  bool at_end_tag(const Ends& ends) const {
    return is(Token::kName) && std::find(ends.begin(), ends.end(), current().text) != ends.end();
  }

  Body statements(const Ends& ends) {
    Body body;
    Stmt* output = nullptr;
    const auto piece = [&](int line) -> Stmt::Piece& {
      if (output == nullptr) body.push_back(output = program_.stmt(StmtKind::kOutput, line));
      return output->pieces.emplace_back();
    };
    while (!is(Token::kEnd)) {
      const int line = current().line;
      if (is(Token::kData)) {
        piece(line).data = current().text;
        next();
      } else if (skip(Token::kVariableBegin)) {
        Expr* e = tuple(true);
        piece(line).expr = e;
        expect(Token::kVariableEnd, "end of print statement");
      } else {
        expect(Token::kBlockBegin, "a block");
        output = nullptr;
        if (at_end_tag(ends)) return body;
        if (Stmt* s = statement()) body.push_back(s);
        expect(Token::kBlockEnd, "end of statement block");
      }
    }
    if (!ends.empty()) fail(fmt::format("Unexpected end of template, '{}' is missing", ends.back()));
    return body;
  }

  // After the head of a block: its body up to one of the end tags, which stays current.
  Body block_body(const Ends& ends) {
    const Nested nested(*this);
    skip(Token::kColon);
    expect(Token::kBlockEnd, "end of statement block");
    return statements(ends);
  }
  Body closed_body(std::string_view end) {
    Body body = block_body({end});
    next();
    return body;
  }

  Stmt* statement() {
    if (!is(Token::kName)) fail("tag name expected");
    const std::string word = current().text;
    const int line = next().line;
    if (word == "for") return for_loop(line);
    if (word == "if") return condition(line);
    if (word == "set") return set(line);
    if (word == "macro") return macro(line);
    if (word == "call") return call_block(line);
    if (word == "filter") return filter_block(line);
    if (word == "with") return with(line);
    if (word == "print") return print(line);
    if (word == "block") return block(line);
    if (word == "generation") {
      Stmt* s = program_.stmt(StmtKind::kGeneration, line);
      s->body = function_body("endgeneration");
      return s;
    }
    if (word == "break" || word == "continue") {
      if (loops_ == 0) fail(fmt::format("'{}' outside loop", word));
      return program_.stmt(word == "break" ? StmtKind::kBreak : StmtKind::kContinue, line);
    }
    if (word == "include" || word == "import" || word == "from" || word == "extends") return import(word, line);
    if (word == "autoescape") fail("autoescape is not supported: a prompt is no HTML");
    fail(fmt::format("Encountered unknown tag '{}'", word));
  }

  Stmt* for_loop(int line) {
    Stmt* s = program_.stmt(StmtKind::kFor, line);
    s->target = assign_target(false, {"in"});
    expect_name("in");
    s->expr = tuple(false, {"recursive"});
    if (skip_name("if")) s->test = expression();
    s->recursive = skip_name("recursive");
    ++loops_;
    s->body = block_body({"endfor", "else"});
    --loops_;
    if (next().text == "else") s->else_body = closed_body("endfor");
    return s;
  }

  Stmt* condition(int line) {
    Stmt* first = program_.stmt(StmtKind::kIf, line);
    Stmt* s = first;
    while (true) {
      s->expr = tuple(false);
      s->body = block_body({"elif", "else", "endif"});
      const std::string tag = next().text;
      if (tag == "elif") {
        s = program_.stmt(StmtKind::kIf, current().line);
        first->elifs.push_back(s);
        continue;
      }
      if (tag == "else") first->else_body = closed_body("endif");
      return first;
    }
  }

  Stmt* set(int line) {
    Expr* target = assign_target(true, {});
    if (skip(Token::kAssign)) {
      Stmt* s = program_.stmt(StmtKind::kAssign, line);
      s->target = target;
      s->expr = tuple(true);
      return s;
    }
    Stmt* s = program_.stmt(StmtKind::kAssignBlock, line);
    s->target = target;
    s->expr = filters(nullptr);
    s->body = closed_body("endset");
    return s;
  }

  void signature(Stmt* s) {
    expect(Token::kLeftParen, "'('");
    while (!is(Token::kRightParen)) {
      if (!s->params.empty()) expect(Token::kComma, "','");
      Expr* name = name_target();
      name->use = NameUse::kParam;
      for (const Expr* other : s->params) {
        if (other->text == name->text) fail(fmt::format("duplicate argument '{}'", name->text));
      }
      if (skip(Token::kAssign)) {
        s->values.push_back(expression());
      } else if (!s->values.empty()) {
        fail("non-default argument follows default argument");
      }
      s->params.push_back(name);
    }
    next();
  }

  Body function_body(std::string_view end) {
    const int outer_loops = std::exchange(loops_, 0);
    Body body = closed_body(end);
    loops_ = outer_loops;
    return body;
  }

  Stmt* macro(int line) {
    Stmt* s = program_.stmt(StmtKind::kMacro, line);
    s->target = name_target();
    s->name = s->target->text;
    signature(s);
    s->body = function_body("endmacro");
    return s;
  }

  Stmt* call_block(int line) {
    Stmt* s = program_.stmt(StmtKind::kCallBlock, line);
    if (is(Token::kLeftParen)) signature(s);
    s->expr = expression();
    if (s->expr->kind != ExprKind::kCall) fail("expected call");
    s->body = function_body("endcall");
    return s;
  }

  Stmt* filter_block(int line) {
    Stmt* s = program_.stmt(StmtKind::kFilterBlock, line);
    s->expr = filters(nullptr, true);
    s->body = closed_body("endfilter");
    return s;
  }

  Stmt* with(int line) {
    Stmt* s = program_.stmt(StmtKind::kWith, line);
    while (!is(Token::kBlockEnd)) {
      if (!s->params.empty()) expect(Token::kComma, "','");
      Expr* target = assign_target(false, {});
      set_use(target, NameUse::kParam);
      s->params.push_back(target);
      expect(Token::kAssign, "'='");
      s->values.push_back(expression());
    }
    s->body = closed_body("endwith");
    return s;
  }

  Stmt* print(int line) {
    Stmt* s = program_.stmt(StmtKind::kOutput, line);
    while (!is(Token::kBlockEnd)) {
      if (!s->pieces.empty()) expect(Token::kComma, "','");
      s->pieces.emplace_back().expr = expression();
    }
    return s;
  }

  Stmt* block(int line) {
    Stmt* s = program_.stmt(StmtKind::kBlock, line);
    s->name = expect(Token::kName, "a block's name").text;
    if (is_name("scoped") || is_name("required")) fail("scoped and required blocks are not supported");
    s->body = function_body("endblock");
    skip_name(s->name);
    return s;
  }

  // Parsed as jinja2 does, so that a template that never gets there renders.
  Stmt* import(const std::string& word, int line) {
    Stmt* s = program_.stmt(StmtKind::kImport, line);
    s->name = word;
    s->expr = expression();
    const auto context = [&] {
      if ((is_name("with") || is_name("without")) && ahead().token == Token::kName && ahead().text == "context") {
        next();
        next();
        return true;
      }
      return false;
    };
    if (word == "include") {
      if (is_name("ignore") && ahead().text == "missing") {
        next();
        next();
      }
      context();
    } else if (word == "import") {
      expect_name("as");
      s->params.push_back(name_target());
      context();
    } else if (word == "from") {
      expect_name("import");
      while (true) {
        if (!s->params.empty()) expect(Token::kComma, "','");
        if (context()) break;
        Expr* name = name_target();
        if (name->text.starts_with("_")) fail("names starting with an underline can not be imported");
        s->params.push_back(skip_name("as") ? name_target() : name);
        if (context() || !is(Token::kComma)) break;
      }
    }
    return s;
  }

  // ---- assignment targets ----
  Expr* name_target() {
    const Lexeme& l = expect(Token::kName, "a name");
    static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), l.text) != std::end(kConstants)) {
      fail(fmt::format("can't assign to '{}'", l.text));
    }
    Expr* e = make(ExprKind::kName, l.line);
    e->text = l.text;
    e->use = NameUse::kStore;
    return e;
  }

  Expr* assign_target(bool with_namespace, const Ends& ends) {
    Expr* e = tuple(true, ends, false, true, with_namespace);
    set_use(e, NameUse::kStore);
    return e;
  }

  void set_use(Expr* e, NameUse use) {
    switch (e->kind) {
      case ExprKind::kName:
        e->use = use;
        break;
      case ExprKind::kNamespaceRef:
        break;
      case ExprKind::kTuple:
        for (Expr* i : e->items) set_use(i, use);
        break;
      default:
        fail("can't assign to this expression");
    }
  }

  // ---- expressions, loosest first ----
  Expr* expression(bool with_condition = true) {
    const Nested nested(*this);
    return with_condition ? conditional() : disjunction();
  }

  Expr* conditional() {
    int line = current().line;
    Expr* value = disjunction();
    while (skip_name("if")) {
      Expr* e = make(ExprKind::kCondition, line);
      e->a = value;
      e->c = disjunction();
      if (skip_name("else")) {
        const Nested nested(*this);
        e->b = conditional();
      }
      value = grown(e);
      line = current().line;
    }
    return value;
  }

  Expr* disjunction() {
    const int line = current().line;
    Expr* left = conjunction();
    while (skip_name("or")) left = pair(ExprKind::kOr, left, conjunction(), line);
    return left;
  }

  Expr* conjunction() {
    const int line = current().line;
    Expr* left = negation();
    while (skip_name("and")) left = pair(ExprKind::kAnd, left, negation(), line);
    return left;
  }

  Expr* negation() {
    const int line = current().line;
    if (!skip_name("not")) return comparison();
    const Nested nested(*this);
    return unary(ExprKind::kNot, negation(), line);
  }

  Expr* comparison() {
    const int line = current().line;
    Expr* first = sum();
    Expr* e = nullptr;
    while (true) {
      static constexpr std::pair<Token, CompareOp> kOperators[] = {
          {Token::kEq, CompareOp::kEq}, {Token::kNe, CompareOp::kNe}, {Token::kLt, CompareOp::kLt},
          {Token::kLe, CompareOp::kLe}, {Token::kGt, CompareOp::kGt}, {Token::kGe, CompareOp::kGe}};
      const auto* found_op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                          [&](const auto& known) { return is(known.first); });
      CompareOp op = CompareOp::kIn;
      if (found_op != std::end(kOperators)) {
        op = found_op->second;
      } else if (is_name("not") && ahead().token == Token::kName && ahead().text == "in") {
        next();
        op = CompareOp::kNotIn;
      } else if (!is_name("in")) {
        return e != nullptr ? grown(e) : first;
      }
      next();
      if (e == nullptr) {
        e = make(ExprKind::kCompare, line);
        e->a = first;
      }
      e->compare.push_back(op);
      e->items.push_back(sum());
    }
  }

  Expr* binary_node(BinaryOp op, Expr* left, Expr* right, int line) {
    Expr* e = pair(ExprKind::kBinary, left, right, line);
    e->op = op;
    return e;
  }

  Expr* sum() {
    const int line = current().line;
    Expr* left = concatenation();
    while (is(Token::kAdd) || is(Token::kSub)) {
      const BinaryOp op = next().token == Token::kAdd ? BinaryOp::kAdd : BinaryOp::kSub;
      left = binary_node(op, left, concatenation(), line);
    }
    return left;
  }

  Expr* concatenation() {
    const int line = current().line;
    Expr* first = product();
    if (!is(Token::kTilde)) return first;
    Expr* e = make(ExprKind::kConcat, line);
    e->items.push_back(first);
    while (skip(Token::kTilde)) e->items.push_back(product());
    return grown(e);
  }

  Expr* product() {
    const int line = current().line;
    Expr* left = power();
    while (true) {
      BinaryOp op{};
      switch (current().token) {
        case Token::kMul:
          op = BinaryOp::kMul;
          break;
        case Token::kDiv:
          op = BinaryOp::kDiv;
          break;
        case Token::kFloorDiv:
          op = BinaryOp::kFloorDiv;
          break;
        case Token::kMod:
          op = BinaryOp::kMod;
          break;
        default:
          return left;
      }
      next();
      left = binary_node(op, left, power(), line);
    }
  }

  Expr* power() {
    const int line = current().line;
    Expr* left = signed_operand(true);
    // jinja2 reads a chain from the left and writes Python, in parentheses.
    while (skip(Token::kPow)) left = binary_node(BinaryOp::kPow, left, signed_operand(true), line);
    return left;
  }

  Expr* signed_operand(bool with_filter) {
    const int line = current().line;
    Expr* e = nullptr;
    if (is(Token::kSub) || is(Token::kAdd)) {
      const Nested nested(*this);
      const ExprKind kind = next().token == Token::kSub ? ExprKind::kNegate : ExprKind::kPositive;
      e = unary(kind, signed_operand(false), line);
    } else {
      e = primary(false);
    }
    e = postfix(e);
    return with_filter ? filters_and_tests(e) : e;
  }

  Expr* primary(bool with_namespace) {
    const Lexeme l = current();
    switch (l.token) {
      case Token::kName: {
        next();
        if (l.text == "true" || l.text == "True") return make(ExprKind::kTrue, l.line);
        if (l.text == "false" || l.text == "False") return make(ExprKind::kFalse, l.line);
        if (l.text == "none" || l.text == "None") return make(ExprKind::kNone, l.line);
        if (with_namespace && skip(Token::kDot)) {
          Expr* e = make(ExprKind::kNamespaceRef, l.line);
          e->text = l.text;
          e->text2 = expect(Token::kName, "a name").text;
          return e;
        }
        Expr* e = make(ExprKind::kName, l.line);
        e->text = l.text;
        return e;
      }
      case Token::kString: {
        std::string text;
        while (is(Token::kString)) text += next().text;
        return text_node(std::move(text), l.line);
      }
      case Token::kInteger: {
        next();
        Expr* e = make(ExprKind::kInt, l.line);
        e->integer = l.integer;
        return e;
      }
      case Token::kFloat: {
        next();
        Expr* e = make(ExprKind::kFloat, l.line);
        e->real = l.real;
        return e;
      }
      case Token::kLeftParen: {
        next();
        Expr* e = tuple(true, {}, true);
        expect(Token::kRightParen, "')'");
        return e;
      }
      case Token::kLeftBracket: {
        next();
        Expr* e = make(ExprKind::kList, l.line);
        while (!is(Token::kRightBracket)) {
          if (!e->items.empty()) {
            expect(Token::kComma, "','");
            if (is(Token::kRightBracket)) break;
          }
          e->items.push_back(expression());
        }
        next();
        return grown(e);
      }
      case Token::kLeftBrace: {
        next();
        Expr* e = make(ExprKind::kDict, l.line);
        while (!is(Token::kRightBrace)) {
          if (!e->items.empty()) {
            expect(Token::kComma, "','");
            if (is(Token::kRightBrace)) break;
          }
          e->items.push_back(expression());
          expect(Token::kColon, "':'");
          e->items.push_back(expression());
        }
        next();
        return grown(e);
      }
      default:
        fail(fmt::format("unexpected '{}'", found()));
    }
  }

  bool at_tuple_end(const Ends& ends) const {
    return is(Token::kVariableEnd) || is(Token::kBlockEnd) || is(Token::kRightParen) || at_end_tag(ends);
  }

  Expr* tuple(bool with_condition, const Ends& ends = {}, bool in_parentheses = false, bool simplified = false,
              bool with_namespace = false) {
    const Nested nested(*this);
    const int line = current().line;
    std::vector<Expr*> items;
    bool is_tuple = false;
    while (true) {
      if (!items.empty()) expect(Token::kComma, "','");
      if (at_tuple_end(ends)) break;
      items.push_back(simplified ? primary(with_namespace) : expression(with_condition));
      if (!is(Token::kComma)) break;
      is_tuple = true;
    }
    if (!is_tuple) {
      if (!items.empty()) return items[0];
      if (!in_parentheses) fail(fmt::format("Expected an expression, got '{}'", found()));
    }
    Expr* e = make(ExprKind::kTuple, line);
    e->items = std::move(items);
    return grown(e);
  }

  Expr* postfix(Expr* e) {
    while (true) {
      if (is(Token::kDot) || is(Token::kLeftBracket)) {
        e = subscript(e);
      } else if (is(Token::kLeftParen)) {
        e = call(e);
      } else {
        return e;
      }
    }
  }

  Expr* filters_and_tests(Expr* e) {
    while (true) {
      if (is(Token::kPipe)) {
        e = filters(e);
      } else if (is_name("is")) {
        e = test(e);
      } else if (is(Token::kLeftParen)) {
        e = call(e);
      } else {
        return e;
      }
    }
  }

  Expr* subscript(Expr* owner) {
    const int line = current().line;
    if (next().token == Token::kDot) {
      const Lexeme& l = next();
      if (l.token == Token::kName) {
        Expr* e = unary(ExprKind::kAttribute, owner, line);
        e->text = l.text;
        return e;
      }
      if (l.token != Token::kInteger) fail("expected name or number");
      Expr* index = make(ExprKind::kInt, line);
      index->integer = l.integer;
      return pair(ExprKind::kItem, owner, index, line);
    }
    std::vector<Expr*> keys;
    while (!is(Token::kRightBracket)) {
      if (!keys.empty()) expect(Token::kComma, "','");
      keys.push_back(subscript_key());
    }
    next();
    if (keys.size() == 1) return pair(ExprKind::kItem, owner, keys[0], line);
    Expr* e = make(ExprKind::kTuple, line);
    for (const Expr* k : keys) {
      if (k->kind == ExprKind::kSlice) fail("a slice cannot be part of a tuple");
    }
    e->items = std::move(keys);
    return pair(ExprKind::kItem, owner, grown(e), line);
  }

  Expr* subscript_key() {
    const int line = current().line;
    const auto part = [&]() -> Expr* {
      return is(Token::kColon) || is(Token::kRightBracket) || is(Token::kComma) ? nullptr : expression();
    };
    Expr* start = nullptr;
    if (!is(Token::kColon)) {
      start = expression();
      if (!is(Token::kColon)) return start;
    }
    next();
    Expr* e = make(ExprKind::kSlice, line);
    e->a = start;
    e->b = part();
    if (skip(Token::kColon)) e->c = part();
    return grown(e);
  }

  void call_arguments(Expr* e) {
    expect(Token::kLeftParen, "'('");
    bool comma = false;
    const auto ensure = [&](bool ok) {
      if (!ok) fail("invalid syntax for function call expression");
    };
    while (!is(Token::kRightParen)) {
      if (comma) {
        expect(Token::kComma, "','");
        if (is(Token::kRightParen)) break;
      }
      if (skip(Token::kMul)) {
        ensure(e->star == nullptr && e->star_star == nullptr);
        e->star = expression();
      } else if (skip(Token::kPow)) {
        ensure(e->star_star == nullptr);
        e->star_star = expression();
      } else if (is(Token::kName) && ahead().token == Token::kAssign) {
        ensure(e->star_star == nullptr);
        const std::string key = next().text;
        next();
        for (const auto& k : e->keywords) {
          if (k.first == key) fail(fmt::format("keyword argument repeated: {}", key));
        }
        e->keywords.emplace_back(key, expression());
      } else {
        ensure(e->star == nullptr && e->star_star == nullptr && e->keywords.empty());
        e->items.push_back(expression());
      }
      comma = true;
    }
    next();
  }

  Expr* call(Expr* callee) {
    Expr* e = make(ExprKind::kCall, current().line);
    e->a = callee;
    call_arguments(e);
    return grown(e);
  }

  std::string dotted_name() {
    std::string name = expect(Token::kName, "a name").text;
    while (skip(Token::kDot)) name += "." + expect(Token::kName, "a name").text;
    return name;
  }

  // | filter | filter ...; without `inline_first` there may be none.
  Expr* filters(Expr* e, bool inline_first = false) {
    while (is(Token::kPipe) || inline_first) {
      if (!inline_first) next();
      inline_first = false;
      Expr* f = make(ExprKind::kFilter, current().line);
      f->a = e;
      f->text = dotted_name();
      if (is(Token::kLeftParen)) call_arguments(f);
      e = grown(f);
    }
    return e;
  }

  Expr* test(Expr* subject) {
    const int line = next().line;
    const bool negated = skip_name("not");
    Expr* e = make(ExprKind::kTest, line);
    e->a = subject;
    e->text = dotted_name();
    switch (current().token) {
      case Token::kLeftParen:
        call_arguments(e);
        break;
      case Token::kName:
        if (is_name("else") || is_name("or") || is_name("and")) break;
        if (is_name("is")) fail("You cannot chain multiple tests with is");
        [[fallthrough]];
      case Token::kString:
      case Token::kInteger:
      case Token::kFloat:
      case Token::kLeftBracket:
      case Token::kLeftBrace:
        e->items.push_back(postfix(primary(false)));
        break;
      default:
        break;
    }
    e = grown(e);
    return negated ? unary(ExprKind::kNot, e, line) : e;
  }

  std::vector<Lexeme> tokens_;
  Program& program_;
  size_t at_ = 0;
  int nesting_ = 0, loops_ = 0;
};

}  // namespace

void parse_program(std::string_view source, Program& program) { Parser(tokenize_template(source), program).run(); }

}  // namespace watra::text::jinja
