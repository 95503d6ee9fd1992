#include "base/read_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "base/fault.h"
#include "base/memory.h"

namespace watra {
namespace {

using Way = ReadQueue::Way;

// A file of random bytes whose end is no multiple of anything.
class ReadQueueTest : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = (3u << 20) + 1234;

  void SetUp() override {
    // Beside the tests rather than in /tmp, which may be a file system without direct reads.
    path_ = fs::current_path() / ("read-queue-test-" + std::to_string(::getpid()));
    content_.resize(kBytes);
    std::mt19937_64 rng(1);
    for (auto& b : content_) b = static_cast<std::byte>(rng());
    auto f = File::open(path_, File::Mode::write);
    ASSERT_TRUE(f && f->append(content_) && f->sync());
    file_ = std::move(*File::open(path_, File::Mode::read));
  }
  void TearDown() override { fs::remove(path_); }
  void forget_cached() { ::posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_DONTNEED); }

  // Reads the whole file in pieces through the queue and compares. Returns the first error.
  Status read_all(ReadQueue& queue, const DirectFile& file, uint64_t piece = 256 << 10) {
    const uint64_t n_pieces = (kBytes + piece - 1) / piece;
    auto staging = Buffer::allocate(nullptr, "test", std::max<uint64_t>(n_pieces * piece + 4096, 2 << 20));
    if (!staging) return fail(staging.error());
    std::map<uint64_t, size_t> sizes;
    const auto reap = [&]() -> Status {
      WATRA_ASSIGN(const auto done, queue.reap());
      sizes[done.tag] = done.n_bytes;
      return {};
    };
    for (uint64_t i = 0; i < n_pieces; ++i) {
      if (queue.n_in_flight() == queue.depth()) WATRA_TRY(reap());
      queue.submit(file, i * piece, staging->span().subspan(i * piece, piece), i);
    }
    while (queue.n_in_flight() > 0) WATRA_TRY(reap());
    for (uint64_t i = 0; i < n_pieces; ++i)
      EXPECT_EQ(sizes.at(i), std::min(piece, kBytes - i * piece)) << "only the last piece is short";
    EXPECT_TRUE(std::equal(content_.begin(), content_.end(), staging->data()));
    return {};
  }

  fs::path path_;
  std::vector<std::byte> content_;
  File file_;
};

TEST_F(ReadQueueTest, ReadsCachedAndColdFilesEitherWay) {
  for (const Way way : {Way::best, Way::threads})
    for (const int depth : {1, 3, 16})
      for (const bool cold : {false, true}) {
        if (cold) forget_cached();
        const DirectFile direct(file_);
        ReadQueue queue(depth, way);
        EXPECT_TRUE(read_all(queue, direct)) << queue.way() << " depth " << depth << " cold " << cold;
        EXPECT_TRUE(way == Way::best || queue.way() == "threads");
      }
}

// Some submit while one waits without the lock: what the threads of a pass do.
TEST_F(ReadQueueTest, ThreadsShareAQueueUnderALock) {
  for (const Way way : {Way::best, Way::threads}) {
    const DirectFile direct(file_, true);
    constexpr uint64_t kPiece = 64 << 10, kPieces = kBytes / kPiece;
    ReadQueue queue(4, way);
    auto staging = Buffer::allocate(nullptr, "test", kPieces * kPiece + (2 << 20));
    ASSERT_TRUE(staging);
    std::mutex mutex;
    std::condition_variable changed;
    bool somebody_waits = false;
    uint64_t next = 0, n_done = 0;
    const auto work = [&] {
      std::unique_lock lock(mutex);
      while (n_done < kPieces) {
        while (next < kPieces && queue.n_in_flight() < queue.depth()) {
          queue.submit(direct, next * kPiece, staging->span().subspan(next * kPiece, kPiece), next);
          ++next;
        }
        if (!somebody_waits) queue.poll();
        if (const auto done = queue.finished()) {
          EXPECT_EQ(done->n_bytes.value_or(0), kPiece);
          ++n_done;
          changed.notify_all();
        } else if (!somebody_waits && queue.awaits_answer()) {
          somebody_waits = true;
          lock.unlock();
          const auto answer = queue.wait();
          lock.lock();
          somebody_waits = false;
          queue.accept(answer);
          changed.notify_all();
        } else if (n_done < kPieces) {
          changed.wait(lock);
        }
      }
      changed.notify_all();
    };
    std::thread a(work), b(work);
    work();
    a.join();
    b.join();
    EXPECT_TRUE(std::equal(content_.begin(), content_.begin() + kPieces * kPiece, staging->data())) << queue.way();
  }
}

TEST_F(ReadQueueTest, KnowsWhatIsCached) {
  const DirectFile direct(file_);
  ASSERT_EQ(direct.alignment() % 4096, 0u);
  std::vector<std::byte> all(kBytes);
  ASSERT_TRUE(file_.read_at(0, all));
  EXPECT_TRUE(direct.is_cached(0, kBytes));
  forget_cached();
  EXPECT_FALSE(direct.is_direct() && direct.is_cached(0, kBytes));
  ASSERT_TRUE(file_.read_at(2 << 20, std::span(all).first(1 << 20)));
  EXPECT_TRUE(direct.is_cached(2 << 20, 1 << 20)) << "decided by span";
}

TEST_F(ReadQueueTest, ProbesWhereTheSystemDoesNotTell) {
  std::vector<std::byte> all(kBytes);
  ASSERT_TRUE(file_.read_at(0, all));
  fault::Arm arm("direct.cachestat", 0);
  const DirectFile direct(file_);
  EXPECT_TRUE(direct.is_cached(0, 4096));
  EXPECT_TRUE(arm.fired());
}

TEST_F(ReadQueueTest, WorksWithoutDirectReads) {
  forget_cached();
  fault::Arm arm("direct.open", 0);
  const DirectFile direct(file_);
  EXPECT_FALSE(direct.is_direct());
  ReadQueue queue(4);
  EXPECT_TRUE(read_all(queue, direct));
}

TEST_F(ReadQueueTest, DirectReadsThatAreRefusedLateGoThroughThePageCache) {
  for (const Way way : {Way::best, Way::threads}) {
    forget_cached();
    const DirectFile direct(file_);
    if (!direct.is_direct()) GTEST_SKIP() << "no direct reads here";
    fault::Arm arm("direct.read", 2);
    ReadQueue queue(4, way);
    EXPECT_TRUE(read_all(queue, direct));
    EXPECT_TRUE(arm.fired());
    EXPECT_FALSE(direct.is_direct());
  }
}

TEST_F(ReadQueueTest, AForbiddenRingMeansThreads) {
  fault::Arm arm("uring.setup", 0);
  forget_cached();
  const DirectFile direct(file_);
  ReadQueue queue(4);
  EXPECT_EQ(queue.way(), "threads");
  EXPECT_TRUE(read_all(queue, direct));
}

// Out of memory for a moment: the read is made another way, and nothing of the one that was not taken is left to be
// carried out later, when its memory is somebody else's.
TEST_F(ReadQueueTest, AReadThatIsNotTakenIsMadeOnce) {
  for (uint64_t nth : {0u, 1u, 5u}) {
    forget_cached();
    const DirectFile direct(file_);
    ReadQueue queue(4);
    if (queue.way() != "io_uring") GTEST_SKIP() << "no io_uring here";
    fault::Arm arm("uring.submit", nth);
    EXPECT_TRUE(read_all(queue, direct));
    EXPECT_TRUE(arm.fired()) << nth;
  }
  forget_cached();
  const DirectFile direct(file_, true);
  ReadQueue queue(2);
  auto staging = Buffer::allocate(nullptr, "test", 2 << 20);
  ASSERT_TRUE(staging);
  const auto first = staging->span().first(64 << 10), second = staging->span().subspan(1 << 20, 64 << 10);
  for (int round = 0; round < 3; ++round) {
    {
      const fault::Arm arm("uring.submit", 0);
      queue.submit(direct, 0, first, 1);
      EXPECT_TRUE(arm.fired());
    }
    ASSERT_EQ(queue.reap().value().tag, 1u);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), content_.begin()));
    std::ranges::fill(first, std::byte{0x5a});  // given to somebody else
    queue.submit(direct, 64 << 10, second, 2);
    ASSERT_EQ(queue.reap().value().tag, 2u);
    EXPECT_EQ(queue.n_in_flight(), 0);
    EXPECT_TRUE(std::equal(second.begin(), second.end(), content_.begin() + (64 << 10)));
    EXPECT_TRUE(std::ranges::all_of(first, [](std::byte b) { return b == std::byte{0x5a}; })) << "read a second time";
  }
}

// However few threads there are: with none at all reads are made by the caller.
TEST_F(ReadQueueTest, WorksWithThreadsThatAreRefused) {
  for (uint64_t nth : {0u, 1u, 3u}) {
    fault::Arm arm("thread.start", nth);
    const DirectFile direct(file_, true);
    ReadQueue queue(8, Way::threads);
    EXPECT_TRUE(arm.fired());
    EXPECT_TRUE(read_all(queue, direct));
  }
}

TEST_F(ReadQueueTest, EveryReadMayFail) {
  for (const bool cold : {false, true})
    for (uint64_t nth = 0;; ++nth) {
      if (cold) forget_cached();
      const DirectFile direct(file_);
      fault::Arm arm("file.read", nth);
      ReadQueue queue(4);
      const Status s = read_all(queue, direct);
      if (!arm.fired()) {
        EXPECT_TRUE(s);
        EXPECT_GT(nth, 3u);
        break;
      }
      ASSERT_FALSE(s);
      EXPECT_EQ(s.error().code, "file.io");
      EXPECT_NE(s.error().message.find(path_.string()), std::string::npos);
    }
}

TEST_F(ReadQueueTest, ReadsInFlightEndBeforeTheQueueDoes) {
  forget_cached();
  const DirectFile direct(file_);
  auto staging = Buffer::allocate(nullptr, "test", 4 << 20);
  ASSERT_TRUE(staging);
  {
    ReadQueue queue(8);
    for (uint64_t i = 0; i < 8; ++i) queue.submit(direct, i << 18, staging->span().subspan(i << 18, 1 << 18), i);
  }
  EXPECT_TRUE(std::equal(content_.begin(), content_.begin() + (2 << 20), staging->data()));
}

TEST_F(ReadQueueTest, AFileThatShrankReadsShort) {
  const DirectFile direct(file_);
  fs::resize_file(path_, 1 << 20);
  auto staging = Buffer::allocate(nullptr, "test", 2 << 20);
  ASSERT_TRUE(staging);
  ReadQueue queue(2);
  queue.submit(direct, 512 << 10, staging->span().first(1 << 20), 7);
  const auto done = queue.reap();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->tag, 7u);
  EXPECT_EQ(done->n_bytes, 512u << 10);
}

}  // namespace
}  // namespace watra
