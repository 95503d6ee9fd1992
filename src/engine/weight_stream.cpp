#include "engine/weight_stream.h"

#include <algorithm>
#include <cassert>
#include <chrono>

#include "base/cache_lines.h"
#include "base/thread_team.h"
#include "kernels/ops.h"

namespace watra::engine {
namespace {

using Clock = std::chrono::steady_clock;

// A piece is worth a claim: a few microseconds of computing.
constexpr uint64_t kLeastPieceBytes = 64 << 10;
constexpr int kLeastSlots = 2;

uint64_t align_down(uint64_t n, uint64_t step) { return n / step * step; }
uint64_t align_up(uint64_t n, uint64_t step) { return align_down(n + step - 1, step); }

// Two parts, each with what its blocks have in front and behind.
uint64_t slot_bytes_for(uint64_t unit_bytes, uint64_t alignment) {
  return align_up(unit_bytes, alignment) + 2 * 2 * alignment;
}

}  // namespace

Result<std::unique_ptr<WeightStream>> WeightStream::create(std::shared_ptr<const WeightFiles> files,
                                                           const StreamOptions& options) {
  StreamOptions o = options;
  o.unit_bytes = std::max(o.unit_bytes, o.least_unit_bytes);
  const uint64_t slot_bytes = slot_bytes_for(o.unit_bytes, files->alignment());
  const uint64_t n_slots = std::max<uint64_t>(o.ring_bytes / slot_bytes, kLeastSlots);
  WATRA_ASSIGN(Buffer ring, Buffer::allocate(o.budget, "disk ring", n_slots * slot_bytes + files->alignment()));
  return std::unique_ptr<WeightStream>(
      new WeightStream(std::move(files), o, std::move(ring), static_cast<int>(n_slots)));
}

WeightStream::WeightStream(std::shared_ptr<const WeightFiles> files, const StreamOptions& options, Buffer ring,
                           int n_slots)
    : files_(std::move(files)),
      unit_bytes_(options.unit_bytes),
      slot_bytes_(slot_bytes_for(options.unit_bytes, files_->alignment())),
      n_threads_(std::max(1, options.n_threads)),
      ring_(std::move(ring)),
      slots_(static_cast<size_t>(n_slots)),
      queue_(2 * n_slots, options.way) {
  const auto at = reinterpret_cast<uintptr_t>(ring_.data());
  base_ = ring_.data() + (align_up(at, files_->alignment()) - at);
  by_serial_.reserve(slots_.size());
}

WeightStream::~WeightStream() = default;

StreamStats WeightStream::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

WeightStream::Pass::Pass(WeightStream& stream, const StreamOrder& order, UnitRange first, UnitRange second)
    : stream_(stream), mine_(stream.pass_mutex_) {
  stream.begin(order, first, second);
}
Status WeightStream::Pass::end() { return stream_.end(); }

// Of the unit at a position of the pass, or of the next one behind it; -1 = nothing is foreseen any more.
int64_t WeightStream::unit_at(int64_t position) const {
  if (!order_) return -1;
  if (position < first_.size()) return first_.begin + position;
  position -= first_.size();
  if (position < second_.size()) return second_.begin + position;
  position -= second_.size();
  return position < static_cast<int64_t>(order_->size()) ? position : -1;
}

void WeightStream::begin(const StreamOrder& order, UnitRange first, UnitRange second) {
  std::lock_guard lock(mutex_);
  drain();
  error_.reset();
  failed_.store(false, std::memory_order_relaxed);
  const bool same_order = order_ == &order;
  order_ = &order;
  first_ = first;
  second_ = second;
  step_ = {-1, -1};
  next_ = 0;
  // What was submitted last for the pass before is kept as far as this pass begins with it.
  by_serial_.clear();
  for (int i = 0; i < static_cast<int>(slots_.size()); ++i)
    if (const Slot& s = slots_[static_cast<size_t>(i)]; s.state != State::free && !s.stale) by_serial_.push_back(i);
  std::ranges::sort(by_serial_, {}, [&](int i) { return slots_[static_cast<size_t>(i)].serial; });
  bool fits = same_order;
  for (const int i : by_serial_) {
    Slot& s = slots_[static_cast<size_t>(i)];
    fits = fits && !s.bad && s.n_claimed == 0 && s.index == unit_at(next_);
    if (fits)
      s.position = next_++;
    else
      discard(s);
  }
  submit_free();
}

Status WeightStream::end() {
  {
    std::lock_guard lock(mutex_);
    if (error_) {
      // A file that was cut or taken away says more than what became of the read.
      if (const Status changed = files_->check_unchanged(); !changed) return changed;
      return fail(*error_);
    }
  }
  return files_->check_unchanged();
}

void WeightStream::forget(const StreamOrder& order) {
  std::lock_guard lock(mutex_);
  if (order_ != &order) return;
  order_ = nullptr;
  for (Slot& s : slots_)
    if (s.state != State::free) discard(s);
}

void WeightStream::discard(Slot& s) {
  if (!s.stale) ++stats_.n_discarded;
  if (s.state == State::reading)
    s.stale = true;
  else
    s.state = State::free;
}

void WeightStream::submit_free() {
  for (int i = 0; i < static_cast<int>(slots_.size()) && !failed_.load(std::memory_order_relaxed); ++i) {
    if (slots_[static_cast<size_t>(i)].state != State::free) continue;
    const int64_t index = unit_at(next_);
    if (index < 0) return;
    submit(i, index);
    ++next_;
  }
}

void WeightStream::submit(int slot, int64_t index) {
  Slot& s = slots_[static_cast<size_t>(slot)];
  const StreamUnit& unit = (*order_)[static_cast<size_t>(index)];
  s = {.state = State::reading,
       .n_missing = unit.n_parts,
       .index = index,
       .position = next_,
       .unit = &unit,
       .serial = next_serial_++};
  uint64_t at = 0;
  for (size_t p = 0; p < static_cast<size_t>(unit.n_parts); ++p) {
    const StreamPart& part = unit.parts[p];
    const uint64_t begin = align_down(part.offset, part.file->alignment());
    const uint64_t end = align_up(part.offset + part.n_bytes, part.file->alignment());
    s.at[p] = at;
    s.lead[p] = part.offset - begin;
    at += align_up(end - begin, files_->alignment());
    assert(at <= slot_bytes_);
    queue_.submit(*part.file, begin, {place(slot) + s.at[p], end - begin}, static_cast<uint64_t>(slot) * 2 + p);
  }
}

void WeightStream::drain() {
  queue_.poll();
  bool any = false;
  while (const auto read = queue_.finished()) finish_read(*read), any = true;
  if (any && n_sleepers_ > 0) changed_.notify_all();
}

void WeightStream::finish_read(const ReadQueue::Finished& read) {
  Slot& s = slots_[read.tag / 2];
  const StreamPart& part = s.unit->parts[read.tag % 2];
  if (!s.stale) {
    const uint64_t wanted = s.lead[read.tag % 2] + part.n_bytes;
    if (!read.n_bytes) {
      s.bad = true;
      stop(read.n_bytes.error());
    } else if (*read.n_bytes < wanted) {
      s.bad = true;
      stop({"file.short_read",
            fmt::format("{} ends early: {} bytes of weights wanted at offset {}, {} there",
                        part.file->file().path().string(), part.n_bytes, part.offset,
                        *read.n_bytes - std::min<uint64_t>(*read.n_bytes, s.lead[read.tag % 2])),
            "the file was cut while it was read; copy or download it again"});
    }
  }
  if (--s.n_missing > 0) return;
  s.state = s.stale || s.bad ? State::free : State::ready;
  s.stale = false;
  if (s.state == State::free) submit_free();
}

void WeightStream::stop(Error error) {
  if (!error_) error_ = std::move(error);
  failed_.store(true, std::memory_order_relaxed);
}

// Sleeps until something may have arrived: in the system, or behind the thread that does.
void WeightStream::wait_for_read(std::unique_lock<std::mutex>& lock) {
  const auto begin = Clock::now();
  if (!is_waited_for_ && queue_.awaits_answer()) {
    is_waited_for_ = true;
    lock.unlock();
    const auto answer = queue_.wait();
    lock.lock();
    is_waited_for_ = false;
    queue_.accept(answer);
    drain();
  } else {
    ++n_sleepers_;
    changed_.wait(lock);
    --n_sleepers_;
  }
  const auto slept = Clock::now() - begin;
  ThreadTeam::slept(slept);
  stats_.waited_s += std::chrono::duration<double>(slept).count();
}

WeightStream::Took WeightStream::take(UnitRange step, bool wait, Piece& out) {
  std::unique_lock lock(mutex_);
  if (step_ != step) {
    step_ = step;
    n_unclaimed_ = step.size();
  }
  for (;;) {
    if (n_unclaimed_ == 0 || failed_.load(std::memory_order_relaxed)) return Took::nothing_left;
    if (!is_waited_for_) drain();
    Slot* first = nullptr;
    for (Slot& s : slots_)
      if (s.state == State::ready && s.index >= step.begin && s.index < step.end && s.position < pass_units() &&
          s.n_claimed < s.unit->rows && (!first || s.position < first->position))
        first = &s;
    if (!first) {
      if (!wait) return Took::nothing_yet;
      if (!failed_.load(std::memory_order_relaxed)) wait_for_read(lock);
      continue;
    }
    const StreamUnit& unit = *first->unit;
    constexpr int64_t kGroup = kernels::kRowGroup;
    const auto up = [](int64_t rows) { return (rows + kGroup - 1) / kGroup * kGroup; };
    const uint64_t row_bytes = std::max<uint64_t>(1, unit.parts[0].n_bytes / static_cast<uint64_t>(unit.rows));
    const int64_t rows =
        std::max(up(unit.rows / (2 * n_threads_)), up(static_cast<int64_t>(kLeastPieceBytes / row_bytes)));
    out.unit = &unit;
    out.slot = static_cast<int>(first - slots_.data());
    out.row_begin = first->n_claimed;
    out.row_end = std::min(first->n_claimed + std::max(rows, kGroup), unit.rows);
    for (size_t p = 0; p < static_cast<size_t>(unit.n_parts); ++p)
      out.bytes[p] = place(out.slot) + first->at[p] + first->lead[p] +
                     unit.parts[p].n_bytes / static_cast<uint64_t>(unit.rows) * static_cast<uint64_t>(out.row_begin);
    first->n_claimed = out.row_end;
    if (first->n_claimed == unit.rows) {
      for (size_t p = 0; p < static_cast<size_t>(unit.n_parts); ++p) stats_.n_bytes += unit.parts[p].n_bytes;
      // Who sleeps for a piece of this step that will not come must know.
      if (--n_unclaimed_ == 0 && n_sleepers_ > 0) changed_.notify_all();
    }
    return Took::piece;
  }
}

void WeightStream::give_back(const Piece& piece) {
  for (size_t p = 0; disks_write_through_caches() && p < static_cast<size_t>(piece.unit->n_parts); ++p)
    evict_from_caches({piece.bytes[p], piece.unit->parts[p].n_bytes / static_cast<uint64_t>(piece.unit->rows) *
                                           static_cast<uint64_t>(piece.row_end - piece.row_begin)});
  std::lock_guard lock(mutex_);
  Slot& s = slots_[static_cast<size_t>(piece.slot)];
  s.n_done += piece.row_end - piece.row_begin;
  if (s.n_done < s.unit->rows) return;
  s.state = State::free;
  submit_free();
  // Those who sleep because no read was under way can now sleep in the system.
  if (n_sleepers_ > 0 && !is_waited_for_) changed_.notify_one();
}

}  // namespace watra::engine
