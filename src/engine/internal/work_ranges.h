// WorkRanges: n units in order, of which each member of a team begins with a range of its own.
//
// A member takes from the front of its range: what it reads lies in one piece, so what a kernel fetches ahead is what
// the same core needs next. Who has nothing left takes from the back of the range in which most is left. Takes shrink:
// each is a third of what a member would get if all that is left were shared out evenly. So they are few, and a member
// that is three times slower than the others (an efficient core, a core shared with another program) still ends within
// a few percent of the ideal time with them.
//
// take() from any thread, each member for itself; clear() while nobody takes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

namespace watra::engine::internal {

struct WorkRange {
  int64_t begin = 0, end = 0;
  int64_t own_end = 0;  // what lies in [end, own_end) is this member's next, unless others take it; at least end
  bool is_empty() const { return begin == end; }
};

class WorkRanges {
 public:
  explicit WorkRanges(int n_members = 1) : taken_(static_cast<size_t>(n_members)) {}

  void clear(int member) { seat(member).store(0, std::memory_order_relaxed); }

  // Where `member` of n_members begins. n < 2^31.
  static WorkRange own(int64_t n, int member, int n_members) {
    const int64_t end = n * (member + 1) / n_members;
    return {n * member / n_members, end, end};
  }

  // The next of n units for a member; empty: none is left.
  WorkRange take(int64_t n, int member, int n_members) {
    for (;;) {
      uint64_t mine = 0, most_taken = 0;  // of the member's range, and of that in which most is left
      int64_t all_left = 0, most_left = 0;
      int victim = 0;
      for (int m = 0; m < n_members; ++m) {
        const uint64_t taken = seat(m).load(std::memory_order_relaxed);
        const int64_t left = left_of(own(n, m, n_members), taken);
        all_left += left;
        if (m == member) mine = taken;
        if (left > most_left) victim = m, most_left = left, most_taken = taken;
      }
      if (all_left == 0) return {};
      const int64_t fair = std::max<int64_t>(1, all_left / (kTakesLeft * n_members));
      const WorkRange range = own(n, member, n_members);
      if (const int64_t left = left_of(range, mine); left > 0) {
        const int64_t begin = range.begin + front(mine), count = std::min(fair, left);
        if (exchange(member, mine, mine + static_cast<uint64_t>(count)))
          return {begin, begin + count, range.end - back(mine)};
      } else {
        const int64_t end = own(n, victim, n_members).end - back(most_taken), count = std::min(fair, most_left);
        if (exchange(victim, most_taken, most_taken + (static_cast<uint64_t>(count) << 32)))
          return {end - count, end, end};
      }
    }
  }

 private:
  // Simulated over 2 to 16 members with one or half of them slower (work_ranges_test.cpp): 2 leaves a slow member
  // working alone for up to 40 % of a step, 4 gains nothing more.
  static constexpr int64_t kTakesLeft = 3;

  // Units taken from the front in the lower half, from the back in the upper one.
  struct alignas(64) Taken {
    std::atomic<uint64_t> both{0};
  };
  static int64_t front(uint64_t taken) { return static_cast<int64_t>(taken & 0xffffffffu); }
  static int64_t back(uint64_t taken) { return static_cast<int64_t>(taken >> 32); }
  static int64_t left_of(const WorkRange& r, uint64_t taken) { return r.end - r.begin - front(taken) - back(taken); }
  std::atomic<uint64_t>& seat(int member) { return taken_[static_cast<size_t>(member)].both; }
  bool exchange(int member, uint64_t from, uint64_t to) {
    return seat(member).compare_exchange_strong(from, to, std::memory_order_relaxed);
  }

  std::vector<Taken> taken_;
};

}  // namespace watra::engine::internal
