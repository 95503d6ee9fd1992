// watra list: what is on the shelf, and what the catalog offers besides.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/home.h"
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "hub/catalog.h"
#include "hub/shelf.h"
#include "model/file_quant.h"
#include "model/model.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

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
      row.quant = model::file_quant(*file);
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
