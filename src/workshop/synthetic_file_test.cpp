// A synthetic model in a file: the tensors that the one in memory has, and a model that opens.
#include "workshop/synthetic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "model/model.h"
#include "model/synthetic.h"

namespace watra::workshop {
namespace {

struct SyntheticFile : ::testing::Test {
  const fs::path path = fs::temp_directory_path() / fmt::format("watra-synthetic-{}.gguf", getpid());
  ~SyntheticFile() override { fs::remove(path); }
};

TEST_F(SyntheticFile, HoldsWhatTheOneInMemoryHas) {
  constexpr std::string_view kSpec = "llama-70b-layer:q4_k_m";
  uint64_t told = 0;
  const auto report =
      write_synthetic(kSpec, path, [&](const ConvertProgress& p) { told = p.done_bytes == p.total_bytes; });
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(told, 1u);
  EXPECT_EQ(report->bytes, fs::file_size(path));
  const auto file = model::Model::open(path);
  ASSERT_TRUE(file) << file.error().to_string();
  const auto memory = model::synthetic_checkpoint(kSpec);
  ASSERT_TRUE(memory);
  EXPECT_EQ(report->n_params, (*file)->n_params());
  ASSERT_EQ((*file)->file().tensors().size(), memory->tensors().size());
  for (const auto& t : memory->tensors()) {
    const auto* found = (*file)->file().find(t.name);
    ASSERT_TRUE(found) << t.name;
    EXPECT_EQ(found->dtype, t.dtype) << t.name;
    EXPECT_EQ(found->shape, t.shape) << t.name;
  }
}

TEST_F(SyntheticFile, AnUnknownShapeLeavesNothingBehind) {
  const auto report = write_synthetic("llama-9z:q4_0", path);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, "model.unknown_shape");
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace watra::workshop
