// LastCall: the end of waiting, told to everybody at once: when a server that stops has given its answers their time,
// those that are still being written are cut, and their clients are told why. Any thread may call.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <mutex>
#include <set>

#include "server/exchange.h"

namespace watra::server {

class LastCall {
 public:
  // Returns when it rings, or when the waiting is cancelled. On `strand`.
  Awaitable<void> wait(asio::any_io_executor strand) {
    const auto timer = std::make_shared<asio::steady_timer>(strand, std::chrono::steady_clock::time_point::max());
    const Listed listed(*this, timer);
    if (listed.too_late) co_return;
    boost::system::error_code ended;
    co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ended));
  }

  void ring() {
    const std::lock_guard lock(mutex_);
    rung_ = true;
    for (const auto& timer : waiting_) asio::post(timer->get_executor(), [timer] { timer->cancel(); });
  }

 private:
  using Timer = std::shared_ptr<asio::steady_timer>;
  struct Listed {
    Listed(LastCall& c, Timer t) : call(c), timer(std::move(t)) {
      const std::lock_guard lock(call.mutex_);
      too_late = call.rung_;
      call.waiting_.insert(timer);
    }
    ~Listed() {
      const std::lock_guard lock(call.mutex_);
      call.waiting_.erase(timer);
    }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;
    LastCall& call;
    Timer timer;
    bool too_late;
  };
  std::mutex mutex_;
  bool rung_ = false;
  std::set<Timer> waiting_;
};

}  // namespace watra::server
