// Hashes of model files: right, kept, computed when there is time, and never of what has changed.
#include "server/shelf/model_hashes.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/await_test.h"
#include "base/must_test.h"
#include "home/test_home_test.h"
#include "hub/sha256.h"

namespace watra::server {
namespace {

using namespace std::chrono_literals;

class ModelHashesTest : public testing::Test {
 protected:
  ModelHashesTest() : notes_(home_->db()) {}

  fs::path write(const char* name, size_t n_bytes, char with) {
    const fs::path path = home_.folder / name;
    must(write_file_atomic(path, std::string(n_bytes, with)));
    return path;
  }
  std::unique_ptr<ModelHashes> hashes() {
    return std::make_unique<ModelHashes>(home_.folder, notes_,
                                         ModelHashes::Options{.busy = [this] { return busy_.load(); }});
  }
  static std::string awaited(ModelHashes& hashes, const ModelFileList& files) {
    std::string hash = "never";
    comes_about([&] { return !(hash = hashes.ask(files)).empty(); });
    return hash;
  }
  static std::string sha256_of(std::string_view bytes) {
    hub::Sha256 sha;
    sha.add(std::as_bytes(std::span(bytes)));
    return sha.hex();
  }

  home::TestHome home_;
  home::ShelfNotes notes_;
  std::atomic<bool> busy_{false};
};

TEST_F(ModelHashesTest, OneFileAndSeveral) {
  const auto a = write("a.gguf", (3 << 20) + 123, 'a'), b = write("b.gguf", 5, 'b');
  const auto made = hashes();
  EXPECT_EQ(awaited(*made, {a}), sha256_of(std::string((3 << 20) + 123, 'a')));
  EXPECT_EQ(awaited(*made, {a, b}), sha256_of(std::string((3 << 20) + 123, 'a') + "bbbbb"));
  EXPECT_EQ(made->ask({}), "");
}

TEST_F(ModelHashesTest, IsKeptAsLongAsTheFileStays) {
  const auto a = write("a.gguf", 1 << 20, 'a');
  awaited(*hashes(), {a});
  busy_ = true;  // nothing can be computed
  EXPECT_EQ(hashes()->ask({a}), sha256_of(std::string(1 << 20, 'a')));
  write("a.gguf", (1 << 20) + 1, 'a');
  EXPECT_EQ(hashes()->ask({a}), "");
}

TEST_F(ModelHashesTest, RestsWhileThereIsWork) {
  const auto a = write("a.gguf", 1 << 20, 'a');
  busy_ = true;
  const auto made = hashes();
  EXPECT_EQ(made->ask({a}), "");
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(made->ask({a}), "");
  busy_ = false;
  EXPECT_EQ(awaited(*made, {a}), sha256_of(std::string(1 << 20, 'a')));
}

TEST_F(ModelHashesTest, WhatCannotBeReadHoldsUpNothing) {
  const auto a = write("a.gguf", 10, 'a');
  const auto made = hashes();
  EXPECT_EQ(made->ask({home_.folder / "none.gguf"}), "");
  EXPECT_EQ(awaited(*made, {a}), sha256_of("aaaaaaaaaa"));
}

}  // namespace
}  // namespace watra::server
