#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tensor/tensor.h"

namespace watra::tensor {
namespace {

// The numbers of the file format, written out: GGUF type, elements and bytes of a block.
struct Known {
  uint32_t gguf_type;
  const char* gguf_name;
  uint32_t elements, bytes;
};
constexpr Known kKnown[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},
};

TEST(DType, TableAgreesWithTheFileFormat) {
  EXPECT_EQ(all_dtypes().size(), std::size(kKnown));
  for (const Known& k : kKnown) {
    const auto dtype = dtype_from_gguf(k.gguf_type);
    ASSERT_TRUE(dtype) << k.gguf_name;
    const DTypeTraits& t = traits(*dtype);
    EXPECT_EQ(t.dtype, *dtype);
    EXPECT_EQ(t.gguf_name, k.gguf_name);
    EXPECT_EQ(t.block_elements, k.elements) << k.gguf_name;
    EXPECT_EQ(t.block_bytes, k.bytes) << k.gguf_name;
    EXPECT_EQ(t.is_quantized, k.elements > 1) << k.gguf_name;
  }
}

TEST(DType, NumbersThatAreNoTypeOfOursAreRefused) {
  std::set<uint32_t> known;
  for (const Known& k : kKnown) known.insert(k.gguf_type);
  for (uint32_t n = 0; n < 300; ++n) EXPECT_EQ(dtype_from_gguf(n).has_value(), known.contains(n)) << n;
  EXPECT_FALSE(dtype_from_gguf(0xffffffff));
  EXPECT_FALSE(dtype_from_gguf(0x80000000));
}

TEST(DType, NamesGoBothWaysInEitherSpelling) {
  for (const DTypeTraits& t : all_dtypes()) {
    EXPECT_EQ(dtype_from_name(t.name), t.dtype) << t.name;
    EXPECT_EQ(dtype_from_name(t.gguf_name), t.dtype) << t.gguf_name;
    EXPECT_EQ(dtype_name(t.dtype), t.name);
  }
  EXPECT_EQ(dtype_from_name("iQ2_xXs"), DType::iq2_xxs);
  for (const char* no : {"", "q4", "q4_k_m", "q4_0 ", "float32", "Q4_K_"}) EXPECT_FALSE(dtype_from_name(no)) << no;
}

TEST(DType, RowBytesCountWholeBlocks) {
  EXPECT_EQ(row_bytes(DType::f32, 0), 0u);
  EXPECT_EQ(row_bytes(DType::f32, 7), 28u);
  EXPECT_EQ(row_bytes(DType::q4_0, 64), 36u);
  EXPECT_EQ(row_bytes(DType::q6_k, 4096), 16u * 210);
  EXPECT_EQ(row_bytes(DType::q8_0, int64_t{32} << 40), uint64_t{34} << 40);  // no 32-bit steps on the way
}

TEST(Tensor, ShapesReadAsNumpyWritesThem) {
  const Shape experts{8, 512, 256};
  EXPECT_EQ(experts.rank(), 3);
  EXPECT_EQ(experts.cols(), 256);
  EXPECT_EQ(experts.rows(), 8 * 512);
  EXPECT_EQ(experts.elements(), 8 * 512 * 256);
  EXPECT_EQ(experts.to_string(), "[8, 512, 256]");
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{3, 0}).rows(), 0);
}

TEST(Tensor, BuffersHoldTheirRowsAndCountAgainstTheBudget) {
  MemoryBudget budget(4096);
  auto t = TensorBuffer::allocate(&budget, "weights", DType::q4_k, Shape{4, 512});
  ASSERT_TRUE(t);
  EXPECT_EQ(t->view().size_bytes(), 4u * 2 * 144);
  EXPECT_EQ(t->view().row(3) - t->view().data, 3 * 2 * 144);
  EXPECT_EQ(budget.used_bytes(), t->size_bytes());
  EXPECT_FALSE(TensorBuffer::allocate(&budget, "weights", DType::f32, Shape{4, 512}));
}

}  // namespace
}  // namespace watra::tensor
