// What a download refuses before it asks anybody for a byte. How it behaves on a network: tests/hub_peer.
#include "hub/download.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

namespace watra::hub {
namespace {

TEST(Download, ASizeThatNoDiskHasIsRefused) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("watra-download-{}", ::getpid());
  const DownloadJob job{
      .origin = {}, .label = "big.gguf", .part = folder / "big.part", .state = folder / "big.state", .sha256 = {}};
  DownloadSettings settings;
  settings.free_space = [](const fs::path&) -> Result<uint64_t> { return uint64_t{1} << 40; };
  for (const uint64_t claimed : {uint64_t{1} << 41, uint64_t{1} << 62, std::numeric_limits<uint64_t>::max()}) {
    RemoteFile remote;
    remote.bytes = claimed;
    remote.ranges = true;
    remote.identity = "etag";
    const auto done = download(job, remote, settings, {});
    ASSERT_FALSE(done) << claimed;
    EXPECT_EQ(done.error().code, "hub.no_space") << claimed;
    EXPECT_FALSE(fs::exists(job.state)) << claimed;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace watra::hub
