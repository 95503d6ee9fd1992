#include "server/slow_work.h"

#include "base/log.h"
#include "base/thread_start.h"

namespace watra::server {
namespace {

// An export or an import's upload may take minutes; beside two of them the shelf and the password still answer.
constexpr size_t kThreads = 4;

}  // namespace

SlowWork::SlowWork() {
  threads_.reserve(kThreads);
  while (threads_.size() < kThreads) {
    auto thread = start_thread("what takes long", [this] { serve(); });
    if (!thread) {
      log::warn("{}: {} of {} are here", thread.error().message, threads_.size(), kThreads);
      return;
    }
    threads_.push_back(std::move(*thread));
  }
}

void SlowWork::serve() {
  for (;;) {
    try {
      work_.run();
      return;  // closed, and nothing is left
    } catch (const std::exception& e) {
      log::error("work that nobody waits for ended with an exception: {}", e.what());
    } catch (...) {  // errors that are no std::exception: ApiError, home's Failure
      log::error("work that nobody waits for ended with an error");
    }
  }
}

void SlowWork::close() {
  ending_ = true;
  open_.reset();
  for (std::thread& t : threads_)
    if (t.joinable()) t.join();
}

}  // namespace watra::server
