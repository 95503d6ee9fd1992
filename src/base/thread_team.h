// ThreadTeam: a fixed set of persistent threads that run one function together.
//
// run(fn) calls fn(rank) once on every member (rank 0 is the calling thread) and returns when all have returned.
// Inside fn, barrier(rank) waits for all members. Waiting spins for a short while, then sleeps, so that a team costs
// nothing between answers and microseconds between the ops of a pass. Work is shared out through a WorkQueue: members
// claim chunks, so that fast and slow cores finish together.
//
// One run at a time (calls from several threads are serialized by the caller). fn must not throw.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace watra {

class ThreadTeam {
 public:
  // Where the system refuses threads the team is smaller; size() tells.
  explicit ThreadTeam(int n_threads);  // >= 1
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return n_threads_; }

  // fn: void(int rank). Taken by reference: no allocation.
  template <class Fn>
  void run(Fn&& fn) {
    run_raw([](void* f, int rank) { (*static_cast<std::remove_reference_t<Fn>*>(f))(rank); }, &fn);
  }

  // Waits until every member has called it. Only inside run().
  void barrier();

  // Calls fn(begin, end) over chunks of [0, n), claimed by whichever member is free. For work outside a pass (loading).
  template <class Fn>
  void parallel_for(int64_t n, int64_t chunk, Fn&& fn) {
    std::atomic<int64_t> next{0};
    run([&](int) {
      for (int64_t b; (b = next.fetch_add(chunk, std::memory_order_relaxed)) < n;) fn(b, b + chunk < n ? b + chunk : n);
    });
  }

 private:
  void run_raw(void (*call)(void*, int), void* context);
  void member(int rank);

  int n_threads_;
  std::vector<std::thread> threads_;
  void (*call_)(void*, int) = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<uint32_t> generation_{0};  // bumped to start a run
  alignas(64) std::atomic<int> running_{0};          // members still inside fn, rank 0 excluded
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> barrier_phase_{0};
  std::atomic<bool> stop_{false};
};

// Physical cores of this machine (hyper-threads and offline CPUs not counted), limited by the process's affinity; >= 1.
int default_thread_count();

}  // namespace watra
