// GrammarBudget: a limit on what XGrammar may spend in the present thread while this object lives.
//
// XGrammar knows no limits. It allocates all the time, though, and its allocations come to us (tools/xgrammar renames
// operator new and delete in its library): one that is too late or too much throws GrammarBudget::Spent, and the work
// is unwound. Without a budget its allocations are plain ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>

namespace watra::text {

class GrammarBudget {
 public:
  struct Spent : std::exception {
    explicit Spent(bool time) : on_time(time) {}
    const char* what() const noexcept override { return on_time ? "takes too long" : "takes too much memory"; }
    bool on_time;
  };

  GrammarBudget(double cpu_seconds, uint64_t bytes);
  ~GrammarBudget();
  GrammarBudget(const GrammarBudget&) = delete;
  GrammarBudget& operator=(const GrammarBudget&) = delete;

  // Called by the allocation functions: before, may throw Spent; after, with what is held more or less.
  void check(size_t bytes);
  void count(int64_t bytes) { held_ += bytes; }
  int64_t held_bytes() const { return held_; }
  static GrammarBudget* present();

 private:
  double end_s_;
  int64_t limit_, held_ = 0;  // what was taken before may be given back: below 0
  uint64_t n_calls_ = 0;
};

}  // namespace watra::text
