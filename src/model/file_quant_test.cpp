#include "model/file_quant.h"

#include <gtest/gtest.h>

namespace watra::model {
namespace {

TEST(FileQuant, AFilesOwnWordNamesIt) {
  checkpoint::Metadata metadata;
  EXPECT_EQ(declared_quant(metadata), std::nullopt);
  metadata.set("general.file_type", checkpoint::MetaValue::of_u32(15));
  EXPECT_EQ(declared_quant(metadata), "Q4_K_M");
  metadata.set("general.file_type", checkpoint::MetaValue::of_u32(28));
  EXPECT_EQ(declared_quant(metadata), "IQ2_S");
  metadata.set("general.file_type", checkpoint::MetaValue::of_u32(4711));
  EXPECT_EQ(declared_quant(metadata), std::nullopt) << "a number of another time";
}

}  // namespace
}  // namespace watra::model
