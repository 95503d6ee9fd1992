// WeightStream: weights that have no place in memory, read from disk during every pass, ahead of use.
//
// A pass uses them in an order that is known beforehand (StreamOrder, made with the steps) and begins anew with the
// next pass. A ring of slots in memory is filled in that order, across layers and passes: every free slot is submitted
// at once, so the disk's queue is as deep as the ring, also while attention runs or a token is chosen. The members of
// the team take what has arrived piece by piece, compute it where it lies, and give it back; whoever gives back the
// last piece of a slot submits the next read into it. A member that finds nothing arrived sleeps in the system until
// a read is done; nobody polls, and there is no thread for it.
//
// The slots lie in memory that create() took. After that nothing is allocated, errors apart. One pass at a time: a
// second one that begins (of another Forward, on another team) waits. Within a pass any thread may take and give back.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/memory.h"
#include "base/read_queue.h"
#include "engine/weight_files.h"

namespace watra::engine {

// Rows of one matrix that arrive together.
struct StreamPart {
  int32_t linear = 0;  // of the step that uses them
  int64_t row_begin = 0;
  const DirectFile* file = nullptr;
  uint64_t offset = 0, n_bytes = 0;
};
// What one slot holds: a range of rows, or the same range of two matrices that are finished together.
struct StreamUnit {
  int64_t rows = 0;
  int32_t n_parts = 0;
  std::array<StreamPart, 2> parts;
};
using StreamOrder = std::vector<StreamUnit>;
struct UnitRange {  // units [begin, end) of an order
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const UnitRange&) const = default;
};

struct StreamOptions {
  uint64_t ring_bytes = 64 << 20;  // of the slots together; two slots at least
  uint64_t unit_bytes = 2 << 20;   // that a unit should have
  uint64_t least_unit_bytes = 0;   // that a unit must be able to have: sixteen rows of the widest pair of matrices
  int n_threads = 1;               // that share a unit
  ReadQueue::Way way = ReadQueue::Way::best;
  MemoryBudget* budget = nullptr;
};

struct StreamStats {
  uint64_t n_bytes = 0;      // of weights used so far, streamed
  uint64_t n_discarded = 0;  // read ahead for a pass that came otherwise
  double waited_s = 0;       // of all members together, for reads
};

class WeightStream {
 public:
  // Errors: "memory.*".
  static Result<std::unique_ptr<WeightStream>> create(std::shared_ptr<const WeightFiles> files,
                                                      const StreamOptions& options);
  ~WeightStream();
  WeightStream(const WeightStream&) = delete;
  WeightStream& operator=(const WeightStream&) = delete;

  uint64_t unit_bytes() const { return unit_bytes_; }  // at most in a unit
  uint64_t ring_bytes() const { return ring_.size_bytes(); }
  std::string_view way() const { return queue_.way(); }  // "io_uring" or "threads"
  StreamStats stats() const;

  // While it lives the stream is this pass's: units first.begin .. first.end, then those of second. What was read ahead
  // and fits is kept, the rest forgotten. The order must stay until forget().
  class Pass {
   public:
    Pass(WeightStream& stream, const StreamOrder& order, UnitRange first, UnitRange second);
    // Whether all that was taken is right. Errors: "file.io", "file.short_read", "file.changed", "file.not_found".
    Status end();

   private:
    WeightStream& stream_;
    std::lock_guard<std::mutex> mine_;
  };

  struct Piece {  // rows [row_begin, row_end) of a unit
    const StreamUnit* unit = nullptr;
    int64_t row_begin = 0, row_end = 0;
    std::array<std::byte*, 2> bytes{};  // of each part, its first row of the piece; as the file has them, the taker's
    int slot = -1;
  };
  enum class Took { piece, nothing_yet, nothing_left };
  // A piece of one of the step's units, sixteen rows or a multiple. Steps come in the order of the pass; a step begins
  // when everyone is done with the one before. wait: sleeps until there is one, rather than answering nothing_yet.
  // After an error there is nothing left.
  Took take(UnitRange step, bool wait, Piece& out);
  void give_back(const Piece& piece);

  bool has_failed() const { return failed_.load(std::memory_order_relaxed); }
  // The order is about to die: what was read ahead of it is forgotten.
  void forget(const StreamOrder& order);

 private:
  WeightStream(std::shared_ptr<const WeightFiles> files, const StreamOptions& options, Buffer ring, int n_slots);

  enum class State : uint8_t { free, reading, ready };
  struct Slot {
    State state = State::free;
    bool stale = false;  // what is being read is not wanted any more
    bool bad = false;
    int32_t n_missing = 0;  // parts on their way
    int64_t index = 0;      // of the unit in the order
    int64_t position = 0;   // in the pass; behind its end: of the next pass
    const StreamUnit* unit = nullptr;
    uint64_t serial = 0;  // submitted before those with a higher one
    int64_t n_claimed = 0, n_done = 0;
    std::array<uint64_t, 2> at{}, lead{};  // in the slot: where the part's blocks begin, and its bytes in them
  };

  int64_t pass_units() const { return first_.size() + second_.size(); }
  void begin(const StreamOrder& order, UnitRange first, UnitRange second);
  Status end();
  int64_t unit_at(int64_t position) const;
  void submit_free();
  void submit(int slot, int64_t index);
  void drain();
  void finish_read(const ReadQueue::Finished& read);
  void discard(Slot& s);
  void wait_for_read(std::unique_lock<std::mutex>& lock);
  void stop(Error error);
  std::byte* place(int slot) const { return base_ + static_cast<uint64_t>(slot) * slot_bytes_; }

  const std::shared_ptr<const WeightFiles> files_;
  const uint64_t unit_bytes_, slot_bytes_;
  const int n_threads_;
  Buffer ring_;
  std::byte* base_;
  std::mutex pass_mutex_;  // held for a pass

  mutable std::mutex mutex_;  // guards all that follows; nobody sleeps or reads with it
  std::condition_variable changed_;
  bool is_waited_for_ = false;  // a thread sleeps in queue_.wait()
  int n_sleepers_ = 0;          // threads that wait for it, or for a slot to be submitted
  std::vector<Slot> slots_;
  std::vector<int> by_serial_;
  uint64_t next_serial_ = 0;
  const StreamOrder* order_ = nullptr;
  UnitRange first_, second_;
  int64_t next_ = 0;  // position in the pass that is submitted next; behind its end the next pass begins
  UnitRange step_{-1, -1};
  int64_t n_unclaimed_ = 0;  // units of the step that nobody has taken the last piece of
  std::optional<Error> error_;
  std::atomic<bool> failed_{false};
  StreamStats stats_;
  ReadQueue queue_;  // last: its end waits for reads into the ring
};

}  // namespace watra::engine
