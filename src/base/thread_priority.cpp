#include "base/thread_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace watra {

void lower_thread_priority() {
  constexpr int kNice = 10;  // of 19: slow, but never starved while its owner waits
  constexpr int kIoprioWhoThread = 1, kIoprioBestEffort = 2 << 13, kIoprioLowest = 7;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);  // on Linux: of the thread
  ::syscall(SYS_ioprio_set, kIoprioWhoThread, 0, kIoprioBestEffort | kIoprioLowest);
}

}  // namespace watra
