// Processor time of the calling thread, in seconds: what a limit on work is counted in, so that a busy machine does not
// make it stricter.
#pragma once

namespace watra {

double thread_cpu_seconds();

}  // namespace watra
