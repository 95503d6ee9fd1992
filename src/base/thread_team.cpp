#include "base/thread_team.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

#include "base/cpu.h"

namespace watra {
namespace {

using Clock = std::chrono::steady_clock;

// How often a waiter looks before it yields: tens of microseconds, longer than members of a pass usually wait.
constexpr int kSpins = 1000;
// How long it goes on looking, offering the processor to others each time, before it sleeps. In a run: longer than a
// scheduler's time slice, since whoever is waited for comes back after one. Between runs: longer than the choice of a
// token takes.
constexpr std::chrono::microseconds kYieldInRun{10'000}, kYieldBetweenRuns{1'000};

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// What this thread slept in the run so far: time in which it was not kept from running by others.
thread_local int64_t slept_ns = 0;

template <class T>
void wait_while_equal(std::atomic<T>& value, T old, std::chrono::microseconds yielding) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_cpu();
  }
  const auto begin = Clock::now();
  auto now = begin;
  for (; now - begin < yielding; now = Clock::now()) {
    if (value.load(std::memory_order_acquire) != old) return;
    ::sched_yield();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
  slept_ns += std::chrono::nanoseconds(Clock::now() - now).count();
}

int64_t thread_cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

bool bind_this_thread(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof set, &set) == 0;
}

// Processors' worth of time that the control groups of this process allow (containers); 0 = no limit.
double quota_cpus() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;
    double least = 0;
    const std::filesystem::path root = "/sys/fs/cgroup";
    for (std::filesystem::path p = line.substr(4);; p = p.parent_path()) {
      std::ifstream f(root / p / "cpu.max");  // "200000 100000" or "max 100000"
      std::string quota;
      double period = 0;
      if (f >> quota >> period && quota != "max" && period > 0) {
        const double cpus = std::atof(quota.c_str()) / period;
        if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
      }
      if (p.empty()) return least;
    }
  }
  return 0;
}

// The fast ones of two kinds of processors; empty where this process has one kind.
std::vector<int> fast_cpus() {
  const CpuInfo& info = cpu_info();
  const std::vector<int> allowed = allowed_cpus();
  const auto of = [&](const std::vector<int>& kind) {
    std::vector<int> out;
    std::copy_if(kind.begin(), kind.end(), std::back_inserter(out),
                 [&](int cpu) { return std::find(allowed.begin(), allowed.end(), cpu) != allowed.end(); });
    return out;
  };
  return of(info.efficiency_cpus).empty() ? std::vector<int>{} : of(info.performance_cpus);
}

}  // namespace

ThreadTeam::ThreadTeam(int n_threads, Affinity affinity)
    : n_threads_(std::max(1, n_threads)),
      affinity_(std::move(affinity)),
      seats_(std::make_unique<Seat[]>(static_cast<size_t>(n_threads_))),
      sizer_(1) {
  threads_.reserve(static_cast<size_t>(n_threads_) - 1);
  try {
    for (int rank = 1; rank < n_threads_; ++rank) threads_.emplace_back([this, rank] { member(rank); });
  } catch (const std::system_error&) {
  }
  n_threads_ = static_cast<int>(threads_.size()) + 1;
  sizer_ = TeamSizer(n_threads_);
}

ThreadTeam::~ThreadTeam() {
  stop_.store(true, std::memory_order_relaxed);
  for (int rank = 1; rank < n_threads_; ++rank) {
    seats_[static_cast<size_t>(rank)].turn.fetch_add(1, std::memory_order_release);
    seats_[static_cast<size_t>(rank)].turn.notify_one();
  }
  for (auto& t : threads_) t.join();
}

void ThreadTeam::member(int rank) {
  if (!affinity_.cpus.empty())
    bind_this_thread(affinity_.one_each
                         ? std::vector<int>{affinity_.cpus[static_cast<size_t>(rank) % affinity_.cpus.size()]}
                         : affinity_.cpus);
  auto& turn = seats_[static_cast<size_t>(rank)].turn;
  for (uint32_t seen = 0;; ++seen) {
    wait_while_equal(turn, seen, kYieldBetweenRuns);
    if (stop_.load(std::memory_order_relaxed)) return;
    timed_ ? call_timed(rank) : call_(context_, rank);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  }
}

void ThreadTeam::call_timed(int rank) {
  slept_ns = 0;
  const auto begin = Clock::now();
  const int64_t cpu_begin = thread_cpu_ns();
  call_(context_, rank);
  const int64_t wall = std::chrono::nanoseconds(Clock::now() - begin).count();
  const int64_t lost = wall - (thread_cpu_ns() - cpu_begin) - slept_ns;
  lost_ns_.fetch_add(std::max<int64_t>(0, lost), std::memory_order_relaxed);
}

void ThreadTeam::bind_caller() {
  if (affinity_.cpus.empty() || !affinity_.one_each || bound_caller_ == std::this_thread::get_id()) return;
  bound_caller_ = std::this_thread::get_id();
  bind_this_thread({affinity_.cpus[0]});
}

void ThreadTeam::run_members(int n_members, Call call, void* context) {
  bind_caller();
  n_running_ = n_members;
  call_ = call;
  context_ = context;
  if (n_members > 1) {
    unfinished_.store(n_members - 1, std::memory_order_relaxed);
    for (int rank = 1; rank < n_members; ++rank) {
      auto& turn = seats_[static_cast<size_t>(rank)].turn;
      turn.fetch_add(1, std::memory_order_release);
      turn.notify_one();
    }
  }
  timed_ ? call_timed(0) : call(context, 0);
  for (int left; n_members > 1 && (left = unfinished_.load(std::memory_order_acquire)) != 0;)
    wait_while_equal(unfinished_, left, kYieldInRun);
}

void ThreadTeam::run_sized(Call call, void* context) {
  if (n_threads_ == 1) return run_members(1, call, context);
  const auto begin = Clock::now();
  lost_ns_.store(0, std::memory_order_relaxed);
  timed_ = true;
  run_members(sizer_.size(), call, context);
  timed_ = false;
  const auto end = Clock::now();
  sizer_.ran(std::chrono::duration<double>(end.time_since_epoch()).count(),
             std::chrono::duration<double>(end - begin).count(),
             static_cast<double>(lost_ns_.load(std::memory_order_relaxed)) * 1e-9);
}

bool ThreadTeam::arrive(uint32_t& phase) {
  const int n = n_running_;
  if (n == 1) return true;
  phase = barrier_phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) != n - 1) return false;
  arrived_.store(0, std::memory_order_relaxed);
  barrier_phase_.fetch_add(1, std::memory_order_release);
  barrier_phase_.notify_all();
  return true;
}

void ThreadTeam::await(uint32_t phase) { wait_while_equal(barrier_phase_, phase, kYieldInRun); }

void ThreadTeam::slept(std::chrono::nanoseconds time) { slept_ns += time.count(); }

Affinity default_affinity(int n_threads) {
  Affinity out{.cpus = fast_cpus(), .one_each = false};
  if (count_cores(out.cpus) < n_threads) out.cpus.clear();
  return out;
}

int default_thread_count() {
  std::vector<int> cpus = fast_cpus();
  if (cpus.empty()) cpus = allowed_cpus();
  int n = count_cores(cpus);
  if (const double quota = quota_cpus(); quota > 0) n = std::min(n, static_cast<int>(quota + 0.5));
  return std::max(1, n);
}

}  // namespace watra
