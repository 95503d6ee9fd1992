// ReadQueue: many reads in flight at once, for disks that are fast only when they have a deep queue.
//
// submit() starts a read and returns; reap() waits for the next one that is done, in any order. What the page cache
// holds is copied from there during submit(), by the calling thread (unless the DirectFile says otherwise); the rest
// goes past the page cache through io_uring, or, where that is missing or forbidden, through a few threads that call
// pread.
//
// One queue belongs to one thread; files may be shared. Threads that share a queue hold a lock of theirs around every
// call but wait(), which one of them at a time may make without it while the others submit: see wait(). After the
// constructor nothing is allocated, errors apart. Buffers must stay until their read was reaped; the destructor waits
// for those in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/direct_file.h"

namespace watra {

namespace internal {
class ReadBackend;
}

class ReadQueue {
 public:
  enum class Way { best, threads };  // threads: never io_uring

  // At most `depth` reads in flight. A read that the system does not take is made by the calling thread, through the
  // page cache. Fault points: "uring.setup" (forbidden), "uring.submit" (not taken), "direct.read" (the system refuses
  // a direct read with EINVAL: it is made through the page cache instead, and all later ones of the file), "file.read"
  // (I/O error).
  explicit ReadQueue(int depth, Way way = Way::best);
  ~ReadQueue();
  ReadQueue(const ReadQueue&) = delete;
  ReadQueue& operator=(const ReadQueue&) = delete;

  // Reads buffer.size() bytes at `offset`. Offset, size and address are multiples of file.alignment(); the span may
  // reach beyond the end of the file. Needs a free place: n_in_flight() < depth(). The file must outlive the read.
  void submit(const DirectFile& file, uint64_t offset, std::span<std::byte> buffer, uint64_t tag);

  struct Completion {
    uint64_t tag;
    size_t n_bytes;  // fewer than asked for only where the file ends
  };
  // Waits for a read. Needs n_in_flight() > 0. Error "file.io" with file and offset; the other reads go on.
  Result<Completion> reap();

  // What reap() consists of, for threads that share the queue. A thread that finds no finished read calls wait()
  // without the lock, then accept() with it; meanwhile nobody else may call wait(), poll() or reap().
  struct Answer {
    int slot;
    int64_t result;
  };
  Answer wait();               // of the system, about some read. Needs one that has no answer yet
  void accept(Answer answer);  // finishes the read, or sends for the rest of it
  void poll();                 // accepts every answer that is there
  struct Finished {
    uint64_t tag;
    Result<size_t> n_bytes;  // as Completion's, or the error
  };
  std::optional<Finished> finished();  // the next finished read, if there is one

  int depth() const { return static_cast<int>(slots_.size()); }
  int n_in_flight() const { return n_in_flight_; }
  bool has_ready() const { return n_ready_ > 0; }  // reap() would not wait
  bool awaits_answer() const { return n_in_flight_ > n_ready_; }
  std::string_view way() const;  // "io_uring" or "threads"

 private:
  struct Slot {
    const DirectFile* file = nullptr;
    uint64_t offset = 0, tag = 0;
    std::span<std::byte> buffer;
    size_t n_done = 0;
    bool direct = false;
    int error = 0;
  };
  void start(int index);
  void read_now(int index);
  bool settle(int index, int64_t result);
  void push_ready(int index);

  std::vector<Slot> slots_;
  std::vector<int> free_;
  std::vector<int> ready_;  // a ring of depth() places
  size_t ready_at_ = 0;
  int n_ready_ = 0, n_in_flight_ = 0;
  std::unique_ptr<internal::ReadBackend> backend_;
};

}  // namespace watra
