#include "engine/memory_needs.h"

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "model/synthetic.h"

namespace watra::engine {
namespace {

TEST(MemoryNeeds, EachFormatOfActivationsHasABufferAsWideAsItsWidestProduct) {
  auto file = model::synthetic_checkpoint("smollm2-135m:q8_0");
  ASSERT_TRUE(file);
  const auto m = model::Model::from(std::move(*file));
  ASSERT_TRUE(m);
  const model::ModelOutline plain = model::outline_of(**m);
  model::ModelOutline mixed = plain;
  int64_t widest = 0;
  for (auto& t : mixed.tensors)
    if (t.name.find("attn_v") != std::string::npos) {
      t.dtype = tensor::DType::q4_0;
      widest = std::max(widest, t.cols);
    }
  ASSERT_GT(widest, 0);
  const kernels::Kernels& k = *kernels::available().back();
  const auto of = [&](tensor::DType w) { return k.act_format(w); };
  ASSERT_TRUE(of(tensor::DType::q4_0) != of(tensor::DType::q8_0) || !is_integer(of(tensor::DType::q8_0)));
  if (!is_integer(of(tensor::DType::q8_0))) GTEST_SKIP() << "no integer products here";
  for (const int64_t rows : {1, 64, 512})
    EXPECT_EQ(activation_bytes(mixed, rows, 1, 2048) - activation_bytes(plain, rows, 1, 2048),
              static_cast<uint64_t>(k.act_bytes(of(tensor::DType::q4_0), rows, widest)));
}

}  // namespace
}  // namespace watra::engine
