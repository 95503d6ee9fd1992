// SlowWork: threads for what a handler must not do on the threads that serve: opening model files, looking through
// folders, planning. A handler awaits it; what the work throws arrives at the handler.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/exchange.h"

namespace watra::server {

class SlowWork {
 public:
  ~SlowWork() { pool_.join(); }

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

  asio::thread_pool pool_{2};
};

}  // namespace watra::server
