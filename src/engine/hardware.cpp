#include "engine/hardware.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "base/cache_lines.h"
#include "base/cpu.h"
#include "base/cpu_clock.h"
#include "base/memory.h"
#include "base/read_queue.h"
#include "model/synthetic.h"
#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

// The processor time that the calls of a round take, beside the round's own: members of a team that share a processor
// have half of it each, and what such a round tells is half of the rate. They are given time to find one each.
class OwnProcessors {
 public:
  explicit OwnProcessors(int n_threads) : n_threads_(n_threads) {}
  template <class F>
  void time(F&& work) {
    const double begin = thread_cpu_seconds();
    work();
    spent_ns_.fetch_add(static_cast<int64_t>(1e9 * (thread_cpu_seconds() - begin)), std::memory_order_relaxed);
  }
  // Ends a round of `seconds`: did each have one to itself?
  bool had(double seconds) {
    constexpr double kNearlyAll = 0.8;
    return static_cast<double>(spent_ns_.exchange(0)) * 1e-9 > kNearlyAll * seconds * n_threads_;
  }
  static void find() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

 private:
  const int n_threads_;
  std::atomic<int64_t> spent_ns_{0};
};
// So much longer than it was to take, a measurement waits for them.
constexpr double kWaitForOwn = 1.0;

double best_or_usual(std::vector<double>& rates, const MeasureOptions& options) {
  std::sort(rates.begin(), rates.end());
  return options.usual ? rates[rates.size() / 2] : rates.back();
}

// The largest file of a folder, if it is large enough to be read for a while.
fs::path large_file(const fs::path& folder) {
  uintmax_t largest = (64u << 20) - 1;
  fs::path found;
  std::error_code ec;
  for (fs::directory_iterator at(folder, ec), end; !ec && at != end; at.increment(ec)) {
    std::error_code file_ec;
    const uintmax_t size = at->is_regular_file(file_ec) ? at->file_size(file_ec) : 0;
    if (!file_ec && size > largest) largest = size, found = at->path();
  }
  return found;
}

struct RemovedAtEnd {
  fs::path path;
  ~RemovedAtEnd() {
    std::error_code ec;
    fs::remove(path, ec);
  }
};

Status write_test_file(const fs::path& path) {
  WATRA_ASSIGN(File f, File::open(path, File::Mode::create));
  std::vector<std::byte> block(1 << 20);
  uint64_t state = 1;
  for (auto& b : block) b = static_cast<std::byte>((state = state * 6364136223846793005u + 1442695040888963407u) >> 56);
  for (int i = 0; i < 256; ++i) {
    block[0] = static_cast<std::byte>(i);  // no two blocks alike
    WATRA_TRY(f.append(block));
  }
  return f.sync();
}

// Rows that fill whole groups, in place.
void interleave_all(tensor::DType dtype, std::span<std::byte> rows, int64_t d) {
  const uint64_t row_bytes = tensor::row_bytes(dtype, d), group_bytes = row_bytes * tensor::kInterleavedRows;
  std::vector<std::byte> group(group_bytes);
  for (uint64_t at = 0; at + group_bytes <= rows.size(); at += group_bytes) {
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(at), group_bytes, group.begin());
    tensor::interleave_group(dtype, group.data(), row_bytes, d, rows.data() + at);
  }
}

}  // namespace

uint64_t usable_memory_bytes() {
  constexpr uint64_t kLeastSpare = 512u << 20;
  const uint64_t available = available_memory_bytes(), spare = std::max(kLeastSpare, total_memory_bytes() / 20);
  return available > 2 * spare ? available - spare : available / 2;
}

uint64_t beyond_caches(uint64_t least_bytes, uint64_t times) {
  return std::max(least_bytes, times * largest_cache_bytes() >> 20 << 20);
}

Result<double> measure_read_gb_s(ThreadTeam& team, const MeasureOptions& options) {
  WATRA_ASSIGN(Buffer buffer, Buffer::allocate(nullptr, "bandwidth test", options.buffer_bytes));
  constexpr int64_t kChunk = 1 << 20;
  const auto n_chunks = static_cast<int64_t>(options.buffer_bytes / kChunk);
  team.parallel_for(n_chunks, 16, [&](int64_t b, int64_t e) {  // touched by those who read
    std::fill(buffer.data() + b * kChunk, buffer.data() + e * kChunk, std::byte{1});
  });
  const auto read = kernels::available().back()->read_burst;
  std::atomic<uint64_t> sink{0};
  OwnProcessors own(team.size());
  bool had_own = false;
  const auto rate = [&](const kernels::FetchAhead& fetch) {
    const auto t = Clock::now();
    team.parallel_for(n_chunks, 4, [&](int64_t b, int64_t e) {
      own.time([&] {
        sink.fetch_add(read(buffer.data() + b * kChunk, (e - b) * kChunk, fetch), std::memory_order_relaxed);
      });
    });
    const double seconds = since(t);
    if (own.had(seconds))
      had_own = true;
    else
      OwnProcessors::find();
    return static_cast<double>(options.buffer_bytes) / seconds / 1e9;
  };
  // Read as plainly as may be, or fetched as products do: whatever this processor likes best.
  kernels::FetchAhead fetch{.far = 0, .near = 0};
  double best = rate(fetch);
  for (const auto& other : kernels::kFetchAheads)
    if (const double r = other.straight ? 0 : rate(other); r > best) best = r, fetch = other;
  std::vector<double> rates;
  const auto begin = Clock::now();
  for (int round = 0;
       round < 3 || since(begin) < options.seconds || (!had_own && since(begin) < options.seconds + kWaitForOwn);
       ++round)
    rates.push_back(rate(fetch));
  if (!options.usual) rates.push_back(best);
  return best_or_usual(rates, options);
}

double measure_int8_gop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds) {
  double best = 0;
  OwnProcessors own(team.size());
  bool had_own = false;
  const auto begin = Clock::now();
  for (int round = 0; round < 3 || since(begin) < seconds || (!had_own && since(begin) < seconds + kWaitForOwn);
       ++round) {
    std::atomic<int64_t> done{0};
    const auto t = Clock::now();
    team.run([&](int) { own.time([&] { done.fetch_add(kernels.int8_burst(200'000), std::memory_order_relaxed); }); });
    const double took = since(t);
    best = std::max(best, 2.0 * static_cast<double>(done.load()) / took / 1e9);
    if (own.had(took))
      had_own = true;
    else
      OwnProcessors::find();
  }
  return best;
}

Result<double> measure_kernel_gb_s(ThreadTeam& team, const kernels::Kernels& kernels, tensor::DType dtype, int64_t m,
                                   const MeasureOptions& options) {
  if (!kernels.supports(dtype))
    return fail("kernels.unsupported_dtype",
                fmt::format("the {} kernels cannot multiply {} matrices", kernels.isa, tensor::dtype_name(dtype)));
  constexpr int64_t kCols = 4096, kChunk = 4 * kernels::kRowGroup;
  const uint64_t row_bytes = tensor::row_bytes(dtype, kCols);
  const int64_t rows = std::max<int64_t>(1, static_cast<int64_t>(options.buffer_bytes / row_bytes) / kChunk) * kChunk;
  const auto format = kernels.act_format(dtype);
  const bool plain = format == kernels::ActFormat::f32;
  const int64_t x_bytes = plain ? m * kCols * 4 : kernels.act_bytes(format, m, kCols);
  const int64_t scratch_stride = (kernels.matmul_scratch_bytes(kCols) + 63) / 64 * 64;
  WATRA_ASSIGN(const Buffer w, Buffer::allocate(nullptr, "kernel test", static_cast<uint64_t>(rows) * row_bytes));
  WATRA_ASSIGN(const Buffer x, Buffer::allocate(nullptr, "kernel test", static_cast<uint64_t>(x_bytes)));
  WATRA_ASSIGN(const Buffer y, Buffer::allocate(nullptr, "kernel test", static_cast<uint64_t>(m * rows) * 4));
  WATRA_ASSIGN(const Buffer scratch,
               Buffer::allocate(nullptr, "kernel test", static_cast<uint64_t>(team.size() * scratch_stride)));
  WATRA_TRY(model::fill_synthetic(dtype, w.span(), 1));
  const bool evicts = options.as_in_file && disks_write_through_caches();  // as WeightStream does
  const tensor::Layout layout = options.as_in_file ? tensor::Layout::rows : kernels.layout(dtype);
  if (layout == tensor::Layout::interleaved_16) interleave_all(dtype, w.span(), kCols);
  std::vector<float> row(kCols);
  for (int64_t i = 0; i < kCols; ++i) row[static_cast<size_t>(i)] = static_cast<float>(i % 17 - 8) / 8;
  for (int64_t i = 0; i < m; ++i)
    plain ? static_cast<void>(std::memcpy(x.data() + i * kCols * 4, row.data(), kCols * 4))
          : kernels.convert_act_row(format, row.data(), x.data(), i, m, kCols);
  kernels::MatmulArgs args{.w = {dtype, layout, {rows, kCols}, w.data()},
                           .x = x.data(),
                           .x_stride_bytes = kCols * 4,
                           .m = m,
                           .y = y.as<float>(),
                           .y_stride = rows,
                           .x_format = format};
  const auto rate = [&] {
    std::atomic<int64_t> next{0};
    const auto t = Clock::now();
    team.run([&](int rank) {
      for (int64_t b; (b = next.fetch_add(kChunk, std::memory_order_relaxed)) < rows;) {
        const int64_t e = std::min(b + kChunk, rows);
        kernels.matmul(args, b, e, scratch.data() + rank * scratch_stride);
        if (evicts)
          evict_from_caches(
              w.span().subspan(static_cast<uint64_t>(b) * row_bytes, static_cast<uint64_t>(e - b) * row_bytes));
      }
    });
    return static_cast<double>(w.size_bytes()) / since(t) / 1e9;
  };
  if (m == 1 && !options.as_in_file) {  // decoding finds out how to fetch; so do we
    double best = 0;
    kernels::FetchAhead chosen;
    for (const auto& fetch : kernels::kFetchAheads) {
      args.fetch = fetch;
      if (const double r = std::max(rate(), rate()); r > best) best = r, chosen = fetch;
    }
    args.fetch = chosen;
  }
  std::vector<double> rates;
  const auto begin = Clock::now();
  for (int round = 0; round < 3 || since(begin) < options.seconds; ++round) rates.push_back(rate());
  return best_or_usual(rates, options);
}

double measure_fp32_gflop_s(ThreadTeam& team, const kernels::Kernels& kernels, double seconds) {
  double best = 0;
  const auto begin = Clock::now();
  for (int round = 0; round < 3 || since(begin) < seconds; ++round) {
    std::atomic<int64_t> done{0};
    const auto t = Clock::now();
    team.run([&](int) { done.fetch_add(kernels.fma_burst(200'000), std::memory_order_relaxed); });
    best = std::max(best, 2.0 * static_cast<double>(done.load()) / since(t) / 1e9);
  }
  return best;
}

namespace {

// What becomes of a block that has arrived: nothing, or what the disk tier does, a read by the processor, whose caches
// then let go of it.
enum class Arrived { left, used };

Result<double> read_for(const DirectFile& direct, uint64_t size, uint64_t read_bytes, int depth, double seconds,
                        Arrived arrived = Arrived::left) {
  const auto read = kernels::available().back()->read_burst;
  WATRA_ASSIGN(const Buffer buffer, Buffer::allocate(nullptr, "disk test", static_cast<uint64_t>(depth) * read_bytes));
  ReadQueue queue(depth);
  uint64_t n_bytes = 0, at = 0;
  const auto submit = [&](uint64_t place) {
    queue.submit(direct, at, buffer.span().subspan(place * read_bytes, read_bytes), place);
    at = at + 2 * read_bytes > size ? 0 : at + read_bytes;
  };
  const auto begin = Clock::now();
  for (int i = 0; i < depth; ++i) submit(static_cast<uint64_t>(i));
  while (queue.n_in_flight() > 0) {
    WATRA_ASSIGN(const auto done, queue.reap());
    n_bytes += done.n_bytes;
    if (arrived == Arrived::used) {
      const auto block = buffer.span().subspan(done.tag * read_bytes, done.n_bytes);
      read(block.data(), static_cast<int64_t>(block.size()), {});
      if (disks_write_through_caches()) evict_from_caches(block);
    }
    if (since(begin) < seconds) submit(done.tag);
  }
  return static_cast<double>(n_bytes) / since(begin) / 1e9;
}

}  // namespace

namespace {

// fn(file, its size) with something large on the disk behind a folder.
template <class Fn>
Status with_large_file(const fs::path& folder, Fn&& fn) {
  RemovedAtEnd temporary;
  fs::path path = large_file(folder);
  if (path.empty()) {
    path = temporary.path = folder / fmt::format(".watra-disk-test-{}", Clock::now().time_since_epoch().count());
    WATRA_TRY(write_test_file(path));
  }
  WATRA_ASSIGN(const File file, File::open(path, File::Mode::read));
  WATRA_ASSIGN(const uint64_t size, file.size_bytes());
  const DirectFile direct(file, true);
  if (!direct.is_direct())
    return fail("hardware.no_direct_reads", fmt::format("the file system of {} has no direct reads", folder.string()));
  return fn(direct, size);
}

}  // namespace

Result<double> measure_direct_read_gb_s(const fs::path& folder, double seconds) {
  double rate = 0;
  WATRA_TRY(with_large_file(folder, [&](const DirectFile& file, uint64_t size) -> Status {
    WATRA_ASSIGN(rate, read_for(file, size, 1u << 20, 32, seconds));
    return {};
  }));
  return rate;
}

Result<double> measure_streamed_read_gb_s(const fs::path& folder, double seconds) {
  constexpr int kInFlight = 24;  // MiB of the smallest usual ring
  double rate = 0;
  WATRA_TRY(with_large_file(folder, [&](const DirectFile& file, uint64_t size) -> Status {
    WATRA_ASSIGN(rate, read_for(file, size, 1u << 20, kInFlight, seconds, Arrived::used));
    return {};
  }));
  return rate;
}

Result<std::vector<DirectReadRate>> sweep_direct_reads(const fs::path& folder, double seconds) {
  std::vector<DirectReadRate> rates;
  WATRA_TRY(with_large_file(folder, [&](const DirectFile& file, uint64_t size) -> Status {
    for (const uint64_t read_bytes : {256u << 10, 1u << 20, 4u << 20})
      for (const int depth : {4, 16, 32}) {
        WATRA_ASSIGN(const double gb_s, read_for(file, size, read_bytes, depth, seconds));
        rates.push_back({gb_s, read_bytes, depth});
      }
    return {};
  }));
  return rates;
}

}  // namespace watra::engine
