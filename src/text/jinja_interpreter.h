// Walks a resolved Program and writes text. One Interpreter per render; not for several threads.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

namespace watra::text::jinja {

// The slots of one call of a function (the template, a macro, a recursive loop, a loop's filter).
struct Activation {
  Activation* parent = nullptr;
  std::vector<Value> slots;
  bool captured = false;  // a macro or iterator may still come back to it
};

struct MacroObj : Object {
  const Stmt* def = nullptr;
  Activation* env = nullptr;
};

struct LoopObj : Object {
  const Stmt* stmt = nullptr;
  Activation* env = nullptr;  // of a recursive loop: where it was written
  Value iterable;
  IteratorObj* it = nullptr;
  Int index0 = -1;
  Int depth0 = 0;
  std::optional<Int> length;
  Value after, current, before;  // Missing where there is none
  std::optional<std::vector<Value>> changed_last;
};

class Interpreter : public Runtime {
 public:
  Interpreter(const Program& program, std::unordered_map<std::string, Value> variables)
      : program_(program), variables_(std::move(variables)), texts_(program.texts.size()) {}

  void set_variable(const std::string& name, const Value& v) { variables_[name] = v; }
  void run(Buffer& out);
  int line() const { return line_; }

  Value call(const Value& callee, Args& args) override;
  Value call_filter(std::string_view name, const Value& self, Args& args) override;
  bool call_test(std::string_view name, const Value& self, Args& args) override;
  bool is_filter(std::string_view name) const override;
  bool is_test(std::string_view name) const override;
  Value inner_attribute(const Value& owner, std::string_view name) override;

 private:
  enum class Flow { kNormal, kBreak, kContinue };

  Flow exec_body(const Body& body, Activation& act, Buffer& out);
  Flow exec(const Stmt& s, Activation& act, Buffer& out);
  Flow exec_for(const Stmt& s, Activation& act, Buffer& out);
  Flow run_loop(const Stmt& s, const Value& iterable, Activation& act, Activation& env, Int depth0, Buffer& out);
  Value recurse(LoopObj& loop, const Value& iterable);
  IteratorObj* filtered(const Stmt& s, const Value& iterable, Activation& env);
  bool next_of(LoopObj& loop, Value& out);
  bool peek(LoopObj& loop);
  Int loop_length(LoopObj& loop);

  Value eval(const Expr& e, Activation& act);
  Value eval_compare(const Expr& e, Activation& act);
  Value eval_concat(const Expr& e, Activation& act);
  Value eval_call(const Expr& e, Activation& act, const Value* caller);
  void eval_arguments(const Expr& e, Activation& act, Args& args);
  Value make_macro(const Stmt& s, Activation& act);
  Value call_macro(const MacroObj& macro, Args& args);

  void assign(const Expr& target, const Value& value, Activation& act);
  void check_namespaces(const Expr& target, Activation& act);
  void export_names(const Stmt& s, Activation& act);
  void enter(const ScopeCode& scope, Activation& act);
  void leave(const ScopeCode& scope, Activation& act);
  Value lookup(const std::string& name) const;
  Value& slot(const SlotRef& ref, Activation& act) const;

  Activation& acquire(Activation* parent, size_t n_slots);
  void release(Activation& act);
  static void capture(Activation* act);

  struct Deeper;  // counts calls within calls

  const Program& program_;
  std::unordered_map<std::string, Value> variables_;
  std::unordered_map<std::string, Value> exported_;  // set at top level: what blocks see
  std::vector<Value> texts_;
  std::vector<std::unique_ptr<Activation>> activations_;
  std::vector<Activation*> free_activations_;
  Value block_text_;  // what the filter of a filter block or set block works on
  uint32_t depth_ = 0;
  int line_ = 0;
  const Buffer* root_ = nullptr;
};

}  // namespace watra::text::jinja
