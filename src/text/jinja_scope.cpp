// Names to slots.
//
// jinja2 compiles a template to Python and every name to a Python local called after its scope's level; which scope a
// name belongs to is decided by walking each scope before its code is written. What a template sees after {% set %} in
// an if, in a loop, in a macro follows from that walk, so this is the same walk (jinja2's idtracking and compiler),
// with slots for locals.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "text/jinja_ast.h"
#include "text/jinja_builtins.h"
#include "text/jinja_lexer.h"

namespace watra::text::jinja {
namespace {

// Branches copy the names known so far; a template whose copies exceed this is not one for people.
constexpr uint64_t kMaxCopiedNames = 20'000'000;

struct Function {
  Function* parent = nullptr;
  std::map<std::string, uint16_t> slots;
};

struct Ident {
  Function* fn = nullptr;
  uint16_t slot = 0;
  bool operator<(const Ident& o) const { return std::tie(fn, slot) < std::tie(o.fn, o.slot); }
};

struct Load {
  enum How { kParam, kResolve, kAlias, kUndefined } how = kUndefined;
  Ident from;
  std::string name;
};

struct Symbols {
  Symbols* parent = nullptr;
  Function* fn = nullptr;
  int level = 0;
  std::map<std::string, Ident> refs;
  std::map<Ident, Load> loads;
  std::set<std::string> stores;

  const Ident* find(const std::string& name) const {
    for (const Symbols* s = this; s != nullptr; s = s->parent) {
      const auto it = s->refs.find(name);
      if (it != s->refs.end()) return &it->second;
    }
    return nullptr;
  }
  Ident define(const std::string& name, Load load) {
    const std::string local = fmt::format("{}_{}", level, name);
    const auto [it, fresh] = fn->slots.try_emplace(local, static_cast<uint16_t>(fn->slots.size()));
    if (fresh && fn->slots.size() > 60'000) refuse_syntax("the template has too many names", 1);
    const Ident ident{fn, it->second};
    refs[name] = ident;
    loads[ident] = std::move(load);
    return ident;
  }
  void store(const std::string& name) {
    stores.insert(name);
    if (refs.contains(name)) return;
    const Ident* outer = parent != nullptr ? parent->find(name) : nullptr;
    define(name, outer != nullptr ? Load{Load::kAlias, *outer, {}} : Load{Load::kUndefined, {}, {}});
  }
  Ident parameter(const std::string& name) {
    stores.insert(name);
    return define(name, {Load::kParam, {}, {}});
  }
  void load(const std::string& name) {
    if (find(name) == nullptr) define(name, {Load::kResolve, {}, name});
  }
};

struct Frame {
  Symbols* symbols = nullptr;
  bool toplevel = false;
  bool soft = false;  // inside an if: unknown filters matter only when reached
};

// ---- walking ----

void each_child(const Expr& e, const std::function<void(Expr&)>& visit) {
  for (Expr* child : {e.a, e.b, e.c, e.star, e.star_star}) {
    if (child != nullptr) visit(*child);
  }
  for (Expr* child : e.items) visit(*child);
  for (const auto& keyword : e.keywords) visit(*keyword.second);
}

// Every name read or bound below, in jinja2's order of fields. Not into {% block %}.
class NameWalk {
 public:
  explicit NameWalk(std::function<void(const Expr&)> visit) : visit_(std::move(visit)) {}

  void expr(const Expr& e) {
    if (e.kind == ExprKind::kName) visit_(e);
    each_child(e, [&](Expr& child) { expr(child); });
  }
  void body(const Body& stmts) {
    for (const Stmt* s : stmts) stmt(*s);
  }
  void stmt(const Stmt& s) {
    if (s.kind == StmtKind::kBlock) return;
    for (const auto& p : s.pieces) {
      if (p.expr != nullptr) expr(*p.expr);
    }
    if (s.target != nullptr && s.kind != StmtKind::kMacro) expr(*s.target);
    if (s.expr != nullptr) expr(*s.expr);
    for (const Expr* e : s.params) expr(*e);
    for (const Expr* e : s.values) expr(*e);
    if (s.kind == StmtKind::kFor) {
      body(s.body);
      body(s.else_body);
      if (s.test != nullptr) expr(*s.test);
      return;
    }
    body(s.body);
    for (const Stmt* elif : s.elifs) stmt(*elif);
    body(s.else_body);
  }

 private:
  std::function<void(const Expr&)> visit_;
};

// Which of `names` the body reads before it binds them itself.
std::set<std::string> undeclared(const Body& body, std::set<std::string> names) {
  std::set<std::string> found;
  NameWalk([&](const Expr& e) {
    if (e.use == NameUse::kLoad && names.contains(e.text)) {
      found.insert(e.text);
    } else if (e.use != NameUse::kLoad) {
      names.erase(e.text);
    }
  }).body(body);
  return found;
}

class Resolver {
 public:
  explicit Resolver(Program& program) : program_(program) {}

  void run() {
    Frame root{scope(nullptr, function(nullptr)), true, false};
    analyze_body(*root.symbols, program_.body);
    program_.scope = enter(root);
    body(program_.body, root);
    program_.n_slots = count(root.symbols->fn);
    finish();
  }

 private:
  Function* function(Function* parent) {
    functions_.push_back(std::make_unique<Function>());
    functions_.back()->parent = parent;
    return functions_.back().get();
  }

  Symbols* scope(Symbols* parent, Function* fn) {
    scopes_.push_back(std::make_unique<Symbols>());
    Symbols* s = scopes_.back().get();
    s->parent = parent;
    s->fn = fn;
    s->level = parent != nullptr ? parent->level + 1 : 0;
    return s;
  }

  // Slots are counted when a function's code is complete; loops and macros store their pointers until then.
  static uint16_t count(const Function* fn) { return static_cast<uint16_t>(fn->slots.size()); }
  void count_later(uint16_t& where, const Function* fn) { counts_.emplace_back(&where, fn); }
  void finish() {
    for (auto& [where, fn] : counts_) *where = count(fn);
  }

  static SlotRef reach(const Function* from, const Ident& ident) {
    SlotRef r;
    r.slot = ident.slot;
    for (; from != ident.fn && from != nullptr; from = from->parent) ++r.hops;
    return r;
  }

  SlotRef ref(const Frame& frame, const std::string& name, int line) const {
    const Ident* ident = frame.symbols->find(name);
    if (ident == nullptr) refuse_syntax(fmt::format("the name '{}' is not known here", name), line);
    return reach(frame.symbols->fn, *ident);
  }

  // ---- analysis: what a scope binds and reads ----

  void analyze_target(Symbols& s, const Expr& e, bool as_param) {
    switch (e.kind) {
      case ExprKind::kName:
        if (as_param || e.use == NameUse::kParam) {
          s.parameter(e.text);
        } else {
          s.store(e.text);
        }
        break;
      case ExprKind::kNamespaceRef:
        s.load(e.text);
        break;
      default:
        for (const Expr* i : e.items) analyze_target(s, *i, as_param);
    }
  }

  void analyze_expr(Symbols& s, const Expr* e) {
    if (e == nullptr) return;
    if (e->kind == ExprKind::kName) s.load(e->text);
    each_child(*e, [&](Expr& child) { analyze_expr(s, &child); });
  }

  void analyze_body(Symbols& s, const Body& stmts) {
    for (const Stmt* stmt : stmts) analyze(s, *stmt);
  }

  void analyze(Symbols& s, const Stmt& stmt) {
    switch (stmt.kind) {
      case StmtKind::kOutput:
        for (const auto& p : stmt.pieces) analyze_expr(s, p.expr);
        break;
      case StmtKind::kFor:
      case StmtKind::kCallBlock:
      case StmtKind::kFilterBlock:
        analyze_expr(s, stmt.expr);
        break;
      case StmtKind::kIf:
        analyze_branches(s, stmt);
        break;
      case StmtKind::kMacro:
        s.store(stmt.name);
        break;
      case StmtKind::kWith:
        for (const Expr* e : stmt.values) analyze_expr(s, e);
        break;
      case StmtKind::kAssign:
        analyze_expr(s, stmt.expr);
        analyze_target(s, *stmt.target, false);
        break;
      case StmtKind::kAssignBlock:
        analyze_target(s, *stmt.target, false);
        break;
      case StmtKind::kImport:
        analyze_expr(s, stmt.expr);
        for (const Expr* e : stmt.params) s.store(e->text);
        break;
      case StmtKind::kGeneration:
      case StmtKind::kBlock:
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        break;
    }
  }

  void analyze_branches(Symbols& s, const Stmt& stmt) {
    analyze_expr(s, stmt.expr);
    copied_ += 3 * (s.refs.size() + s.loads.size());
    if (copied_ > kMaxCopiedNames) refuse_syntax("the template has too many names and branches", stmt.line);
    Symbols branches[3] = {s, s, s};
    analyze_body(branches[0], stmt.body);
    for (const Stmt* elif : stmt.elifs) analyze(branches[1], *elif);
    analyze_body(branches[2], stmt.else_body);
    std::set<std::string> stores;
    for (const Symbols& b : branches) stores.insert(b.stores.begin(), b.stores.end());
    for (const std::string& known : s.stores) stores.erase(known);
    for (const Symbols& b : branches) {
      for (const auto& [name, ident] : b.refs) s.refs[name] = ident;
      for (const auto& [ident, load] : b.loads) s.loads[ident] = load;
      s.stores.insert(b.stores.begin(), b.stores.end());
    }
    for (const std::string& name : stores) {
      const Ident target = *s.find(name);
      const Ident* outer = s.parent != nullptr ? s.parent->find(name) : nullptr;
      s.loads[target] = outer != nullptr ? Load{Load::kAlias, *outer, {}} : Load{Load::kResolve, {}, name};
    }
  }

  // ---- code: scopes, slots, checks ----

  ScopeCode enter(const Frame& frame) {
    ScopeCode code;
    const Function* fn = frame.symbols->fn;
    for (const auto& [ident, load] : frame.symbols->loads) {
      code.leave.push_back(ident.slot);
      switch (load.how) {
        case Load::kParam:
          break;
        case Load::kResolve:
          code.loads.push_back({ScopeCode::Load::kResolve, ident.slot, {}, load.name});
          break;
        case Load::kAlias:
          code.loads.push_back({ScopeCode::Load::kAlias, ident.slot, reach(fn, load.from), {}});
          break;
        case Load::kUndefined:
          code.loads.push_back({ScopeCode::Load::kUndefined, ident.slot, {}, {}});
          break;
      }
    }
    return code;
  }

  void body(const Body& stmts, const Frame& frame) {
    for (Stmt* s : stmts) stmt(*s, frame);
  }

  void expr(Expr* e, const Frame& frame) {
    if (e == nullptr) return;
    if (e->kind == ExprKind::kName || e->kind == ExprKind::kNamespaceRef) e->slot = ref(frame, e->text, e->line);
    Frame inner = frame;
    if (e->kind == ExprKind::kCondition) inner.soft = true;
    const bool known = e->kind == ExprKind::kFilter ? find_filter(e->text) != nullptr
                                                    : e->kind != ExprKind::kTest || find_test(e->text) != nullptr;
    if (!known && !frame.soft) {
      refuse_syntax(fmt::format("No {} named '{}'", e->kind == ExprKind::kFilter ? "filter" : "test", e->text),
                    e->line);
    }
    each_child(*e, [&](Expr& child) { expr(&child, inner); });
  }

  void export_names(Stmt& s, const Expr& target, const Frame& frame) {
    if (!frame.toplevel) return;
    if (target.kind == ExprKind::kName) {
      s.exported.emplace_back(target.text, ref(frame, target.text, s.line));
    } else if (target.kind == ExprKind::kTuple) {
      for (const Expr* i : target.items) export_names(s, *i, frame);
    }
  }

  void stmt(Stmt& s, const Frame& frame) {
    switch (s.kind) {
      case StmtKind::kOutput:
        for (auto& p : s.pieces) expr(p.expr, frame);
        break;
      case StmtKind::kFor:
        for_loop(s, frame);
        break;
      case StmtKind::kIf: {
        Frame soft = frame;
        soft.soft = true;
        expr(s.expr, soft);
        body(s.body, soft);
        for (Stmt* elif : s.elifs) stmt(*elif, soft);
        body(s.else_body, soft);
        break;
      }
      case StmtKind::kMacro:
        macro(s, frame);
        s.target->slot = ref(frame, s.name, s.line);
        export_names(s, *s.target, frame);
        break;
      case StmtKind::kCallBlock:
        macro(s, frame);
        expr(s.expr, frame);
        break;
      case StmtKind::kGeneration:
        macro(s, frame);
        break;
      case StmtKind::kFilterBlock: {
        const Frame inner{scope(frame.symbols, frame.symbols->fn), false, false};
        analyze_body(*inner.symbols, s.body);
        analyze_expr(*inner.symbols, s.expr);
        s.scope = enter(inner);
        body(s.body, inner);
        expr(s.expr, inner);
        break;
      }
      case StmtKind::kWith: {
        const Frame inner{scope(frame.symbols, frame.symbols->fn), false, false};
        for (const Expr* target : s.params) analyze_target(*inner.symbols, *target, false);
        analyze_body(*inner.symbols, s.body);
        s.scope = enter(inner);
        for (Expr* value : s.values) expr(value, frame);
        for (Expr* target : s.params) expr(target, inner);
        body(s.body, inner);
        break;
      }
      case StmtKind::kAssign:
        expr(s.expr, frame);
        expr(s.target, frame);
        export_names(s, *s.target, frame);
        break;
      case StmtKind::kAssignBlock: {
        const Frame inner{scope(frame.symbols, frame.symbols->fn), false, false};
        analyze_body(*inner.symbols, s.body);
        s.scope = enter(inner);
        body(s.body, inner);
        expr(s.target, frame);
        expr(s.expr, inner);
        export_names(s, *s.target, frame);
        break;
      }
      case StmtKind::kBlock: {
        if (!blocks_.insert(s.name).second) refuse_syntax(fmt::format("block '{}' defined twice", s.name), s.line);
        const Frame inner{scope(nullptr, function(nullptr)), false, false};
        analyze_body(*inner.symbols, s.body);
        s.scope = enter(inner);
        body(s.body, inner);
        count_later(s.n_slots, inner.symbols->fn);
        break;
      }
      case StmtKind::kImport:
        expr(s.expr, frame);
        break;
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        break;
    }
  }

  void for_loop(Stmt& s, const Frame& frame) {
    Function* outer = frame.symbols->fn;
    Function* fn = s.recursive ? function(outer) : outer;
    const Frame loop{scope(frame.symbols, fn), false, false};
    const Frame otherwise{scope(frame.symbols, fn), false, false};
    s.has_loop = s.recursive || undeclared(s.body, {"loop"}).contains("loop");
    if (s.has_loop) s.loop_slot = reach(fn, loop.symbols->parameter("loop"));
    analyze_target(*loop.symbols, *s.target, true);
    analyze_body(*loop.symbols, s.body);
    analyze_body(*otherwise.symbols, s.else_body);

    NameWalk([&](const Expr& e) {
      if (e.use == NameUse::kStore && e.text == "loop") {
        refuse_syntax("Can't assign to special loop variable in for-loop target", e.line);
      }
    }).stmt(s);

    if (s.test != nullptr) {
      const Frame test{scope(frame.symbols, function(outer)), false, false};
      analyze_target(*test.symbols, *s.target, true);
      analyze_expr(*test.symbols, s.test);
      s.test_scope = enter(test);
      s.test_target = copy(*s.target);
      expr(s.test_target, test);
      expr(s.test, test);
      count_later(s.n_test_slots, test.symbols->fn);
    }
    s.scope = enter(loop);
    expr(s.target, loop);
    expr(s.expr, frame);
    body(s.body, loop);
    s.else_scope = enter(otherwise);
    body(s.else_body, otherwise);
    if (s.recursive) count_later(s.n_slots, fn);
  }

  Expr* copy(const Expr& e) {
    Expr& c = program_.exprs.emplace_back(e);
    for (Expr*& item : c.items) item = copy(*item);
    return &c;
  }

  // Macro, call block, generation block: a function of its own.
  void macro(Stmt& s, const Frame& frame) {
    const Frame inner{scope(frame.symbols, function(frame.symbols->fn)), false, false};
    Symbols& symbols = *inner.symbols;
    const auto analyze_all = [&] {
      for (const Expr* p : s.params) analyze_target(symbols, *p, true);
      for (const Expr* v : s.values) analyze_expr(symbols, v);
      analyze_body(symbols, s.body);
    };
    analyze_all();
    const std::set<std::string> special = undeclared(s.body, {"caller", "kwargs", "varargs"});
    const auto named = [&](std::string_view name) {
      return std::find_if(s.params.begin(), s.params.end(), [&](const Expr* p) { return p->text == name; });
    };
    const auto caller = named("caller");
    s.explicit_caller = caller != s.params.end();
    if (special.contains("caller")) {
      if (s.explicit_caller) {
        const size_t index = static_cast<size_t>(caller - s.params.begin());
        if (index < s.params.size() - s.values.size()) {
          refuse_syntax("the special \"caller\" argument must be omitted or be given a default", s.line);
        }
      } else {
        s.caller_slot = symbols.parameter("caller").slot;
      }
      s.takes_caller = true;
    }
    if (special.contains("kwargs") && named("kwargs") == s.params.end()) {
      s.kwargs_slot = symbols.parameter("kwargs").slot;
      s.takes_kwargs = true;
    }
    if (special.contains("varargs") && named("varargs") == s.params.end()) {
      s.varargs_slot = symbols.parameter("varargs").slot;
      s.takes_varargs = true;
    }
    analyze_all();
    s.scope = enter(inner);
    for (Expr* p : s.params) expr(p, inner);
    for (Expr* v : s.values) expr(v, inner);
    body(s.body, inner);
    count_later(s.n_slots, symbols.fn);
  }

  Program& program_;
  std::vector<std::unique_ptr<Function>> functions_;
  std::vector<std::unique_ptr<Symbols>> scopes_;
  std::vector<std::pair<uint16_t*, const Function*>> counts_;
  std::set<std::string> blocks_;
  uint64_t copied_ = 0;
};

}  // namespace

void resolve_names(Program& program) { Resolver(program).run(); }

}  // namespace watra::text::jinja
