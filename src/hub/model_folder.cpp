#include "hub/model_folder.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json_nesting.h"
#include "hub/hub_reference.h"
#include "hub/url.h"

namespace watra::hub {
namespace {

constexpr int kDeepest = 8;
constexpr size_t kMostEntries = 20'000;
constexpr uint64_t kSmallestModel = 1 << 20;  // below are vocabularies and tests
constexpr int kMostNesting = 16;              // of a manifest, which is flat

bool is_model_name(const fs::path& path) {
  const std::string name = to_lower(path.filename().string());
  return name.ends_with(".gguf") && name.find("mmproj") == std::string::npos && !name.starts_with("ggml-vocab");
}

std::string name_of(const fs::path& file) {
  const std::string name = file.filename().string();
  if (const auto split = parse_split_name(name)) return split->stem;
  return file.stem().string();
}

void add_gguf_files(const fs::path& folder, std::map<std::string, ShelfModel>& models) {
  std::error_code ec;
  auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, ec);
  std::set<fs::path> seen;  // behind links: the same file in several snapshots counts once
  for (size_t n = 0; !ec && it != fs::recursive_directory_iterator() && n < kMostEntries; it.increment(ec), ++n) {
    if (it.depth() >= kDeepest) it.disable_recursion_pending();
    if (!is_model_name(it->path()) || !it->is_regular_file(ec)) continue;
    const uint64_t bytes = fs::file_size(it->path(), ec);
    const fs::path real = fs::canonical(it->path(), ec);
    if (ec || bytes < kSmallestModel || !seen.insert(real).second) {
      ec.clear();
      continue;
    }
    // Two files of one name in two folders are two models.
    const std::string key = (it->path().parent_path() / name_of(it->path())).string();
    ShelfModel& m = models[key];
    m.name = name_of(it->path());
    m.files.push_back(it->path());
    m.bytes += bytes;
  }
}

// manifests/HOST/OWNER/NAME/TAG is JSON that names the layers; the one of the model is blobs/sha256-....
void add_ollama_models(const fs::path& folder, std::map<std::string, ShelfModel>& models) {
  const fs::path manifests = folder / "manifests", blobs = folder / "blobs";
  std::error_code ec;
  if (!fs::is_directory(manifests, ec) || !fs::is_directory(blobs, ec)) return;
  auto it = fs::recursive_directory_iterator(manifests, fs::directory_options::skip_permission_denied, ec);
  for (size_t n = 0; !ec && it != fs::recursive_directory_iterator() && n < kMostEntries; it.increment(ec), ++n) {
    if (!it->is_regular_file(ec)) continue;
    const auto text = read_text_file(it->path(), 1 << 20);
    const auto manifest =
        text && !nests_deeper(*text, kMostNesting) ? nlohmann::json::parse(*text, nullptr, false) : nlohmann::json();
    const auto layers = manifest.is_object() ? manifest.find("layers") : manifest.end();
    if (!manifest.is_object() || layers == manifest.end() || !layers->is_array()) continue;
    for (const auto& layer : *layers) {
      if (!layer.is_object() || layer.value("mediaType", nlohmann::json()) != "application/vnd.ollama.image.model")
        continue;
      const auto digest = layer.value("digest", nlohmann::json());
      if (!digest.is_string()) continue;
      std::string file_name = digest.get<std::string>();
      std::ranges::replace(file_name, ':', '-');
      if (!is_safe_file_name(file_name)) continue;
      const uint64_t bytes = fs::file_size(blobs / file_name, ec);
      if (ec) {
        ec.clear();
        continue;
      }
      const std::string tag = it->path().filename().string(), base = it->path().parent_path().filename().string();
      ShelfModel m{.name = tag == "latest" ? base : base + "-" + tag, .bytes = bytes};
      m.files.push_back(blobs / file_name);
      models[it->path().string()] = std::move(m);
    }
  }
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

Result<std::vector<ShelfModel>> models_in_folder(const fs::path& folder) {
  std::error_code ec;
  if (!fs::is_directory(folder, ec))
    return fail("hub.no_folder", fmt::format("{} is no folder of this machine", folder.string()),
                "the whole path of a folder that exists");
  fs::directory_iterator readable(folder, ec);
  if (ec) return fail("hub.not_readable", fmt::format("{} cannot be read: {}", folder.string(), ec.message()));
  std::map<std::string, ShelfModel> found;
  add_gguf_files(folder, found);
  add_ollama_models(folder, found);
  std::vector<ShelfModel> models;
  for (auto& [key, m] : found) {
    std::ranges::sort(m.files);
    m.path = m.files.front();
    if (const auto split = parse_split_name(m.path.filename().string()))
      m.parts_missing = std::max(0, split->count - static_cast<int>(m.files.size()));
    models.push_back(std::move(m));
  }
  std::ranges::sort(models, {}, [](const ShelfModel& m) { return std::pair(m.name, m.path); });
  return models;
}

std::vector<OtherProgram> folders_of_other_programs() {
  const fs::path home = environment("HOME");
  const auto or_in_home = [&](const std::string& value, const char* below) {
    return value.empty() ? home / below : fs::path(value);
  };
  const fs::path cache = or_in_home(environment("XDG_CACHE_HOME"), ".cache");
  const fs::path data = or_in_home(environment("XDG_DATA_HOME"), ".local/share");
  const fs::path config = or_in_home(environment("XDG_CONFIG_HOME"), ".config");
  std::vector<OtherProgram> all = {
      {"LM Studio", home / ".lmstudio/models"},
      {"LM Studio", cache / "lm-studio/models"},
      {"Ollama", or_in_home(environment("OLLAMA_MODELS"), ".ollama/models")},
      {"Ollama", "/usr/share/ollama/.ollama/models"},
      {"llama.cpp", environment("LLAMA_CACHE").empty() ? cache / "llama.cpp" : fs::path(environment("LLAMA_CACHE"))},
      {"GPT4All", data / "nomic.ai/GPT4All"},
      {"Jan", data / "Jan/data/llamacpp/models"},
      {"Jan", home / "jan/models"},
      {"Msty", config / "Msty/models"},
      {"text-generation-webui", home / "text-generation-webui/user_data/models"},
      {"text-generation-webui", home / "text-generation-webui/models"},
      {"KoboldCpp", home / "koboldcpp/models"}};
  if (!environment("HF_HUB_CACHE").empty())
    all.push_back({"Hugging Face", environment("HF_HUB_CACHE")});
  else
    all.push_back({"Hugging Face", environment("HF_HOME").empty() ? cache / "huggingface/hub"
                                                                  : fs::path(environment("HF_HOME")) / "hub"});
  std::vector<OtherProgram> here;
  std::error_code ec;
  for (auto& p : all) {
    if (!p.path.is_absolute() || !fs::is_directory(p.path, ec)) continue;
    const bool known = std::ranges::any_of(here, [&](const auto& h) { return fs::equivalent(h.path, p.path, ec); });
    if (!known) here.push_back(std::move(p));
  }
  return here;
}

}  // namespace watra::hub
