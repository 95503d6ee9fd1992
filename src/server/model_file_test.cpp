// Facts of model files: read once, anew when a file changes, and forgotten with it.
#include "server/model_file.h"

#include <gtest/gtest.h>

#include "base/folder.h"
#include "base/must_test.h"
#include "checkpoint/gguf_writer.h"

namespace watra::server {
namespace {

class ModelFilesTest : public testing::Test {
 protected:
  ModelFilesTest() { must(make_folders(folder_)); }
  ~ModelFilesTest() override { fs::remove_all(folder_); }

  fs::path write(const char* name, int64_t n_rows) {
    checkpoint::Metadata metadata;
    auto file = must(checkpoint::GgufWriter::create(folder_ / name, metadata));
    must(file.declare("output.weight", tensor::DType::f32, {n_rows, 8}));
    must(file.write(std::vector<std::byte>(static_cast<size_t>(n_rows) * 8 * 4)));
    return must(file.finish()).front();
  }

  const fs::path folder_ = fs::temp_directory_path() / ("watra-facts-" + name_of_our_own());
  ModelFiles files_{folder_};
};

TEST_F(ModelFilesTest, AreReadOnceAndAnewWhenTheyChange) {
  const fs::path path = write("a.gguf", 4);
  const auto first = must(files_.facts(path));
  EXPECT_EQ(first->n_params, 32u);
  EXPECT_EQ(must(files_.facts(path)), first);
  fs::remove(path);
  write("a.gguf", 5);
  EXPECT_EQ(must(files_.facts(path))->n_params, 40u);
  EXPECT_EQ(files_.n_known(), 1u);
}

TEST_F(ModelFilesTest, NothingIsKeptOfAFileThatIsGone) {
  for (int i = 0; i < 5; ++i) {
    const fs::path path = write(("m" + std::to_string(i) + ".gguf").c_str(), 4);
    must(files_.facts(path));
    EXPECT_EQ(files_.n_known(), 1u);
    fs::remove(path);
    EXPECT_FALSE(files_.facts(path));
  }
}

}  // namespace
}  // namespace watra::server
