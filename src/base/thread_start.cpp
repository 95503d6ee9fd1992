#include "base/thread_start.h"

#include <cerrno>
#include <cstring>

#include "base/fault.h"

namespace watra {

bool thread_is_refused() { return fault::hit("thread.start"); }

tl::unexpected<Error> no_thread(std::string_view what, int err) {
  return fail("system.no_thread", fmt::format("no thread can be started for {}: {}", what, std::strerror(err)),
              "close other programs, or raise the limit on tasks (ulimit -u, a container's limit on processes)");
}

}  // namespace watra
