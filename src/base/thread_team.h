// ThreadTeam: a fixed set of persistent threads that run one function together.
//
// run(fn) calls fn(rank) once on every member (rank 0 is the calling thread) and returns when all have returned.
// Inside fn, barrier() waits for all members that run. Waiting spins, then offers the processor to others, then sleeps:
// a team costs a fraction of a microsecond between the ops of a pass, nothing between answers, and does not stand in
// its own way where processors are few. Work is shared out by claiming chunks, so that fast and slow cores finish
// together; where all of it is claimed, run_claimed(fn) may also leave members out while other programs keep processors
// busy (team_sizer.h).
//
// One run at a time (calls from several threads are serialized by the caller). fn must not throw.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "base/team_sizer.h"

namespace watra {

// Where a team's threads may run.
struct Affinity {
  std::vector<int> cpus;  // logical processors; empty = the system decides
  // true: member i is bound to cpus[i % n], and so is the thread that calls run(). false: the team's own threads may
  // use all of them, the caller is left alone.
  bool one_each = true;
};

class ThreadTeam {
 public:
  // Where the system refuses threads the team is smaller; size() tells. Binding that it refuses is not done.
  explicit ThreadTeam(int n_threads, Affinity affinity = {});  // >= 1
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return n_threads_; }

  // fn: void(int rank). Taken by reference: no allocation.
  template <class Fn>
  void run(Fn&& fn) {
    run_members(n_threads_, caller<Fn>, &fn);
  }

  // As run(), on ranks 0..k-1 with k <= size(): fn claims its work and does not count on any rank but 0.
  template <class Fn>
  void run_claimed(Fn&& fn) {
    run_sized(caller<Fn>, &fn);
  }

  // Waits until every member of this run has called it. Only inside a run.
  void barrier() {
    if (uint32_t phase; !arrive(phase)) await(phase);
  }
  // The same; meanwhile calls idle() again and again, as long as that returns true. It should take less than a tenth of
  // a microsecond each time, since nobody waits for whoever is inside.
  template <class Idle>
  void barrier(Idle&& idle) {
    uint32_t phase;
    if (arrive(phase)) return;
    while (barrier_phase_.load(std::memory_order_acquire) == phase && idle()) {
    }
    await(phase);
  }
  // Inside a run: members that take part in it.
  int n_running() const { return n_running_; }
  // Inside a run: this member slept for so long, waiting for something else than a processor (a disk). Otherwise the
  // team would take other programs for busy, and become smaller.
  static void slept(std::chrono::nanoseconds time);

  // Calls fn(begin, end) over chunks of [0, n), claimed by whichever member is free. For work outside a pass (loading).
  template <class Fn>
  void parallel_for(int64_t n, int64_t chunk, Fn&& fn) {
    std::atomic<int64_t> next{0};
    run([&](int) {
      for (int64_t b; (b = next.fetch_add(chunk, std::memory_order_relaxed)) < n;) fn(b, b + chunk < n ? b + chunk : n);
    });
  }

 private:
  using Call = void (*)(void*, int);
  using Clock = std::chrono::steady_clock;
  template <class Fn>
  static void caller(void* f, int rank) {
    (*static_cast<std::remove_reference_t<Fn>*>(f))(rank);
  }
  struct alignas(64) Seat {
    std::atomic<uint32_t> turn{0};  // bumped to start the member
  };

  void run_members(int n_members, Call call, void* context);
  void run_sized(Call call, void* context);
  void call_timed(int rank);
  void member(int rank);
  void bind_caller();
  bool arrive(uint32_t& phase);  // true: as the last one, whom nothing keeps
  void await(uint32_t phase);

  int n_threads_;
  const Affinity affinity_;
  std::vector<std::thread> threads_;
  std::unique_ptr<Seat[]> seats_;
  TeamSizer sizer_;
  std::thread::id bound_caller_;

  // of the run; written before it starts
  Call call_ = nullptr;
  void* context_ = nullptr;
  int n_running_ = 1;
  bool timed_ = false;

  alignas(64) std::atomic<int> unfinished_{0};  // members still inside fn, rank 0 excluded
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> barrier_phase_{0};
  alignas(64) std::atomic<int64_t> lost_ns_{0};  // of all members: ready to run, but not running
  std::atomic<bool> stop_{false};
};

// Threads that compute: one per physical core this process may use (hyper-threads not counted), no more than its
// control group's quota pays for; of processors with fast and efficient cores, the fast ones alone. They read memory as
// fast as all together, and nobody waits for a slow core at the end of an op. >= 1.
int default_thread_count();
// The fast cores' logical processors, where there are two kinds of cores, this process may use both, and the fast ones
// suffice for so many threads; otherwise empty.
Affinity default_affinity(int n_threads);

}  // namespace watra
