#include "hub/shelf.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "base/file_lock.h"
#include "hub/receipt.h"

namespace watra::hub {
namespace {

class ShelfTest : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> counter{0};
    home_ = fs::temp_directory_path() / fmt::format("watra-shelf-{}-{}", ::getpid(), counter++);
    fs::create_directories(home_);
  }
  void TearDown() override { fs::remove_all(home_); }

  fs::path put(const fs::path& relative, const std::string& text = "GGUF") const {
    const fs::path path = home_ / "models" / relative;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string code(const std::string& model) const {
    const auto r = shelf().resolve(model);
    return r ? "found" : r.error().code;
  }
  Shelf shelf() const { return Shelf(home_); }

  fs::path home_;
};

TEST_F(ShelfTest, AMissingFolderIsAnEmptyShelf) {
  EXPECT_TRUE(shelf().list().value().empty());
  EXPECT_EQ(code("smollm2"), "hub.not_pulled");
}

TEST_F(ShelfTest, ListsWhatIsAModelAndNothingElse) {
  put("SmolLM2-135M-Instruct.Q4_1.gguf", "12345");
  put("org/repo/file.GGUF");
  put("s-00001-of-00002.gguf", "123");
  put("s-00002-of-00002.gguf", "4567");
  put("t-00001-of-00003.gguf");
  put("notes.txt");
  put(".parts/x.gguf");
  put(".hidden.gguf");
  const auto models = shelf().list().value();
  ASSERT_EQ(models.size(), 4u);
  EXPECT_EQ(models[0].name, "org/repo/file");
  EXPECT_EQ(models[1].name, "s");
  EXPECT_EQ(models[1].bytes, 7u);
  EXPECT_EQ(models[1].files.size(), 2u);
  EXPECT_EQ(models[1].path.filename(), "s-00001-of-00002.gguf");
  EXPECT_EQ(models[1].parts_missing, 0);
  EXPECT_EQ(models[2].name, "smollm2");
  EXPECT_EQ(models[3].name, "t");
  EXPECT_EQ(models[3].parts_missing, 2);
}

TEST_F(ShelfTest, NamesLeadToFiles) {
  const fs::path smol = put("SmolLM2-135M-Instruct.Q4_1.gguf"), file = put("org/repo/File-Q8.gguf");
  const fs::path pinned = put("org/repo@v2/File-Q8.gguf"), split = put("s-00001-of-00001.gguf");
  for (const char* name : {"smollm2", "SMOLLM2", "SmolLM2-135M-Instruct.Q4_1", "smollm2-135m-instruct.q4_1.gguf"})
    EXPECT_EQ(shelf().resolve(name).value(), smol) << name;
  for (const char* name : {"org/repo/File-Q8", "org/repo/file-q8.gguf", "hf:org/repo/File-Q8.gguf"})
    EXPECT_EQ(shelf().resolve(name).value(), file) << name;
  EXPECT_EQ(shelf().resolve("hf:org/repo/File-Q8.gguf@v2").value(), pinned);
  EXPECT_EQ(shelf().resolve("s").value(), split);
  EXPECT_EQ(code("File-Q8"), "hub.ambiguous");
}

TEST_F(ShelfTest, AFileThatIsThereIsTakenAsItIs) {
  put("m.gguf");
  const fs::path own = home_ / "m.gguf";
  std::ofstream(own) << "x";
  EXPECT_EQ(shelf().resolve(own.string()).value(), own);
}

TEST_F(ShelfTest, ErrorsSayWhatIsThereAndWhatToTry) {
  put("org/repo/llama-8b.gguf");
  put("t-00002-of-00003.gguf");
  EXPECT_EQ(code("hf:org/repo/other.gguf"), "hub.not_pulled");
  EXPECT_EQ(code("hf:org/repo"), "hub.choose_file");
  EXPECT_EQ(code("https://host/m.gguf"), "hub.not_pulled");
  EXPECT_EQ(code("./none.gguf"), "hub.no_file");
  EXPECT_EQ(code("none.gguf"), "hub.no_file");
  EXPECT_EQ(code(home_.string()), "hub.no_file");
  EXPECT_EQ(code("t"), "hub.incomplete");
  EXPECT_EQ(code(""), "hub.unknown_model");
  const auto near = shelf().resolve("lama-8b");
  ASSERT_FALSE(near);
  EXPECT_EQ(near.error().code, "hub.unknown_model");
  EXPECT_EQ(near.error().hint, "did you mean org/repo/llama-8b?");
  EXPECT_NE(near.error().message.find("org/repo/llama-8b"), std::string::npos);
  EXPECT_NE(near.error().message.find("gemma3-270m"), std::string::npos);
  EXPECT_NE(shelf().resolve("smollm2").error().hint.find("watra pull smollm2"), std::string::npos);
}

TEST_F(ShelfTest, RemoveTakesAllPartsAndTheFoldersTheyLeaveEmpty) {
  const fs::path other = put("org/other/m.gguf");
  put("org/repo/q/s-00001-of-00002.gguf", "123");
  put("org/repo/q/s-00002-of-00002.gguf", "45");
  put(".parts/org/repo/q/s-00002-of-00002.gguf.part");
  put(".parts/org/repo/q/s-00002-of-00002.gguf.state");
  put(".parts/org/repo/q/s-00002-of-00002.gguf.state.watra-part");
  const auto removed = shelf().remove("s").value();
  EXPECT_EQ(removed.files.size(), 3u);
  EXPECT_EQ(removed.bytes, 9u);
  EXPECT_FALSE(fs::exists(home_ / "models/org/repo"));
  EXPECT_FALSE(fs::exists(home_ / "models/.parts"));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(ShelfTest, RemoveByPath) {
  const fs::path file = put("a/m.gguf");
  EXPECT_EQ(shelf().remove(file.string()).value().files.size(), 1u);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(ShelfTest, RemoveOfAnUnfinishedDownload) {
  put(".parts/SmolLM2-135M-Instruct.Q4_1.gguf.part", "1234567");
  EXPECT_EQ(shelf().remove("smollm2").value().bytes, 7u);
  EXPECT_EQ(shelf().remove("smollm2").error().code, "hub.not_pulled");
}

TEST_F(ShelfTest, RemoveRefusesWhatIsElsewhere) {
  const fs::path outside = home_ / "mine.gguf";
  std::ofstream(outside) << "x";
  put("m.gguf");
  fs::create_directory_symlink(home_, home_ / "models/way-out");
  for (const fs::path& path : {outside, home_ / "models/../mine.gguf", home_ / "models/way-out/mine.gguf"}) {
    const auto r = shelf().remove(path.string());
    ASSERT_FALSE(r) << path;
    EXPECT_EQ(r.error().code, "hub.not_on_shelf") << path;
  }
  EXPECT_EQ(shelf().remove("../mine").error().code, "hub.unknown_model");
  EXPECT_TRUE(fs::exists(outside));
}

TEST_F(ShelfTest, ALinkOnTheShelfIsRemovedAndItsTargetStays) {
  const fs::path outside = home_ / "mine.gguf";
  std::ofstream(outside) << "12345";
  fs::create_directories(home_ / "models");
  fs::create_symlink(outside, home_ / "models/linked.gguf");
  EXPECT_EQ(shelf().list().value().at(0).bytes, 5u);
  EXPECT_EQ(shelf().remove("linked").value().bytes, 0u);
  EXPECT_TRUE(fs::exists(outside));
  EXPECT_TRUE(shelf().list().value().empty());
}

TEST_F(ShelfTest, RemoveWaitsForNobody) {
  put("m.gguf");
  put(".parts/x", "");
  const auto lock = FileLock::try_take(shelf().lock_path("m.gguf")).value();
  ASSERT_TRUE(lock);
  EXPECT_EQ(shelf().remove("m").error().code, "hub.busy");
}

TEST_F(ShelfTest, AReceiptSpeaksOfOneFileOnly) {
  const fs::path file = put("org/m.gguf", "12345");
  ASSERT_TRUE(write_receipt(shelf(), "org/m.gguf", {"hf:org/m.gguf", "id", "ab", 5}));
  const auto receipt = read_receipt(shelf(), "org/m.gguf");
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->source, "hf:org/m.gguf");
  EXPECT_EQ(receipt->identity, "id");
  EXPECT_EQ(receipt->sha256, "ab");
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(1));
  EXPECT_FALSE(read_receipt(shelf(), "org/m.gguf"));
  put("org/m.gguf", "123456");
  EXPECT_FALSE(read_receipt(shelf(), "org/m.gguf"));
  std::ofstream(shelf().receipt_path("org/m.gguf")) << "{\"bytes\": \"x\"}";
  EXPECT_FALSE(read_receipt(shelf(), "org/m.gguf"));
}

}  // namespace
}  // namespace watra::hub
