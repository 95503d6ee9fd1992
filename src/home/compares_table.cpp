// Compares as a table, to be taken elsewhere: CSV, Markdown, JSON.
#include <fmt/chrono.h>

#include <cmath>

#include "home/check.h"
#include "home/compares.h"

namespace watra::home {
namespace {

std::string cell_text(const Json& value) {
  return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : dump(value);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

std::string csv_cell(const Json& value) {
  std::string text = cell_text(value);
  // A spreadsheet takes a cell that begins so for a formula.
  if (!text.empty() && std::string_view("=+-@").find(text[0]) != std::string_view::npos && !value.is_number())
    text.insert(text.begin(), '\'');
  return "\"" + replaced(std::move(text), "\"", "\"\"") + "\"";
}

std::string md_cell(const Json& value) {
  return replaced(replaced(replaced(cell_text(value), "\r", ""), "\n", "<br>"), "|", "\\|");
}

constexpr const char* kHead[] = {"question", "asked",        "system",   "column",  "model", "file",
                                 "sha256",   "quant",        "template", "persona", "n_ctx", "sampling",
                                 "seed",     "tokens_per_s", "vote",     "answer"};

std::string utc(int64_t at_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", std::chrono::sys_seconds(std::chrono::seconds(at_ms / 1000)));
}

// What more digits would say is noise.
Json rounded(const Json& value) {
  constexpr double kHundredths = 100;
  return value.is_number() ? Json(std::round(value.get<double>() * kHundredths) / kHundredths) : value;
}

// "best" stands at the chosen one; that none was, or all alike, is said of each.
Json vote_of(const Json& vote, const Json& column) {
  const Json& chosen = member(vote, "column");
  return chosen.is_null() || chosen == column.at("id") ? member(vote, "verdict") : Json();
}

// The values in force are those that the answer was made with; before it has ended there is what was asked for.
Json row_of(const Json& compare, const Json& column) {
  const Json& answer = column.at("answer");
  const Json &facts = member(answer, "answer"), &model = member(facts, "model"), &actor = member(answer, "actor");
  const Json& in_force = member(facts, "sampling");
  const Json& persona = member(actor, "kind") == "companion" ? member(actor, "name") : column.at("persona");
  return {{"question", compare.at("question")},
          {"asked", utc(compare.at("created_ms"))},
          {"system", compare.at("system")},
          {"column", column.at("label")},
          {"model", column.at("pasted") ? member(actor, "name") : column.at("model")},
          {"file", member(model, "file")},
          {"sha256", member(model, "sha256")},
          {"quant", member(model, "quant")},
          {"template", member(model, "template")},
          {"persona", persona},
          {"n_ctx", member(member(facts, "context"), "n_ctx")},
          {"sampling", in_force.is_object() ? in_force : column.at("sampling")},
          {"seed", member(facts, "seed")},
          {"tokens_per_s", rounded(member(facts, "decode_tokens_per_s"))},
          {"vote", vote_of(compare.at("vote"), column)},
          {"answer", answer.is_null() ? "" : text_of(answer.at("parts"))}};
}

}  // namespace

Result<std::string> Compares::table(const std::string& format, const std::vector<std::string>& ids) const {
  return guarded([&]() -> std::string {
    if (format != "csv" && format != "md" && format != "json") refuse_field("format", "csv, md, json, watra");
    const auto held = ledger_.db().lock();
    std::vector<std::string> which = ids;
    if (which.empty()) {
      Statement s = ledger_.db().query("SELECT id FROM compares ORDER BY created_ms, rowid");
      while (s.step()) which.push_back(s.text(0));
    }
    Json rows = Json::array();
    for (const std::string& id : which) {
      const Json c = json(read(id), true);
      for (const Json& column : c.at("columns")) rows.push_back(row_of(c, column));
    }
    if (format == "json") return rows.dump(1, ' ', false, Json::error_handler_t::replace);
    const bool csv = format == "csv";
    const auto line = [&](const auto& cell) {
      std::string out = csv ? "" : "|";
      for (const char* name : kHead)
        out += csv ? (out.empty() ? "" : ",") + csv_cell(cell(name)) : " " + md_cell(cell(name)) + " |";
      return out + (csv ? "\r\n" : "\n");
    };
    std::string out = line([](const char* name) { return Json(name); });
    if (!csv) out += line([](const char*) { return Json("---"); });
    for (const Json& row : rows) out += line([&](const char* name) { return row.at(name); });
    return out;
  });
}

}  // namespace watra::home
