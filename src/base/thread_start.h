// Threads that the system may refuse: start_thread() gives a std::thread or an error with words, and throws nothing.
//
// For threads of a job, a request, a store: whoever cannot have one says so and goes on. A ThreadTeam makes do with
// fewer by itself. Fault point "thread.start": the system refuses one.
#pragma once

#include <cerrno>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.h"

namespace watra {

// Whether a test has this thread refused.
bool thread_is_refused();
// "no thread can be started for WHAT: ..."; code "system.no_thread".
tl::unexpected<Error> no_thread(std::string_view what, int err);

// Runs `run` on a thread of its own. `what`: what the thread is for, as it stands in the error. What `run` throws ends
// the program, as in every thread.
template <class F>
Result<std::thread> start_thread(std::string_view what, F&& run) {
  if (thread_is_refused()) return no_thread(what, EAGAIN);
  try {
    return std::thread(std::forward<F>(run));
  } catch (const std::system_error& e) {
    return no_thread(what, e.code().value());
  } catch (const std::bad_alloc&) {
    return no_thread(what, ENOMEM);
  }
}

}  // namespace watra
