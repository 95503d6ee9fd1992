// watra list: what is on the shelf, and what the catalog offers besides.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/home.h"
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "hub/catalog.h"
#include "hub/shelf.h"
#include "model/model.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

// GGUF's general.file_type: how a whole file is called. The numbers are the format's.
const char* file_type_name(uint64_t type) {
  static const std::map<uint64_t, const char*> names = {
      {0, "F32"},     {1, "F16"},     {2, "Q4_0"},     {3, "Q4_1"},    {7, "Q8_0"},    {8, "Q5_0"},    {9, "Q5_1"},
      {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"},  {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"},
      {17, "Q5_K_M"}, {18, "Q6_K"},   {19, "IQ2_XXS"}, {20, "IQ2_XS"}, {21, "Q2_K_S"}, {22, "IQ3_XS"}, {23, "IQ3_XXS"},
      {24, "IQ1_S"},  {25, "IQ4_NL"}, {26, "IQ3_S"},   {27, "IQ3_M"},  {28, "IQ2_S"},  {29, "IQ2_M"},  {30, "IQ4_XS"},
      {31, "IQ1_M"},  {32, "BF16"},   {36, "TQ1_0"},   {37, "TQ2_0"},  {38, "MXFP4"}};
  const auto it = names.find(type);
  return it == names.end() ? nullptr : it->second;
}

// The file's own word, else the format most of its bytes are in.
std::string quant_of(const checkpoint::Checkpoint& file) {
  if (const auto type = file.metadata().get_u64("general.file_type"))
    if (const char* name = file_type_name(*type)) return name;
  std::map<std::string_view, uint64_t> bytes;
  for (const auto& t : file.tensors()) bytes[tensor::traits(t.dtype).gguf_name] += t.size_bytes;
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "" : std::string(most->first);
}

struct Row {
  hub::ShelfModel model;
  std::string quant;
  int64_t n_params = 0;
  std::string problem;  // why it cannot be opened
};

std::string params_text(int64_t n) {
  if (n <= 0) return "";
  return n >= 1'000'000'000 ? fmt::format("{:.1f} B", static_cast<double>(n) / 1e9)
                            : fmt::format("{:.0f} M", static_cast<double>(n) / 1e6);
}

void print_for_people(const std::vector<Row>& rows, const fs::path& folder) {
  size_t width = 18;
  for (const auto& r : rows) width = std::max(width, r.model.name.size());
  if (rows.empty()) fmt::print("nothing on the shelf {} yet\n", folder.string());
  for (const auto& r : rows)
    fmt::print("{:<{}}  {:>9}  {:>7}  {:<8} {}\n", r.model.name, width, format_bytes(r.model.bytes),
               params_text(r.n_params), r.quant, r.problem);
  bool heading = false;
  for (const auto& e : hub::catalog()) {
    if (std::any_of(rows.begin(), rows.end(), [&](const Row& r) { return r.model.name == e.name; })) continue;
    if (!heading) fmt::print("\nto be had with watra pull NAME:\n");
    heading = true;
    fmt::print("{:<{}}  {:>9}  {}; {}\n", e.name, width, format_bytes(e.bytes), e.about, e.licence);
  }
}

Status list(const Globals& g) {
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  const hub::Shelf shelf(home);
  WATRA_ASSIGN(auto models, shelf.list());
  std::vector<Row> rows;
  for (auto& m : models) {
    Row row{std::move(m), "", 0, ""};
    if (const auto file = checkpoint::Checkpoint::open(row.model.path)) {
      row.quant = quant_of(*file);
      row.n_params = model::count_params(*file);
    } else {
      row.problem = file.error().message;
    }
    if (row.model.parts_missing > 0)
      row.problem = fmt::format("{} parts are missing; pull it again", row.model.parts_missing);
    rows.push_back(std::move(row));
  }
  if (!g.json) {
    print_for_people(rows, shelf.folder());
    return {};
  }
  Json out = Json::array();
  for (const auto& r : rows) {
    out.push_back({{"name", r.model.name},
                   {"path", r.model.path.string()},
                   {"bytes", r.model.bytes},
                   {"quant", r.quant},
                   {"n_params", r.n_params}});
    if (!r.problem.empty()) out.back()["problem"] = r.problem;
  }
  print_json({{"models", out}});
  return {};
}

}  // namespace

void add_list(CLI::App& app, Globals& g, Handler& chosen) {
  auto* sub = app.add_subcommand("list", "What is on the shelf");
  sub->callback([&g, &chosen] { chosen = [&g] { return list(g); }; });
}

}  // namespace watra::apps
