#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/internal/read_backend.h"

namespace watra::internal {
namespace {

// A read is half a megabyte and more: as many threads as it takes to keep a disk busy, whatever the depth.
constexpr int kMostThreads = 8;

class ThreadBackend final : public ReadBackend {
 public:
  explicit ThreadBackend(int depth) {
    try {
      for (int i = 0; i < std::min(depth, kMostThreads); ++i) threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {  // fewer threads; with none, reads are made by the caller
    }
  }
  ~ThreadBackend() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    asked_.notify_all();
    for (auto& t : threads_) t.join();
  }

  void start(const BackendRead& read) override {
    if (threads_.empty()) {
      done_.push_back(carry_out(read));
      return;
    }
    {
      std::lock_guard lock(mutex_);
      reads_.push_back(read);
    }
    asked_.notify_one();
  }

  Done wait() override {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return !done_.empty(); });
    const Done done = done_.front();
    done_.pop_front();
    return done;
  }

  std::string_view name() const override { return "threads"; }

 private:
  static Done carry_out(const BackendRead& read) {
    const ssize_t n = ::pread(read.fd, read.to, read.n_bytes, static_cast<off_t>(read.offset));
    return {read.slot, n < 0 ? -errno : n};
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      asked_.wait(lock, [this] { return stop_ || !reads_.empty(); });
      if (stop_) return;
      const BackendRead read = reads_.front();
      reads_.pop_front();
      lock.unlock();
      const Done done = carry_out(read);
      lock.lock();
      done_.push_back(done);
      answered_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable asked_, answered_;
  std::deque<BackendRead> reads_;
  std::deque<Done> done_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<ReadBackend> make_thread_backend(int depth) { return std::make_unique<ThreadBackend>(depth); }

}  // namespace watra::internal
