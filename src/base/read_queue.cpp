#include "base/read_queue.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "base/fault.h"
#include "base/internal/os_error.h"
#include "base/internal/read_backend.h"

namespace watra {

ReadQueue::ReadQueue(int depth, Way way)
    : slots_(static_cast<size_t>(std::max(1, depth))), ready_(static_cast<size_t>(std::max(1, depth))) {
  for (int i = this->depth() - 1; i >= 0; --i) free_.push_back(i);
  if (way == Way::best) backend_ = internal::make_uring_backend(this->depth());
  if (!backend_) backend_ = internal::make_thread_backend(this->depth());
}

ReadQueue::~ReadQueue() {
  while (n_in_flight_ > 0) (void)reap();
}

std::string_view ReadQueue::way() const { return backend_->name(); }

void ReadQueue::submit(const DirectFile& file, uint64_t offset, std::span<std::byte> buffer, uint64_t tag) {
  assert(!free_.empty());
  const int index = free_.back();
  free_.pop_back();
  ++n_in_flight_;
  slots_[static_cast<size_t>(index)] = {.file = &file, .offset = offset, .tag = tag, .buffer = buffer};
  if (file.is_cached(offset, buffer.size()))
    read_now(index);
  else
    start(index);
}

// What is left of the slot's read, by the backend.
void ReadQueue::start(int index) {
  Slot& s = slots_[static_cast<size_t>(index)];
  s.direct = s.file->is_direct();
  const int refused = backend_->start({.slot = index,
                                       .fd = s.direct ? s.file->direct_fd() : s.file->file().fd(),
                                       .offset = s.offset + s.n_done,
                                       .to = s.buffer.data() + s.n_done,
                                       .n_bytes = s.buffer.size() - s.n_done});
  if (refused != 0) read_now(index);  // out of memory for requests, as a rule: slower, but it is read
}

void ReadQueue::push_ready(int index) {
  ready_[(ready_at_ + static_cast<size_t>(n_ready_)) % ready_.size()] = index;
  ++n_ready_;
}

// What is left of the slot's read, through the page cache and by this thread.
void ReadQueue::read_now(int index) {
  Slot& s = slots_[static_cast<size_t>(index)];
  while (s.n_done < s.buffer.size()) {
    const ssize_t n = fault::hit("file.read")
                          ? (errno = EIO, -1)
                          : ::pread(s.file->file().fd(), s.buffer.data() + s.n_done, s.buffer.size() - s.n_done,
                                    static_cast<off_t>(s.offset + s.n_done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) s.error = errno;
    if (n <= 0) break;
    s.n_done += static_cast<size_t>(n);
  }
  push_ready(index);
}

// Takes the system's answer. False when the read goes on.
bool ReadQueue::settle(int index, int64_t result) {
  Slot& s = slots_[static_cast<size_t>(index)];
  if (s.direct && fault::hit("direct.read")) result = -EINVAL;
  if (fault::hit("file.read")) result = -EIO;
  // Cancelled: the thread that had submitted it is gone; the read is still wanted.
  if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) {
    start(index);
    return false;
  }
  if (result == -EINVAL && s.direct) {  // opened, but not readable this way after all
    s.file->refuse_direct();
    s.n_done = 0;
    start(index);
    return false;
  }
  if (result < 0) {
    s.error = static_cast<int>(-result);
    return true;
  }
  s.n_done += static_cast<size_t>(result);
  const bool ends = result == 0 || (s.direct && s.n_done % s.file->alignment() != 0);
  if (ends || s.n_done == s.buffer.size()) return true;
  start(index);
  return false;
}

ReadQueue::Answer ReadQueue::wait() {
  const auto done = backend_->wait();
  return {done.slot, done.result};
}

void ReadQueue::accept(Answer answer) {
  if (settle(answer.slot, answer.result)) push_ready(answer.slot);
}

void ReadQueue::poll() {
  while (awaits_answer()) {
    const auto done = backend_->poll();
    if (!done) return;
    accept({done->slot, done->result});
  }
}

std::optional<ReadQueue::Finished> ReadQueue::finished() {
  if (n_ready_ == 0) return {};
  const int index = ready_[ready_at_];
  ready_at_ = (ready_at_ + 1) % ready_.size();
  --n_ready_;
  free_.push_back(index);
  --n_in_flight_;
  const Slot& s = slots_[static_cast<size_t>(index)];
  if (s.error)
    return Finished{s.tag, os_error(fmt::format("read {} bytes at offset {} of", s.buffer.size(), s.offset),
                                    s.file->file().path(), s.error)};
  return Finished{s.tag, s.n_done};
}

Result<ReadQueue::Completion> ReadQueue::reap() {
  assert(n_in_flight_ > 0);
  while (n_ready_ == 0) accept(wait());
  auto done = *finished();
  if (!done.n_bytes) return fail(std::move(done.n_bytes).error());
  return Completion{done.tag, *done.n_bytes};
}

}  // namespace watra
