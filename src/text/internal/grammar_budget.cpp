#include "text/internal/grammar_budget.h"

#include <malloc.h>

#include <new>

#include "base/cpu_clock.h"

namespace watra::text {
namespace {

thread_local GrammarBudget* tl_budget = nullptr;
constexpr uint64_t kCallsPerLook = 256;  // reading the clock costs as much as some allocations

}  // namespace

GrammarBudget::GrammarBudget(double cpu_seconds, uint64_t bytes)
    : end_s_(thread_cpu_seconds() + cpu_seconds), limit_(static_cast<int64_t>(bytes)) {
  tl_budget = this;
}

GrammarBudget::~GrammarBudget() { tl_budget = nullptr; }

GrammarBudget* GrammarBudget::present() { return tl_budget; }

void GrammarBudget::check(size_t bytes) {
  if (std::uncaught_exceptions() > 0) return;  // unwinding may allocate
  if (held_ + static_cast<int64_t>(bytes) > limit_) throw Spent(false);
  if (++n_calls_ % kCallsPerLook == 0 && thread_cpu_seconds() > end_s_) throw Spent(true);
}

}  // namespace watra::text

// The names tools/xgrammar gives to operator new and delete inside of XGrammar's library.
extern "C" void* watra_grammar_new(size_t bytes) {
  using watra::text::GrammarBudget;
  GrammarBudget* const budget = GrammarBudget::present();
  if (!budget) return ::operator new(bytes);
  budget->check(bytes);
  void* const p = ::operator new(bytes);
  budget->count(static_cast<int64_t>(malloc_usable_size(p)));
  return p;
}

extern "C" void watra_grammar_delete(void* p) {
  using watra::text::GrammarBudget;
  if (GrammarBudget* const budget = GrammarBudget::present(); budget && p)
    budget->count(-static_cast<int64_t>(malloc_usable_size(p)));
  ::operator delete(p);
}

extern "C" void watra_grammar_delete_sized(void* p, size_t) { watra_grammar_delete(p); }
