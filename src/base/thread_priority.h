// Threads that work beside an answer and must not be felt: storing, indexing.
#pragma once

namespace watra {

// The calling thread gives way to all others from now on, in processor time and on the disk. Where the system refuses,
// nothing changes.
void lower_thread_priority();

}  // namespace watra
