#include "server/shelf/model_words.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

// The label of a card and the words below it are one truth.
TEST(ModelWords, EnglishAloneIsSaidOfThoseThatKnowNoOther) {
  for (const char* name : {"SmolLM2-135M-Instruct.Q4_1", "tinyllama-1.1b", "qwen2.5-coder-0.5b", "Phi-3-mini-4k",
                           "qwen2.5-coder-1.5b", "gemma3-270m", "Bielik-11B-v3"}) {
    const ModelWords words = model_words(name);
    EXPECT_EQ(words.polish == "none", words.en.find("English only") != std::string::npos) << name;
    EXPECT_EQ(words.polish == "none", words.pl.find("tylko angielski") != std::string::npos) << name;
  }
  EXPECT_EQ(model_words("qwen2.5-coder-0.5b").polish, "little");
  EXPECT_EQ(model_words("Phi-3-mini-4k").polish, "little");
  EXPECT_EQ(model_words("qwen2.5-coder-1.5b").polish, "some");
  EXPECT_EQ(model_words("nobody-knows-7b").polish, "unknown");
}

}  // namespace
}  // namespace watra::server
