#include "text/jinja_interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_builtins.h"

namespace watra::text::jinja {

struct Interpreter::Deeper {
  explicit Deeper(Interpreter& in) : interpreter(in) {
    if (++in.depth_ > in.meter.max_depth) {
      --in.depth_;
      refuse_limit(fmt::format("the template calls itself more than {} deep", in.meter.max_depth));
    }
  }
  ~Deeper() { --interpreter.depth_; }
  Interpreter& interpreter;
};

void Interpreter::run(Buffer& out) {
  root_ = &out;
  Activation& act = acquire(nullptr, program_.n_slots);
  enter(program_.scope, act);
  exec_body(program_.body, act, out);
}

// ---- activations and slots ----

Activation& Interpreter::acquire(Activation* parent, size_t n_slots) {
  Activation* act = nullptr;
  if (!free_activations_.empty()) {
    act = free_activations_.back();
    free_activations_.pop_back();
  } else {
    meter.take(sizeof(Activation));
    act = activations_.emplace_back(std::make_unique<Activation>()).get();
  }
  if (n_slots > act->slots.capacity()) meter.take(n_slots * sizeof(Value));
  act->parent = parent;
  act->slots.assign(n_slots, Value{});
  return *act;
}

void Interpreter::release(Activation& act) {
  if (!act.captured) free_activations_.push_back(&act);
}

void Interpreter::capture(Activation* act) {
  for (; act != nullptr && !act->captured; act = act->parent) act->captured = true;
}

Value& Interpreter::slot(const SlotRef& ref, Activation& act) const {
  Activation* a = &act;
  for (uint16_t i = 0; i < ref.hops; ++i) a = a->parent;
  return a->slots[ref.slot];
}

Value Interpreter::lookup(const std::string& name) const {
  if (const auto it = exported_.find(name); it != exported_.end()) return it->second;
  if (const auto it = variables_.find(name); it != variables_.end()) return it->second;
  const NativeDef* global = find_global(name);
  return global != nullptr ? Value::of(global) : Value{};
}

void Interpreter::enter(const ScopeCode& scope, Activation& act) {
  for (const auto& load : scope.loads) {
    Value& target = act.slots[load.slot];
    switch (load.how) {
      case ScopeCode::Load::kResolve:
        target = lookup(load.name);
        break;
      case ScopeCode::Load::kAlias:
        target = slot(load.from, act);
        break;
      case ScopeCode::Load::kUndefined:
        target = Value{};
        break;
    }
  }
}

void Interpreter::leave(const ScopeCode& scope, Activation& act) {
  for (uint16_t s : scope.leave) act.slots[s] = Value{};
}

void Interpreter::export_names(const Stmt& s, Activation& act) {
  for (const auto& [name, ref] : s.exported) exported_[name] = slot(ref, act);
}

void Interpreter::check_namespaces(const Expr& target, Activation& act) {
  if (target.kind == ExprKind::kNamespaceRef) {
    if (!slot(target.slot, act).is(Kind::kNamespace)) refuse_type("cannot assign attribute on non-namespace object");
  } else if (target.kind == ExprKind::kTuple) {
    for (const Expr* i : target.items) check_namespaces(*i, act);
  }
}

void Interpreter::assign(const Expr& target, const Value& value, Activation& act) {
  switch (target.kind) {
    case ExprKind::kName:
      slot(target.slot, act) = value;
      return;
    case ExprKind::kNamespaceRef: {
      const Value& ns = slot(target.slot, act);
      if (!ns.is(Kind::kNamespace)) refuse_type("cannot assign attribute on non-namespace object");
      if (target.text2.starts_with("_")) {
        refuse_type(fmt::format("a namespace cannot store the underscore-prefixed attribute '{}'", target.text2));
      }
      if (Value* known = const_cast<Value*>(ns.ns->attributes->find(target.text2))) {
        *known = value;
      } else {
        ns.ns->attributes->set(*this, text(target.text2), value);
      }
      return;
    }
    default:
      break;
  }
  IteratorObj* it = iterate(*this, value);
  const size_t n = target.items.size();
  std::vector<Value> items;
  for (Value v; items.size() <= n && it->next(*this, v);) items.push_back(v);
  if (items.size() != n) {
    refuse_type(fmt::format("{} values to unpack (expected {})", items.size() < n ? "not enough" : "too many", n));
  }
  for (size_t i = 0; i < n; ++i) assign(*target.items[i], items[i], act);
}

// ---- statements ----

namespace {

// What a call block or filter block makes is written as it is, so it must be text.
void append_text(Buffer& out, const Value& v) {
  if (!v.is_str()) refuse_type(fmt::format("a block must make text, not {}", type_name(v)));
  out.append(v.s);
}

}  // namespace

Interpreter::Flow Interpreter::exec_body(const Body& body, Activation& act, Buffer& out) {
  for (const Stmt* s : body) {
    const Flow flow = exec(*s, act, out);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::exec(const Stmt& s, Activation& act, Buffer& out) {
  meter.tick();
  meter.check_stack();
  line_ = s.line;
  switch (s.kind) {
    case StmtKind::kOutput:
      for (const auto& piece : s.pieces) {
        if (piece.expr == nullptr) {
          out.append(piece.data, false);
        } else {
          line_ = piece.expr->line;
          append_str(*this, out, eval(*piece.expr, act));
        }
      }
      if (&out == root_ && out.size() > meter.max_output_bytes) {
        refuse_limit(fmt::format("the prompt is longer than {} bytes", meter.max_output_bytes));
      }
      return Flow::kNormal;

    case StmtKind::kFor:
      return exec_for(s, act, out);

    case StmtKind::kIf: {
      if (truthy(eval(*s.expr, act))) return exec_body(s.body, act, out);
      for (const Stmt* elif : s.elifs) {
        meter.tick();
        if (truthy(eval(*elif->expr, act))) return exec_body(elif->body, act, out);
      }
      return exec_body(s.else_body, act, out);
    }

    case StmtKind::kMacro:
      slot(s.target->slot, act) = make_macro(s, act);
      export_names(s, act);
      return Flow::kNormal;

    case StmtKind::kCallBlock: {
      const Value caller = make_macro(s, act);
      append_text(out, eval_call(*s.expr, act, &caller));
      return Flow::kNormal;
    }

    case StmtKind::kGeneration: {
      Args none;
      append_text(out, call(make_macro(s, act), none));
      return Flow::kNormal;
    }

    case StmtKind::kFilterBlock:
    case StmtKind::kAssignBlock: {
      enter(s.scope, act);
      Buffer& captured = make_buffer();
      const Flow flow = exec_body(s.body, act, captured);
      if (flow != Flow::kNormal) return flow;
      Value result = text(captured);
      if (s.expr != nullptr) {
        const Value outer = std::exchange(block_text_, result);
        result = eval(*s.expr, act);
        block_text_ = outer;
      }
      if (s.kind == StmtKind::kFilterBlock) {
        append_text(out, result);
      } else {
        assign(*s.target, result, act);
        export_names(s, act);
      }
      leave(s.scope, act);
      return Flow::kNormal;
    }

    case StmtKind::kWith: {
      enter(s.scope, act);
      for (size_t i = 0; i < s.params.size(); ++i) assign(*s.params[i], eval(*s.values[i], act), act);
      const Flow flow = exec_body(s.body, act, out);
      leave(s.scope, act);
      return flow;
    }

    case StmtKind::kAssign:
      check_namespaces(*s.target, act);
      assign(*s.target, eval(*s.expr, act), act);
      export_names(s, act);
      return Flow::kNormal;

    case StmtKind::kBlock: {
      const Deeper deeper(*this);
      Activation& own = acquire(nullptr, s.n_slots);
      enter(s.scope, own);
      exec_body(s.body, own, out);
      release(own);
      return Flow::kNormal;
    }

    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kImport:
      refuse_type(fmt::format("{} is not supported: a chat template stands alone", s.name));
  }
  return Flow::kNormal;
}

// ---- loops ----

IteratorObj* Interpreter::filtered(const Stmt& s, const Value& iterable, Activation& env) {
  IteratorObj* from = iterate(*this, iterable);
  capture(&env);
  Activation& own = acquire(&env, s.n_test_slots);
  own.captured = true;
  bool started = false;
  auto* it = make<IteratorObj>();
  it->step = [this, &s, &own, from, started](Value& out) mutable {
    if (!started) enter(s.test_scope, own);
    started = true;
    for (Value v; from->next(*this, v);) {
      assign(*s.test_target, v, own);
      if (!truthy(eval(*s.test, own))) continue;
      out = v;
      return true;
    }
    return false;
  };
  return it;
}

Interpreter::Flow Interpreter::exec_for(const Stmt& s, Activation& act, Buffer& out) {
  const Value iterable = eval(*s.expr, act);
  if (!s.recursive) return run_loop(s, iterable, act, act, 0, out);
  capture(&act);
  auto* outermost = make<LoopObj>();
  outermost->stmt = &s;
  outermost->env = &act;
  outermost->depth0 = -1;
  out.append(recurse(*outermost, iterable).s);
  return Flow::kNormal;
}

Value Interpreter::recurse(LoopObj& loop, const Value& iterable) {
  const Deeper deeper(*this);
  Activation& own = acquire(loop.env, loop.stmt->n_slots);
  Buffer& out = make_buffer();
  run_loop(*loop.stmt, iterable, own, *loop.env, loop.depth0 + 1, out);
  release(own);
  return text(out);
}

// `act` holds the loop's variables, `env` those of the scope around it (the same unless the loop is recursive).
Interpreter::Flow Interpreter::run_loop(const Stmt& s, const Value& iterable, Activation& act, Activation& env,
                                        Int depth0, Buffer& out) {
  IteratorObj* it = s.test != nullptr ? filtered(s, iterable, env) : iterate(*this, iterable);
  LoopObj* loop = nullptr;
  if (s.has_loop) {
    loop = make<LoopObj>();
    loop->it = it;
    if (s.test == nullptr) loop->iterable = iterable;
    loop->depth0 = depth0;
    if (s.recursive) {
      loop->stmt = &s;
      loop->env = &env;
    }
  }
  Value loop_value;
  if (loop != nullptr) {
    loop_value = Value::object_of(Kind::kLoop, loop);
    loop_value.loop = loop;
  }
  bool nothing = true;
  for (Value v; loop != nullptr ? next_of(*loop, v) : it->next(*this, v);) {
    meter.tick();
    assign(*s.target, v, act);
    if (loop != nullptr) act.slots[s.loop_slot.slot] = loop_value;
    enter(s.scope, act);
    const Flow flow = exec_body(s.body, act, out);
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNormal) nothing = false;  // as jinja2: a first round that breaks leaves `else` to come
  }
  leave(s.scope, act);
  if (!nothing || s.else_body.empty()) return Flow::kNormal;
  enter(s.else_scope, act);
  const Flow flow = exec_body(s.else_body, act, out);  // a break in here belongs to a loop further out
  leave(s.else_scope, act);
  return flow;
}

bool Interpreter::next_of(LoopObj& loop, Value& out) {
  if (!loop.after.missing()) {
    out = loop.after;
  } else if (!loop.it->next(*this, out)) {
    return false;
  }
  loop.after = Value{};
  ++loop.index0;
  loop.before = loop.current;
  loop.current = out;
  return true;
}

bool Interpreter::peek(LoopObj& loop) {
  if (!loop.after.missing()) return true;
  Value v;
  if (loop.it->next(*this, v)) loop.after = v;
  return !loop.after.missing();
}

Int Interpreter::loop_length(LoopObj& loop) {
  if (loop.length) return *loop.length;
  const auto known = loop.iterable.missing() ? std::nullopt : length_of(*this, loop.iterable);
  if (known) {
    loop.length = static_cast<Int>(*known);
  } else {
    const Value rest = list(to_vector(*this, Value::object_of(Kind::kIterator, loop.it)));
    loop.it = iterate(*this, rest);
    loop.length = static_cast<Int>(rest.list->items.size()) + loop.index0 + 1 + (loop.after.missing() ? 0 : 1);
  }
  return *loop.length;
}

namespace {

Value loop_cycle(Runtime&, const Value& self, Args& args) {
  if (!args.kw.empty()) refuse_type("cycle() takes no keyword arguments");
  if (args.pos.empty()) refuse_type("no items for cycling given");
  const Int n = static_cast<Int>(args.pos.size());
  return args.pos[static_cast<size_t>((self.loop->index0 % n + n) % n)];
}

Value loop_changed(Runtime& rt, const Value& self, Args& args) {
  if (!args.kw.empty()) refuse_type("changed() takes no keyword arguments");
  auto& last = self.loop->changed_last;
  const bool same = last && last->size() == args.pos.size() &&
                    std::equal(last->begin(), last->end(), args.pos.begin(),
                               [&](const Value& a, const Value& b) { return equal(rt, a, b); });
  if (!same) last = args.pos;
  return Value::of(!same);
}

constexpr NativeDef kLoopCycle = {"cycle", loop_cycle};
constexpr NativeDef kLoopChanged = {"changed", loop_changed};

}  // namespace

Value Interpreter::inner_attribute(const Value& owner, std::string_view name) {
  if (owner.is(Kind::kMacro)) {
    const Stmt& def = *owner.macro->def;
    if (name == "name") return def.kind == StmtKind::kMacro ? text(def.name) : Value::none();
    if (name == "arguments") {
      std::vector<Value> names;
      for (const Expr* p : def.params) names.push_back(text(p->text));
      return tuple(std::move(names));
    }
    if (name == "catch_kwargs") return Value::of(def.takes_kwargs);
    if (name == "catch_varargs") return Value::of(def.takes_varargs);
    if (name == "caller") return Value::of(def.takes_caller);
    if (name == "explicit_caller") return Value::of(def.explicit_caller);
    return {};
  }
  LoopObj& loop = *owner.loop;
  if (name == "index0") return Value::of_int(loop.index0);
  if (name == "index") return Value::of_int(loop.index0 + 1);
  if (name == "first") return Value::of(loop.index0 == 0);
  if (name == "last") return Value::of(!peek(loop));
  if (name == "length") return Value::of_int(loop_length(loop));
  if (name == "revindex") return Value::of_int(loop_length(loop) - loop.index0);
  if (name == "revindex0") return Value::of_int(loop_length(loop) - loop.index0 - 1);
  if (name == "depth") return Value::of_int(loop.depth0 + 1);
  if (name == "depth0") return Value::of_int(loop.depth0);
  if (name == "previtem") return loop.index0 == 0 ? undefined("there is no previous item") : loop.before;
  if (name == "nextitem") return peek(loop) ? loop.after : undefined("there is no next item");
  if (name == "cycle") return method(owner, &kLoopCycle);
  if (name == "changed") return method(owner, &kLoopChanged);
  return {};
}

// ---- expressions ----

Value Interpreter::eval(const Expr& e, Activation& act) {
  meter.tick();
  switch (e.kind) {
    case ExprKind::kNone:
      return Value::none();
    case ExprKind::kTrue:
      return Value::of(true);
    case ExprKind::kFalse:
      return Value::of(false);
    case ExprKind::kInt:
      return Value::of_int(e.integer);
    case ExprKind::kFloat:
      return Value::of(e.real);
    case ExprKind::kText: {
      Value& v = texts_[e.text_id];
      if (v.missing()) v = text(program_.texts[e.text_id]);
      return v;
    }
    case ExprKind::kName: {
      const Value& v = slot(e.slot, act);
      if (!v.missing()) return v;
      auto* u = make<UndefinedObj>();
      u->name = e.text;
      return Value::object_of(Kind::kUndefined, u);
    }
    case ExprKind::kTuple:
    case ExprKind::kList: {
      meter.check_stack();
      std::vector<Value> items;
      items.reserve(e.items.size());
      for (const Expr* i : e.items) items.push_back(eval(*i, act));
      return e.kind == ExprKind::kList ? list(std::move(items)) : tuple(std::move(items));
    }
    case ExprKind::kDict: {
      meter.check_stack();
      auto* d = make<DictObj>();
      for (size_t i = 0; i + 1 < e.items.size(); i += 2) {
        const Value key = eval(*e.items[i], act);
        d->set(*this, key, eval(*e.items[i + 1], act));
      }
      return Value::of(d);
    }
    case ExprKind::kCondition:
      if (truthy(eval(*e.c, act))) return eval(*e.a, act);
      if (e.b != nullptr) return eval(*e.b, act);
      return undefined(fmt::format(
          "the inline if-expression on line {} evaluated to false and no else section was defined.", e.line));
    case ExprKind::kOr: {
      const Value v = eval(*e.a, act);
      return truthy(v) ? v : eval(*e.b, act);
    }
    case ExprKind::kAnd: {
      const Value v = eval(*e.a, act);
      return truthy(v) ? eval(*e.b, act) : v;
    }
    case ExprKind::kNot:
      return Value::of(!truthy(eval(*e.a, act)));
    case ExprKind::kNegate:
      return negate(*this, eval(*e.a, act));
    case ExprKind::kPositive:
      return positive(*this, eval(*e.a, act));
    case ExprKind::kBinary: {
      const Value a = eval(*e.a, act);
      const Value b = eval(*e.b, act);
      return binary(*this, e.op, a, b);
    }
    case ExprKind::kConcat:
      return eval_concat(e, act);
    case ExprKind::kCompare:
      return eval_compare(e, act);
    case ExprKind::kFilter: {
      const Value self = e.a != nullptr ? eval(*e.a, act) : block_text_;
      Args args;
      eval_arguments(e, act, args);
      line_ = e.line;
      return call_filter(e.text, self, args);
    }
    case ExprKind::kTest: {
      const Value self = eval(*e.a, act);
      Args args;
      eval_arguments(e, act, args);
      line_ = e.line;
      return Value::of(call_test(e.text, self, args));
    }
    case ExprKind::kCall:
      return eval_call(e, act, nullptr);
    case ExprKind::kAttribute:
      return get_attribute(*this, eval(*e.a, act), e.text);
    case ExprKind::kItem: {
      const Value owner = eval(*e.a, act);
      if (e.b->kind != ExprKind::kSlice) return get_item(*this, owner, eval(*e.b, act));
      const auto part = [&](const Expr* p) { return p != nullptr ? eval(*p, act) : Value{}; };
      const Value start = part(e.b->a), stop = part(e.b->b), step = part(e.b->c);
      return get_slice(*this, owner, start, stop, step);
    }
    case ExprKind::kNamespaceRef:
    case ExprKind::kSlice:
      break;
  }
  refuse_type("this expression has no value");
}

Value Interpreter::eval_compare(const Expr& e, Activation& act) {
  Value left = eval(*e.a, act);
  bool result = true;
  for (size_t i = 0; i < e.compare.size() && result; ++i) {
    const Value right = eval(*e.items[i], act);
    switch (e.compare[i]) {
      case CompareOp::kEq:
        result = equal(*this, left, right);
        break;
      case CompareOp::kNe:
        result = !equal(*this, left, right);
        break;
      case CompareOp::kLt:
        result = in_order(*this, left, Order::kLess, right);
        break;
      case CompareOp::kLe:
        result = in_order(*this, left, Order::kLessEqual, right);
        break;
      case CompareOp::kGt:
        result = in_order(*this, left, Order::kGreater, right);
        break;
      case CompareOp::kGe:
        result = in_order(*this, left, Order::kGreaterEqual, right);
        break;
      case CompareOp::kIn:
        result = contains(*this, right, left);
        break;
      case CompareOp::kNotIn:
        result = !contains(*this, right, left);
        break;
    }
    left = right;
  }
  return Value::of(result);
}

Value Interpreter::eval_concat(const Expr& e, Activation& act) {
  std::vector<Value> parts;
  parts.reserve(e.items.size());
  for (const Expr* i : e.items) parts.push_back(eval(*i, act));
  // `x ~ more` goes on writing where x ends, if nothing has been written there yet.
  const Value& head = parts[0];
  if (head.is_str() && !head.s.buffer->sealed() && head.s.end == head.s.buffer->size()) {
    Buffer& out = *head.s.buffer;
    const bool apart = std::none_of(parts.begin() + 1, parts.end(), [&](const Value& p) {
      return !p.is_number() && !(p.is_str() && p.s.buffer != &out);  // a list may hold the head itself
    });
    if (apart) {
      for (size_t i = 1; i < parts.size(); ++i) append_str(*this, out, parts[i]);
      return Value::of(Str{&out, head.s.begin, static_cast<uint32_t>(out.size())});
    }
  }
  Buffer& out = make_buffer();
  for (const Value& p : parts) append_str(*this, out, p);
  return text(out);
}

void Interpreter::eval_arguments(const Expr& e, Activation& act, Args& args) {
  args.pos.reserve(e.items.size());
  for (const Expr* i : e.items) args.pos.push_back(eval(*i, act));
  for (const auto& [key, value] : e.keywords) args.kw.emplace_back(key, eval(*value, act));
  if (e.star != nullptr) {
    for (const Value& v : to_vector(*this, eval(*e.star, act))) args.pos.push_back(v);
  }
  if (e.star_star == nullptr) return;
  const Value more = eval(*e.star_star, act);
  require_defined(more);
  if (!more.is(Kind::kDict)) refuse_type(fmt::format("argument after ** must be a mapping, not {}", type_name(more)));
  for (const auto& [key, value] : more.dict->items) {
    if (!key.is_str()) refuse_type("keywords must be strings");
    const std::string name(key.s.view());
    const bool twice = std::any_of(args.kw.begin(), args.kw.end(), [&](const auto& k) { return k.first == name; });
    if (twice) refuse_type(fmt::format("got multiple values for keyword argument '{}'", name));
    args.kw.emplace_back(name, value);
  }
}

Value Interpreter::eval_call(const Expr& e, Activation& act, const Value* caller) {
  meter.check_stack();
  const Value callee = eval(*e.a, act);
  Args args;
  eval_arguments(e, act, args);
  if (caller != nullptr) {
    for (const auto& k : args.kw) {
      if (k.first == "caller") refuse_type("a call block was given two callers");
    }
    args.kw.emplace_back("caller", *caller);
  }
  line_ = e.line;
  return call(callee, args);
}

// ---- calls ----

Value Interpreter::call(const Value& callee, Args& args) {
  switch (callee.kind) {
    case Kind::kUndefined:
      refuse_use(callee);
    case Kind::kMacro:
      return call_macro(*callee.macro, args);
    case Kind::kFunction:
      return callee.function->fn(*this, Value{}, args);
    case Kind::kMethod:
      return callee.method->def->fn(*this, callee.method->self, args);
    case Kind::kLoop: {
      const Bound a("loop", args, {"iterable"}, 1);
      if (callee.loop->stmt == nullptr) {
        refuse_type("The loop must have the 'recursive' marker to be called recursively.");
      }
      return recurse(*callee.loop, a[0]);
    }
    case Kind::kJoiner: {
      const Bound a("joiner", args, {}, 0);
      if (callee.joiner->used) return callee.joiner->separator;
      callee.joiner->used = true;
      return text("");
    }
    default:
      refuse_type(fmt::format("'{}' object is not callable", type_name(callee)));
  }
}

Value Interpreter::make_macro(const Stmt& s, Activation& act) {
  capture(&act);
  auto* m = make<MacroObj>();
  m->def = &s;
  m->env = &act;
  Value v = Value::object_of(Kind::kMacro, m);
  v.macro = m;
  return v;
}

Value Interpreter::call_macro(const MacroObj& macro, Args& args) {
  const Deeper deeper(*this);
  const Stmt& def = *macro.def;
  const char* name = def.kind == StmtKind::kMacro ? def.name.c_str() : "caller";
  Activation& own = acquire(macro.env, def.n_slots);
  const auto take_keyword = [&](std::string_view key) {
    const auto it = std::find_if(args.kw.begin(), args.kw.end(), [&](const auto& k) { return k.first == key; });
    if (it == args.kw.end()) return Value{};
    const Value v = it->second;
    args.kw.erase(it);
    return v;
  };
  const size_t n = def.params.size(), given = std::min(n, args.pos.size());
  std::vector<Value> values(args.pos.begin(), args.pos.begin() + static_cast<ptrdiff_t>(given));
  bool found_caller = given == n && def.explicit_caller;
  for (size_t i = given; i < n; ++i) {
    values.push_back(take_keyword(def.params[i]->text));
    found_caller = found_caller || def.params[i]->text == "caller";
  }
  if (def.takes_caller && !found_caller) {
    Value caller = take_keyword("caller");
    if (caller.missing() || caller.is(Kind::kNone)) caller = undefined("No caller defined");
    own.slots[def.caller_slot] = caller;
  }
  if (def.takes_kwargs) {
    auto* kwargs = make<DictObj>();
    for (const auto& [key, value] : args.kw) kwargs->set(*this, text(key), value);
    own.slots[def.kwargs_slot] = Value::of(kwargs);
  } else if (!args.kw.empty()) {
    refuse_type(fmt::format("macro '{}' takes no keyword argument '{}'", name, args.kw[0].first));
  }
  if (def.takes_varargs) {
    own.slots[def.varargs_slot] = tuple({args.pos.begin() + static_cast<ptrdiff_t>(given), args.pos.end()});
  } else if (args.pos.size() > n) {
    refuse_type(fmt::format("macro '{}' takes not more than {} argument(s)", name, n));
  }

  for (size_t i = 0; i < n; ++i) own.slots[def.params[i]->slot.slot] = values[i];
  enter(def.scope, own);
  const size_t first_default = n - def.values.size();
  for (size_t i = 0; i < n; ++i) {
    if (!own.slots[def.params[i]->slot.slot].missing()) continue;
    own.slots[def.params[i]->slot.slot] =
        i >= first_default ? eval(*def.values[i - first_default], own)
                           : undefined(fmt::format("parameter '{}' was not provided", def.params[i]->text));
  }
  Buffer& out = make_buffer();
  exec_body(def.body, own, out);
  release(own);
  return text(out);
}

Value Interpreter::call_filter(std::string_view name, const Value& self, Args& args) {
  const NativeFn fn = find_filter(name);
  if (fn == nullptr) refuse_type(fmt::format("No filter named '{}' found.", name));
  return fn(*this, self, args);
}

bool Interpreter::call_test(std::string_view name, const Value& self, Args& args) {
  const TestFn fn = find_test(name);
  if (fn == nullptr) refuse_type(fmt::format("No test named '{}' found.", name));
  return fn(*this, self, args);
}

bool Interpreter::is_filter(std::string_view name) const { return find_filter(name) != nullptr; }
bool Interpreter::is_test(std::string_view name) const { return find_test(name) != nullptr; }

}  // namespace watra::text::jinja
