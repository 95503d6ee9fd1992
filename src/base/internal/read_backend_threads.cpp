#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/internal/read_backend.h"
#include "base/thread_start.h"

namespace watra::internal {
namespace {

// A read is half a megabyte and more: as many threads as it takes to keep a disk busy, whatever the depth.
constexpr int kMostThreads = 8;

class ThreadBackend final : public ReadBackend {
 public:
  explicit ThreadBackend(int depth) : reads_(static_cast<size_t>(depth)), done_(static_cast<size_t>(depth)) {
    const int n = std::min(depth, kMostThreads);
    threads_.reserve(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) {
      auto thread = start_thread("reading", [this] { serve(); });
      if (!thread) break;  // fewer threads; with none, reads are made by the caller
      threads_.push_back(std::move(*thread));
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

  int start(const BackendRead& read) override {
    if (threads_.empty()) {
      const Done done = carry_out(read);
      std::lock_guard lock(mutex_);
      done_.push(done);
      answered_.notify_one();
      return 0;
    }
    {
      std::lock_guard lock(mutex_);
      reads_.push(read);
    }
    asked_.notify_one();
    return 0;
  }

  Done wait() override {
    std::unique_lock lock(mutex_);
    answered_.wait(lock, [this] { return !done_.empty(); });
    return done_.pop();
  }

  std::optional<Done> poll() override {
    std::lock_guard lock(mutex_);
    if (done_.empty()) return {};
    return done_.pop();
  }

  std::string_view name() const override { return "threads"; }

 private:
  // First in, first out; at most `depth` are ever in it, so that it never allocates.
  template <class T>
  class Fifo {
   public:
    explicit Fifo(size_t capacity) : items_(capacity) {}
    bool empty() const { return n_ == 0; }
    void push(const T& item) { items_[(at_ + n_++) % items_.size()] = item; }
    T pop() {
      const T item = items_[at_];
      at_ = (at_ + 1) % items_.size();
      --n_;
      return item;
    }

   private:
    std::vector<T> items_;
    size_t at_ = 0, n_ = 0;
  };

  static Done carry_out(const BackendRead& read) {
    const ssize_t n = ::pread(read.fd, read.to, read.n_bytes, static_cast<off_t>(read.offset));
    return {read.slot, n < 0 ? -errno : n};
  }

  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      asked_.wait(lock, [this] { return stop_ || !reads_.empty(); });
      if (stop_) return;
      const BackendRead read = reads_.pop();
      lock.unlock();
      const Done done = carry_out(read);
      lock.lock();
      done_.push(done);
      answered_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable asked_, answered_;
  Fifo<BackendRead> reads_;
  Fifo<Done> done_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<ReadBackend> make_thread_backend(int depth) { return std::make_unique<ThreadBackend>(depth); }

}  // namespace watra::internal
