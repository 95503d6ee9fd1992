#include "engine/kv_store.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/thread_priority.h"
#include "base/thread_start.h"

namespace watra::engine {

using internal::kKvPageHeaderBytes;
using Clock = std::chrono::steady_clock;

namespace {

constexpr uint64_t kMiB = 1 << 20;
// Pages on their way, half of the room to the disk, half from it. With the usual room sixteen reads of kReadBytes are
// in flight, and as many bytes may wait to be written as a pass of reading leaves behind.
constexpr int kFewestSlots = 2, kMostSlots = 64;
constexpr uint64_t kReadBytes = kMiB;
constexpr int kQueueDepth = 16;
constexpr size_t kKnownPages = 1 << 14;  // a million tokens
// Slots begin at multiples of this, which is more than any disk's direct reads ask for.
constexpr uint64_t kSlotAlignment = 64 << 10;

uint64_t slot_bytes(uint64_t file_bytes) { return ceil_div(file_bytes, kSlotAlignment) * kSlotAlignment; }

}  // namespace

// A page on its way from the disk.
struct KvStore::Reading {
  File file;
  std::optional<DirectFile> direct;
  std::span<std::byte> bytes;
  int n_pending = 0;
  uint64_t n_read = 0;
};

KvPlace place_of_page(const KvCache& kv, SequenceId id, int64_t index) {
  return {kv.slot_page(id, index * kernels::kKvPage), index == 0 ? kv.first_page_exact(id).data() : nullptr};
}

Result<std::shared_ptr<KvStore>> KvStore::create(const KvStoreOptions& options, uint64_t page_bytes,
                                                 uint64_t first_exact_bytes, MemoryBudget* budget) {
  const uint64_t one = slot_bytes(internal::kv_page_file_bytes(page_bytes + first_exact_bytes));
  const int n = static_cast<int>(std::clamp<uint64_t>(options.room_bytes / one, kFewestSlots, kMostSlots));
  // Buffers are aligned to 2 MiB from that size on.
  WATRA_ASSIGN(Buffer buffer, Buffer::allocate(budget, "kv store", std::max(static_cast<uint64_t>(n) * one, 2 * kMiB)));
  return std::shared_ptr<KvStore>(
      new KvStore(options, page_bytes, first_exact_bytes, std::move(buffer), n / 2, n - n / 2));
}

KvStore::KvStore(const KvStoreOptions& options, uint64_t page_bytes, uint64_t first_exact_bytes, Buffer buffer,
                 int n_jobs, int n_reads)
    : options_(options),
      page_bytes_(page_bytes),
      first_exact_bytes_(first_exact_bytes),
      buffer_(std::move(buffer)),
      n_reads_(n_reads),
      shelf_(options.folder, options.limit_bytes, options.keep_free_bytes),
      readings_(static_cast<size_t>(n_reads)),
      jobs_(static_cast<size_t>(n_jobs)),
      known_(kKnownPages) {
  for (int i = 0; i < n_jobs; ++i) {
    jobs_[static_cast<size_t>(i)].tokens.resize(kernels::kKvPage);
    jobs_[static_cast<size_t>(i)].file = slot(i).first(file_bytes(0));
  }
  for (int i = 0; i < n_reads; ++i) readings_[static_cast<size_t>(i)].bytes = slot(n_jobs + i);
  auto writer = start_thread("keeping conversations", [this] { write_jobs(); });
  if (writer)
    writer_ = std::move(*writer);
  else
    trouble_ = writer.error();
}

KvStore::~KvStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_all();
  if (writer_.joinable()) writer_.join();
}

std::span<std::byte> KvStore::slot(int i) const {
  const uint64_t n = slot_bytes(file_bytes(0));
  return buffer_.span().subspan(static_cast<uint64_t>(i) * n, n);
}

// ---- storing ----

bool KvStore::offer(const PageName& name, const KvPlace& from) {
  const std::lock_guard lock(mutex_);
  if (trouble_ || known(name.key) == name.key) return true;
  if (n_taken_ == static_cast<int>(jobs_.size())) return false;
  Job& job = jobs_[static_cast<size_t>(first_ + n_taken_) % jobs_.size()];
  job.root = name.root, job.key = name.key, job.parent = name.parent, job.index = name.index;
  std::ranges::copy(name.tokens.first(kernels::kKvPage), job.tokens.begin());
  std::byte* const to = job.file.data() + kKvPageHeaderBytes;
  std::memcpy(to, from.page, page_bytes_);
  if (stored_bytes(name.index) > page_bytes_) std::memcpy(to + page_bytes_, from.exact, first_exact_bytes_);
  known(name.key) = name.key;
  ++n_taken_;
  arrived_.notify_one();
  return true;
}

void KvStore::used(const PageKey& root, std::span<const PageKey> keys) {
  if (!writer_.joinable()) return;
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < keys.size(); ++i) touched_.push_back({root, keys[i], static_cast<int64_t>(i)});
  arrived_.notify_one();
}

void KvStore::write_jobs() {
  lower_thread_priority();
  std::vector<internal::KvShelf::Place> touched;
  std::unique_lock lock(mutex_);
  for (;;) {
    arrived_.wait(lock, [&] { return !erasing_ && (stopping_ || n_taken_ > 0 || !touched_.empty()); });
    writing_ = true;
    if (n_taken_ > 0) {
      const Job& job = jobs_[static_cast<size_t>(first_)];
      const bool wanted = !trouble_;
      lock.unlock();
      Result<internal::KvShelf::Put> put = internal::KvShelf::Put::here_already;
      if (wanted) {
        const PageName name{job.root, job.key, job.parent, job.index, job.tokens};
        const auto file = job.file.first(file_bytes(job.index));
        internal::seal_kv_page(name, stored_bytes(job.index), file);
        put = shelf_.put(name, file);
      }
      lock.lock();
      first_ = (first_ + 1) % static_cast<int>(jobs_.size());
      --n_taken_;
      if (!put) {
        if (!trouble_) trouble_ = put.error();
      } else if (*put == internal::KvShelf::Put::no_room) {
        if (!trouble_)
          trouble_ = Error{"kv_store.no_room",
                           fmt::format("conversations are not kept in {} any more: a page needs {}, {} are allowed and "
                                       "{} of the disk stay free",
                                       options_.folder.string(), format_bytes(file_bytes(job.index)),
                                       format_bytes(options_.limit_bytes), format_bytes(options_.keep_free_bytes)),
                           "free some space on that disk, or use another folder (--home DIR)"};
      } else {
        counts_.n_stored += *put == internal::KvShelf::Put::stored;
      }
    } else if (!touched_.empty()) {
      touched.swap(touched_);
      lock.unlock();
      shelf_.touch(touched);
      touched.clear();
      lock.lock();
    } else {
      writing_ = false;
      idle_.notify_all();
      return;  // stopping, and everything is written
    }
    writing_ = false;
    if (n_taken_ == 0 && touched_.empty()) idle_.notify_all();
  }
}

void KvStore::wait_until_idle(std::unique_lock<std::mutex>& lock) {
  idle_.wait(lock, [&] { return !erasing_ && !writing_ && n_taken_ == 0 && touched_.empty(); });
}

// The disk may take its time: whoever offers a page meanwhile does not wait for it.
Result<int64_t> KvStore::erase_from_shelf(const std::function<Result<int64_t>()>& erase) {
  std::unique_lock lock(mutex_);
  wait_until_idle(lock);
  erasing_ = true;
  known_.assign(kKnownPages, {});
  lock.unlock();
  Result<int64_t> n = erase();
  lock.lock();
  // One restored meanwhile may be gone by now.
  known_.assign(kKnownPages, {});
  erasing_ = false;
  arrived_.notify_all();
  idle_.notify_all();
  return n;
}

void KvStore::drain() {
  std::unique_lock lock(mutex_);
  wait_until_idle(lock);
}

void KvStore::stop_storing(Error why) {
  const std::lock_guard lock(mutex_);
  if (!trouble_) trouble_ = std::move(why);
}

// ---- restoring ----

bool KvStore::open(Reading& r, const PageKey& root, const PageKey& key, int64_t index) {
  auto file = File::open(shelf_.path_of(root, key, index), File::Mode::read);
  if (!file) return false;
  r.file = std::move(*file);
  const auto size = r.file.size_bytes();
  if (!size || *size != file_bytes(index)) return discard(root, key, index), false;
  r.direct.emplace(r.file);
  const uint64_t step = r.direct->alignment();
  if (kSlotAlignment % step != 0) return false;
  if (!queue_) queue_ = std::make_unique<ReadQueue>(kQueueDepth);
  return true;
}

void KvStore::discard(const PageKey& root, const PageKey& key, int64_t index) {
  (void)remove_file(shelf_.path_of(root, key, index));
  const std::lock_guard lock(mutex_);
  ++counts_.n_damaged;
  if (known(key) == key) known(key) = {};
}

bool KvStore::has(const PageKey& root, const PageKey& key, int64_t index) const {
  std::error_code ec;
  return fs::exists(shelf_.path_of(root, key, index), ec);
}

int64_t KvStore::restore(const PageKey& root, std::span<const PageKey> keys, std::span<const TokenId> tokens,
                         int64_t first, const std::function<KvPlace(int64_t)>& place, Clock::time_point until) {
  const auto begin = Clock::now();
  const auto n_keys = static_cast<int64_t>(keys.size());
  const auto reading = [&](int64_t i) -> Reading& { return readings_[static_cast<size_t>(i % n_reads_)]; };
  int64_t next = first, done = first;  // to be opened, to be checked
  bool sound = true;
  const auto reap = [&] {
    const auto c = queue_->reap();
    if (!c) {
      sound = false;  // it does not say whose read it was
      return;
    }
    Reading& r = readings_[c->tag];
    --r.n_pending;
    r.n_read += c->n_bytes;
  };
  const auto start = [&](int64_t i) {
    Reading& r = reading(i);
    r.n_pending = 0;
    r.n_read = 0;
    const uint64_t whole = ceil_div<uint64_t>(file_bytes(i), r.direct->alignment()) * r.direct->alignment();
    for (uint64_t at = 0; at < whole; at += kReadBytes) {
      while (queue_->n_in_flight() == queue_->depth()) reap();
      queue_->submit(*r.direct, at, r.bytes.subspan(at, std::min(kReadBytes, whole - at)),
                     static_cast<uint64_t>(&r - readings_.data()));
      ++r.n_pending;
    }
  };

  for (bool more = true; sound; ++done) {
    for (; more && next < n_keys && next - done < n_reads_; ++next) {
      more =
          (next == first || Clock::now() < until) && open(reading(next), root, keys[static_cast<size_t>(next)], next);
      if (!more) break;
      start(next);
    }
    if (done == next) break;
    Reading& r = reading(done);
    while (sound && r.n_pending > 0) reap();
    if (!sound) break;
    const auto i = static_cast<size_t>(done);
    const PageName name{root, keys[i], i > 0 ? keys[i - 1] : root, done,
                        tokens.subspan(i * kernels::kKvPage, kernels::kKvPage)};
    const auto page =
        r.n_read >= file_bytes(done) ? internal::open_kv_page(name, stored_bytes(done), r.bytes) : std::nullopt;
    if (!page) {
      discard(root, keys[i], done);
      break;
    }
    const KvPlace to = place(done);
    if (!to.page) break;
    std::memcpy(to.page, page->data(), page_bytes_);
    if (page->size() > page_bytes_) std::memcpy(to.exact, page->data() + page_bytes_, first_exact_bytes_);
  }
  while (queue_ && queue_->n_in_flight() > 0) (void)queue_->reap();
  // The disk could not read one of these; they are written anew when their text has been read.
  if (!sound)
    for (int64_t i = done; i < next; ++i) discard(root, keys[static_cast<size_t>(i)], i);
  for (Reading& r : readings_) {
    r.direct.reset();
    r.file = {};
  }
  const std::lock_guard lock(mutex_);
  counts_.n_restored += done - first;
  for (const PageKey& k : keys.subspan(static_cast<size_t>(first), static_cast<size_t>(done - first))) known(k) = k;
  counts_.restore_s += std::chrono::duration<double>(Clock::now() - begin).count();
  return done - first;
}

// ---- erasing, counting ----

Result<int64_t> KvStore::erase(const PageKey& root, std::span<const TokenId> text, int64_t from) {
  const auto n_text = static_cast<int64_t>(text.size());
  const auto begin = static_cast<size_t>(std::clamp<int64_t>(from, 0, n_text) / kernels::kKvPage * kernels::kKvPage);
  std::vector<PageKey> keys;
  append_page_keys(root, text.first(begin), keys);
  const auto page = text.subspan(begin, std::min(text.size() - begin, static_cast<size_t>(kernels::kKvPage)));
  return erase_from_shelf([&] { return shelf_.erase(root, keys.empty() ? root : keys.back(), page); });
}

Result<int64_t> KvStore::clear() {
  return erase_from_shelf([&] { return shelf_.clear(); });
}

Result<KvStore::Content> KvStore::content_of(const fs::path& folder) {
  return internal::KvShelf(folder, 0, 0).content();
}

Result<int64_t> KvStore::clear_folder(const fs::path& folder) { return internal::KvShelf(folder, 0, 0).clear(); }

KvStore::Counts KvStore::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::optional<Error> KvStore::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

}  // namespace watra::engine
