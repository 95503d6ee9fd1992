// Counts allocations of the whole test program, for tests that promise none. Defined once per test program.
#pragma once

namespace watra::engine {

// Calls of operator new so far, on all threads.
long allocation_count();

}  // namespace watra::engine
