#include "hub/download_state.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace watra::hub {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class DownloadStateTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  fs::path path_ = fs::temp_directory_path() / fmt::format("watra-state-{}", ::getpid());
};

TEST_F(DownloadStateTest, BlocksCoverTheFileOnce) {
  for (const uint64_t bytes : {uint64_t{1}, 256 * 1024 - uint64_t{1}, 5 * kMiB + 3, 300 * kMiB, 70'000 * kMiB + 11}) {
    const DownloadState s("a", "b", bytes, DownloadState::block_bytes_for(bytes));
    uint64_t at = 0;
    for (size_t b = 0; b < s.n_blocks(); ++b) {
      ASSERT_EQ(s.block_begin(b), at);
      ASSERT_GT(s.block_end(b), at);
      at = s.block_end(b);
    }
    EXPECT_EQ(at, bytes);
  }
}

TEST_F(DownloadStateTest, ThereAndBack) {
  DownloadState s("https://h/f", "etag", 5 * kMiB, 256 << 10);
  s.set_done(0);
  s.set_done(19);
  ASSERT_TRUE(s.save(path_));
  const auto back = DownloadState::load(path_, "https://h/f", "etag", 5 * kMiB);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->n_blocks(), 20u);
  EXPECT_TRUE(back->is_done(0) && back->is_done(19) && !back->is_done(1));
  EXPECT_EQ(back->done_bytes(), uint64_t{512 << 10});
}

TEST_F(DownloadStateTest, AnotherVersionIsNoState) {
  ASSERT_TRUE(DownloadState("s", "i", 5 * kMiB, 256 << 10).save(path_));
  EXPECT_TRUE(DownloadState::load(path_, "s", "i", 5 * kMiB));
  EXPECT_FALSE(DownloadState::load(path_, "t", "i", 5 * kMiB));
  EXPECT_FALSE(DownloadState::load(path_, "s", "j", 5 * kMiB));
  EXPECT_FALSE(DownloadState::load(path_, "s", "i", 5 * kMiB + 1));
  ASSERT_TRUE(DownloadState("s", "", 5 * kMiB, 256 << 10).save(path_));
  EXPECT_FALSE(DownloadState::load(path_, "s", "", 5 * kMiB)) << "without an identity nothing can be resumed";
}

TEST_F(DownloadStateTest, DamageIsNoState) {
  ASSERT_TRUE(DownloadState("s", "i", 5 * kMiB, 256 << 10).save(path_));
  const std::string good = read_text_file(path_).value();
  for (size_t cut = 0; cut + 2 < good.size(); ++cut) {
    ASSERT_TRUE(write_file_atomic(path_, good.substr(0, cut)));
    EXPECT_FALSE(DownloadState::load(path_, "s", "i", 5 * kMiB)) << cut;
  }
  for (const auto& [from, to] : {std::pair{"262144", "0"}, {"262144", "1"}, {"262144", "-1"}, {"\"0000", "\"00"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), std::string_view(from).size(), to);
    ASSERT_TRUE(write_file_atomic(path_, bad));
    EXPECT_FALSE(DownloadState::load(path_, "s", "i", 5 * kMiB)) << to;
  }
}

TEST_F(DownloadStateTest, ASizeThatNoFileHasIsNoState) {
  constexpr uint64_t kAll = ~uint64_t{0};
  ASSERT_TRUE(write_file_atomic(path_, fmt::format(R"({{"kind": "ranges", "source": "s", "identity": "i", "bytes": {},
      "block_bytes": 16777216, "done": ""}})",
                                                   kAll)));
  EXPECT_FALSE(DownloadState::load(path_, "s", "i", kAll)) << "2^40 blocks, none of which is marked";
}

}  // namespace
}  // namespace watra::hub
