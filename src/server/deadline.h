// Deadline: closes the socket of a client that takes too long over what is waited for; whoever waits then gets an
// error. Of one connection, on its strand.
#pragma once

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "server/exchange.h"

namespace watra::server {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Deadline(const asio::any_io_executor& executor) : timer_(executor) {}

  void set(std::chrono::milliseconds from_now) {
    at_ = Clock::now() + from_now;
    if (at_ < timer_.expiry()) timer_.cancel();  // it looks again
  }
  // Nothing is waited for from the client, until the next set().
  void lift() { at_ = Clock::time_point::max(); }

  // Lifted while this lives: what we take ourselves, for writing to a disk, is not the client's time.
  class Pause {
   public:
    explicit Pause(Deadline& deadline) : deadline_(deadline), left_(deadline.at_ - Clock::now()) { deadline_.lift(); }
    ~Pause() {
      using std::chrono::milliseconds;
      deadline_.set(std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(left_)));
    }
    Pause(const Pause&) = delete;

   private:
    Deadline& deadline_;
    const Clock::duration left_;
  };

  // Until the socket is closed, or what runs beside it has ended.
  template <class Socket>
  Awaitable<void> watch(Socket& socket) {
    for (;;) {
      timer_.expires_at(at_);
      boost::system::error_code ec;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
      if (!socket.is_open()) co_return;
      const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return;
      if (Clock::now() >= at_) {
        boost::system::error_code ignored;
        socket.close(ignored);
        co_return;
      }
    }
  }

 private:
  asio::steady_timer timer_;
  Clock::time_point at_ = Clock::time_point::max();
};

}  // namespace watra::server
