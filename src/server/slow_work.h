// SlowWork: threads for what a handler must not do on the threads that serve: opening model files, looking through
// folders, planning, hashing passwords, reading and writing what is large. A handler awaits it; what the work throws
// arrives at the handler. When the client leaves meanwhile, the handler ends after the work has. A server has one of
// these for all its handlers (server.h).
//
// Any thread may call. Work that takes minutes asks ending() whether to go on.
#pragma once

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "server/exchange.h"

namespace watra::server {

class SlowWork {
 public:
  // Where the system refuses threads there are fewer; n_threads() tells. With none nothing that is asked for begins.
  SlowWork();
  ~SlowWork() { close(); }
  SlowWork(const SlowWork&) = delete;
  size_t n_threads() const { return threads_.size(); }
  // Waits for what was asked for. What is posted afterwards is never begun, and ends with this object.
  void close();
  bool ending() const { return ending_; }

  template <class F>
  Awaitable<std::invoke_result_t<F>> run(F work) {
    co_return co_await asio::co_spawn(work_, done(std::move(work)), asio::use_awaitable);
  }

  // The same, but one after the other: the writing of what clients send. However many send, and however slow the disk
  // is, one thread waits for it and the others are free for the rest.
  template <class F>
  Awaitable<std::invoke_result_t<F>> run_in_line(F work) {
    co_return co_await asio::co_spawn(line_, done(std::move(work)), asio::use_awaitable);
  }

  // What it throws is logged: nobody waits for it.
  template <class F>
  void post(F work) {
    asio::post(work_, std::move(work));
  }

  // A thing whose end takes a while, as that of a large file does: wherever its last owner lets go of it, it ends here.
  // The owners do not outlive this object.
  template <class T>
  std::shared_ptr<T> ends_here(T thing) {
    return {new T(std::move(thing)), [this](T* last) {
              std::unique_ptr<T> owned(last);
              try {
                post([end = std::move(owned)] {});
              } catch (const std::bad_alloc&) {  // then it has ended at once
              }
            }};
  }

 private:
  template <class F>
  static Awaitable<std::invoke_result_t<F>> done(F work) {
    co_return work();
  }
  void serve();

  std::atomic<bool> ending_{false};
  asio::io_context work_;
  asio::strand<asio::io_context::executor_type> line_{work_.get_executor()};
  asio::executor_work_guard<asio::io_context::executor_type> open_{work_.get_executor()};
  std::vector<std::thread> threads_;
};

}  // namespace watra::server
