#include "base/direct_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/fault.h"

namespace watra {
namespace {

// Of a span that is read through the page cache, at least this share must lie there; the rest is read ahead.
constexpr double kCachedShare = 0.75;
constexpr int kProbes = 16;

// What the file system demands of direct reads; 0 = it has none, nothing = it does not say.
std::optional<uint32_t> stated_alignment([[maybe_unused]] int fd) {
#ifdef STATX_DIOALIGN
  struct statx stx {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 && (stx.stx_mask & STATX_DIOALIGN))
    return std::max(stx.stx_dio_offset_align, stx.stx_dio_mem_align);
#endif
  return {};
}

// Bytes of the span in the page cache. The C library has no name for this call yet.
std::optional<uint64_t> cached_bytes(int fd, uint64_t offset, uint64_t n_bytes) {
#ifdef SYS_cachestat
  constexpr long kCachestat = SYS_cachestat;
#else
  constexpr long kCachestat = 451;  // the same number on every architecture
#endif
  struct {
    uint64_t offset, bytes;
  } range{offset, n_bytes};
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;  // pages
  } stat{};
  if (fault::hit("direct.cachestat") || ::syscall(kCachestat, fd, &range, &stat, 0) != 0) return {};
  return stat.cached * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

DirectFile::DirectFile(const File& file, bool always_direct) : file_(&file), always_direct_(always_direct) {
  const std::optional<uint32_t> stated = stated_alignment(file.fd());
  if (stated && *stated == 0) return;
  // At least a page: smaller pieces gain nothing, and what does not state its needs is content with it.
  if (stated) alignment_ = std::max(alignment_, *stated);
  if (fault::hit("direct.open")) return;
  // By descriptor, so that it is the same file even when the name has moved on.
  if (auto opened = File::open(fs::path("/proc/self/fd") / std::to_string(file.fd()), File::Mode::read_direct))
    direct_ = std::move(*opened);
}

bool DirectFile::is_cached(uint64_t offset, uint64_t n_bytes) const {
  if (always_direct_) return false;
  if (const auto bytes = cached_bytes(file_->fd(), offset, n_bytes))
    return static_cast<double>(*bytes) >= kCachedShare * static_cast<double>(n_bytes);
  auto probed = probed_.load(std::memory_order_relaxed);
  if (probed == Probed::not_yet) {
    probed = looks_cached() ? Probed::cached : Probed::cold;
    probed_.store(probed, std::memory_order_relaxed);
  }
  return probed == Probed::cached;
}

// A read that may not wait succeeds only on what is cached. It also starts reading ahead where nothing is, so there are
// few of them.
bool DirectFile::looks_cached() const {
  const uint64_t size = file_->size_bytes().value_or(0);
  int n_cached = 0;
  for (int i = 0; i < kProbes; ++i) {
    char byte;
    const iovec where{&byte, 1};
    const auto at = static_cast<off_t>(size / kProbes * static_cast<uint64_t>(i));
    n_cached += ::preadv2(file_->fd(), &where, 1, at, RWF_NOWAIT) == 1;
  }
  return n_cached >= kCachedShare * kProbes;
}

}  // namespace watra
