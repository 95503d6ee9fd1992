// SlowWork: threads for what a handler must not do on the threads that serve: opening model files, looking through
// folders, planning, hashing passwords, reading and writing what is large. A handler awaits it; what the work throws
// arrives at the handler. When the client leaves meanwhile, the handler ends after the work has.
//
// Any thread may call. The destructor waits for what runs; work that takes minutes asks ending() whether to go on.
#pragma once

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/exchange.h"

namespace watra::server {

class SlowWork {
 public:
  ~SlowWork() {
    ending_ = true;
    pool_.join();
  }
  bool ending() const { return ending_; }

  template <class F>
  Awaitable<std::invoke_result_t<F>> run(F work) {
    co_return co_await asio::co_spawn(pool_, done(std::move(work)), asio::use_awaitable);
  }

  template <class F>
  void post(F work) {
    asio::post(pool_, std::move(work));
  }

 private:
  template <class F>
  static Awaitable<std::invoke_result_t<F>> done(F work) {
    co_return work();
  }

  // An export or an import's upload may take minutes; beside two of them the shelf and the password still answer.
  static constexpr size_t kThreads = 4;
  std::atomic<bool> ending_{false};
  asio::thread_pool pool_{kThreads};
};

}  // namespace watra::server
