// Folders as other programs leave them.
#include "hub/model_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>

namespace watra::hub {
namespace {

class ModelFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("watra_folder_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void put(const fs::path& relative, uint64_t bytes = 2 << 20) const {
    fs::create_directories((folder_ / relative).parent_path());
    std::ofstream(folder_ / relative).put('x');
    fs::resize_file(folder_ / relative, bytes);
  }
  void write(const fs::path& relative, const std::string& text) const {
    fs::create_directories((folder_ / relative).parent_path());
    std::ofstream(folder_ / relative) << text;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    const auto models = models_in_folder(folder_);
    for (const auto& m : models.value()) all.push_back(m.name);
    return all;
  }
  fs::path folder_;
};

TEST_F(ModelFolder, SplitsAreOneModelAndProjectorsNone) {
  put("lm/org/Big-00001-of-00002.gguf");
  put("lm/org/Big-00002-of-00002.gguf");
  put("lm/org/mmproj-Big.gguf");
  put("lm/org/Half-00001-of-00003.gguf");
  put("Small.GGUF");
  put("ggml-vocab-llama.gguf");
  put("tiny.gguf", 1000);
  write("notes.txt", "no model");
  const auto models = models_in_folder(folder_).value();
  ASSERT_EQ(names(), (std::vector<std::string>{"Big", "Half", "Small"}));
  EXPECT_EQ(models[0].files.size(), 2u);
  EXPECT_EQ(models[0].bytes, 4u << 20);
  EXPECT_EQ(models[0].path.filename(), "Big-00001-of-00002.gguf");
  EXPECT_EQ(models[0].parts_missing, 0);
  EXPECT_EQ(models[1].parts_missing, 2);
}

TEST_F(ModelFolder, OllamasBlobsAreCalledAsTheirManifests) {
  put("blobs/sha256-aa11");
  write("manifests/registry.ollama.ai/library/llama3.2/3b",
        R"({"layers": [{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:bb"},
                       {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:aa11"}]})");
  write("manifests/registry.ollama.ai/library/bielik/latest",
        R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:aa11"}]})");
  write("manifests/registry.ollama.ai/library/gone/1b",
        R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:cc"}]})");
  write("manifests/registry.ollama.ai/library/evil/1b",
        R"({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../etc/passwd"}, 7, {}]})");
  write("manifests/registry.ollama.ai/library/broken/1b", "{");
  EXPECT_EQ(names(), (std::vector<std::string>{"bielik", "llama3.2-3b"}));
}

TEST_F(ModelFolder, LinksToOneFileCountOnce) {
  put("hub/models--org--m/blobs/abc");
  fs::create_directories(folder_ / "hub/models--org--m/snapshots/1");
  fs::create_directories(folder_ / "hub/models--org--m/snapshots/2");
  for (const char* snapshot : {"1", "2"})
    fs::create_symlink("../../blobs/abc", folder_ / "hub/models--org--m/snapshots" / snapshot / "m.gguf");
  fs::create_directory_symlink(folder_, folder_ / "hub/round");  // a link that leads back
  EXPECT_EQ(names(), (std::vector<std::string>{"m"}));
}

TEST_F(ModelFolder, WhatIsNoFolderIsNamed) {
  EXPECT_EQ(models_in_folder(folder_ / "none").error().code, "hub.no_folder");
  put("file.gguf");
  EXPECT_EQ(models_in_folder(folder_ / "file.gguf").error().code, "hub.no_folder");
}

TEST_F(ModelFolder, PlacesOfOtherProgramsThatAreHere) {
  put("home/.lmstudio/models/m.gguf");
  put("elsewhere/ollama/blobs/x");
  const auto set = [](const char* name, const fs::path& value) { ::setenv(name, value.c_str(), 1); };
  std::map<std::string, std::string> before;
  for (const char* name : {"HOME", "OLLAMA_MODELS", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HF_HOME",
                           "HF_HUB_CACHE", "LLAMA_CACHE"}) {
    if (const char* value = std::getenv(name)) before[name] = value;
    ::unsetenv(name);
  }
  set("HOME", folder_ / "home");
  set("OLLAMA_MODELS", folder_ / "elsewhere/ollama");
  const auto here = folders_of_other_programs();
  for (const char* name : {"HOME", "OLLAMA_MODELS"}) ::unsetenv(name);
  for (const auto& [name, value] : before) ::setenv(name.c_str(), value.c_str(), 1);
  const auto has = [&](const std::string& program, const fs::path& path) {
    return std::ranges::any_of(here, [&](const auto& p) { return p.program == program && p.path == path; });
  };
  EXPECT_TRUE(has("LM Studio", folder_ / "home/.lmstudio/models"));
  EXPECT_TRUE(has("Ollama", folder_ / "elsewhere/ollama"));
  EXPECT_FALSE(has("GPT4All", folder_ / "home/.local/share/nomic.ai/GPT4All"));
}

TEST_F(ModelFolder, AManifestThatOnlyNestsIsNone) {
  const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
  write("manifests/registry.ollama.ai/library/deep/latest", R"({"layers": [{"mediaType": )" + deep + "}]}");
  put("blobs/sha256-aa");
  EXPECT_TRUE(names().empty());
}

}  // namespace
}  // namespace watra::hub
