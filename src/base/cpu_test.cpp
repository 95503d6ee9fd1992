#include "base/cpu.h"

#include <gtest/gtest.h>

namespace watra {
namespace {

TEST(Cpu, ListsOfProcessorsAreRead) {
  EXPECT_EQ(parse_cpu_list("0-3,8,10-11\n"), (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  EXPECT_EQ(parse_cpu_list("5"), std::vector<int>{5});
  EXPECT_TRUE(parse_cpu_list("").empty());
  EXPECT_EQ(parse_cpu_list("x,2,-4,3-y,0-99999999"), std::vector<int>{2});
}

TEST(Cpu, TheLargestCacheIsASize) {
  const uint64_t bytes = largest_cache_bytes();
  EXPECT_TRUE(bytes == 0 || (bytes >= 64 << 10 && bytes <= uint64_t{8} << 30)) << bytes;
}

TEST(Cpu, CountsAndFeaturesAreConsistent) {
  const CpuInfo& info = cpu_info();
  EXPECT_GE(info.n_physical, 1);
  EXPECT_GE(info.n_logical, info.n_physical);
  EXPECT_FALSE(info.model_name.empty());
  const CpuFeatures& f = info.features;
  EXPECT_TRUE(f.avx2 || !f.avx_vnni);
  EXPECT_TRUE(f.avx512 || !(f.avx512_vnni || f.avx512_bf16));
  EXPECT_EQ(f.avx2, info.features_text().find("avx2") != std::string::npos);
  // The system's own list agrees (it also leaves out what the kernel does not enable).
#if defined(__x86_64__)
  EXPECT_EQ(f.avx2, __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(f.fma, __builtin_cpu_supports("fma") != 0);
#endif
}

}  // namespace
}  // namespace watra
