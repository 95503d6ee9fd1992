#include "engine/internal/weight_reader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include "base/memory.h"
#include "base/read_queue.h"
#include "model/synthetic.h"

namespace watra::engine::internal {
namespace {

using Clock = std::chrono::steady_clock;

// Reads in flight, all members together: a fast disk wants 16 to 32 of this size (docs/measurements.md).
constexpr int kReadsInFlight = 32;

uint64_t align_down(uint64_t n, uint64_t step) { return n / step * step; }
uint64_t align_up(uint64_t n, uint64_t step) { return align_down(n + step - 1, step); }

class Reader {
 public:
  Reader(const checkpoint::Checkpoint& file, const ReadPlan& plan, const WeightReaderOptions& options)
      : file_(file), plan_(plan), options_(options) {}

  Status run(ThreadTeam& team) {
    uint32_t alignment = 1;
    if (file_.has_files())
      for (uint32_t i = 0; i < file_.paths().size(); ++i) {
        files_.push_back(std::make_unique<DirectFile>(file_.file(i)));
        alignment = std::max(alignment, files_.back()->alignment());
      }
    const uint64_t place_bytes = align_up(plan_.longest_read_bytes, alignment) + 2 * uint64_t{alignment};
    const auto n_members = static_cast<uint64_t>(team.size());
    const uint64_t most = std::max<uint64_t>(kReadsInFlight / n_members, 2);
    const auto depth = std::clamp<uint64_t>(options_.staging_bytes / (n_members * place_bytes), 1, most);
    for (uint64_t i = 0; i < n_members; ++i) {
      auto m = std::make_unique<Member>(file_.has_files() ? static_cast<int>(depth) : 1);
      WATRA_ASSIGN(m->staging, Buffer::allocate(nullptr, "reads in flight", m->reads.size() * place_bytes + alignment));
      std::byte* begin = m->staging.data();
      begin += align_up(reinterpret_cast<uintptr_t>(begin), alignment) - reinterpret_cast<uintptr_t>(begin);
      for (size_t p = 0; p < m->reads.size(); ++p) m->places.push_back({begin + p * place_bytes, place_bytes});
      members_.push_back(std::move(m));
    }
    team.run([this](int rank) {
      Member& m = *members_[static_cast<size_t>(rank)];
      file_.has_files() ? read_files(m) : make_up(m);
    });
    if (error_) return fail(std::move(*error_));
    if (options_.progress) options_.progress(plan_.n_bytes, plan_.n_bytes);
    return {};
  }

 private:
  struct Member {
    explicit Member(int depth) : reads(static_cast<size_t>(depth)), queue(depth) {
      for (size_t p = 0; p < reads.size(); ++p) free.push_back(p);
    }
    Buffer staging;
    std::vector<std::span<std::byte>> places;  // by place
    std::vector<const PlannedRead*> reads;
    std::vector<size_t> free;
    ReadQueue queue;  // last: its end waits for reads into the staging buffer
  };

  const PlannedRead* claim() {
    if (options_.cancelled && !failed_.load(std::memory_order_relaxed) && options_.cancelled())
      give_up({"load.cancelled", "loading was stopped before all weights were read", ""});
    const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
    return i < plan_.reads.size() && !failed_.load(std::memory_order_relaxed) ? &plan_.reads[i] : nullptr;
  }

  void read_files(Member& m) {
    for (bool more = true;;) {
      // What came from the page cache is placed at once, while it is in the processor's caches.
      while (more && !m.free.empty() && !m.queue.has_ready()) {
        const PlannedRead* read = claim();
        more = read != nullptr;
        if (!read) break;
        const size_t place = m.free.back();
        m.free.pop_back();
        m.reads[place] = read;
        const DirectFile& file = *files_[read->file_index];
        const uint64_t begin = align_down(read->offset, file.alignment());
        const uint64_t end = align_up(read->offset + read->n_bytes, file.alignment());
        m.queue.submit(file, begin, m.places[place].first(end - begin), place);
      }
      if (m.queue.n_in_flight() == 0) return;
      const auto done = m.queue.reap();
      if (!done) return give_up(done.error());
      const auto place = static_cast<size_t>(done->tag);
      const PlannedRead& read = *m.reads[place];
      const DirectFile& file = *files_[read.file_index];
      const uint64_t lead = read.offset - align_down(read.offset, file.alignment());
      if (done->n_bytes < lead + read.n_bytes) return give_up(cut_file(read, file, done->n_bytes, lead));
      if (const Status placed = place_read(read, m.places[place].data() + lead); !placed)
        return give_up(placed.error());
      m.free.push_back(place);
    }
  }

  static Error cut_file(const PlannedRead& read, const DirectFile& file, uint64_t n_bytes, uint64_t lead) {
    return {"file.short_read",
            fmt::format("{} ends early: {} bytes wanted at offset {}, {} there", file.file().path().string(),
                        read.n_bytes, read.offset, n_bytes - std::min(n_bytes, lead)),
            "the file was cut while it was read; copy or download it again"};
  }

  void make_up(Member& m) {
    while (const PlannedRead* read = claim()) {
      for (size_t i = 0; i < read->n_pieces; ++i) {
        const Piece& p = plan_.pieces[read->first_piece + i];
        const auto s = model::fill_synthetic(
            p.tensor->info->dtype, m.places[0].subspan(p.file_offset() - read->offset, p.n_bytes), p.file_offset());
        if (!s) return give_up(s.error());
      }
      if (const Status placed = place_read(*read, m.places[0].data()); !placed) return give_up(placed.error());
    }
  }

  Status place_read(const PlannedRead& read, const std::byte* bytes) {
    uint64_t n = 0;
    for (size_t i = 0; i < read.n_pieces; ++i) {
      const Piece& p = plan_.pieces[read.first_piece + i];
      WATRA_TRY(place_piece(p, bytes + (p.file_offset() - read.offset)));
      n += p.n_bytes;
    }
    const uint64_t so_far = n_done_.fetch_add(n, std::memory_order_relaxed) + n;
    if (std::unique_lock lock(mutex_, std::defer_lock); options_.progress && lock.try_lock())
      if (const auto now = Clock::now(); now - last_report_ > std::chrono::milliseconds(100))
        last_report_ = now, options_.progress(so_far, plan_.n_bytes);
    return {};
  }

  void give_up(Error error) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }

  const checkpoint::Checkpoint& file_;
  const ReadPlan& plan_;
  const WeightReaderOptions& options_;
  std::vector<std::unique_ptr<DirectFile>> files_;
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> n_done_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::optional<Error> error_;
  Clock::time_point last_report_ = Clock::now();
};

}  // namespace

Status read_weights(const checkpoint::Checkpoint& file, const ReadPlan& plan, ThreadTeam& team,
                    const WeightReaderOptions& options) {
  return Reader(file, plan, options).run(team);
}

}  // namespace watra::engine::internal
