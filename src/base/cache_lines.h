// What the processor's caches hold of a piece of memory, and how to make them let go of it.
//
// A virtual machine's disk is another processor that copies into our memory. Where the lines it writes to lie in the
// caches of the core that computed with them last, each must be fetched from there first: measured at three quarters of
// the rate that the same disk has into memory nobody reads (docs/measurements.md, "Plans beside runs, a virtual disk").
// A disk of a real machine writes without asking. Any thread.
#pragma once

#include <cstddef>
#include <span>

namespace watra {

// Whether letting go pays before a disk writes there: a virtual machine, and a processor with the instruction.
bool disks_write_through_caches();

// Afterwards no cache holds these bytes; memory has what it had. Does nothing where the processor has no instruction
// for it. About 25 GB/s a thread.
void evict_from_caches(std::span<const std::byte> bytes);

}  // namespace watra
