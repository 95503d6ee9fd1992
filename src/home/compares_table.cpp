// Compares as a table, to be taken elsewhere: CSV, Markdown, JSON.
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

}  // namespace

Result<std::string> Compares::table(const std::string& format, const std::vector<std::string>& ids) const {
  return guarded([&]() -> std::string {
    if (format != "csv" && format != "md" && format != "json") refuse_field("format", "csv, md, json");
    const auto held = ledger_.db().lock();
    std::vector<std::string> which = ids;
    if (which.empty()) {
      Statement s = ledger_.db().query("SELECT id FROM compares ORDER BY created_ms, rowid");
      while (s.step()) which.push_back(s.text(0));
    }
    Json rows = Json::array();
    for (const std::string& id : which) {
      const Json c = json(read(id), true);
      for (const Json& column : c.at("columns")) {
        const Json& answer = column.at("answer");
        const Json facts = answer.is_null() ? Json(nullptr) : answer.at("answer");
        const auto fact = [&](const char* name) { return facts.is_object() ? facts.at(name) : Json(nullptr); };
        const bool voted = c.at("vote").is_object() && c.at("vote").at("column") == column.at("id");
        rows.push_back({{"question", c.at("question")},
                        {"column", column.at("label")},
                        {"model", column.at("pasted") ? answer.at("actor").at("name") : column.at("model")},
                        {"quant", facts.is_object() ? facts.at("model").at("quant") : Json(nullptr)},
                        {"persona", column.at("persona")},
                        {"sampling", column.at("sampling")},
                        {"seed", fact("seed")},
                        {"tokens_per_s", fact("decode_tokens_per_s")},
                        {"vote", voted ? c.at("vote").at("verdict") : Json(nullptr)},
                        {"answer", answer.is_null() ? "" : text_of(answer.at("parts"))}});
      }
    }
    if (format == "json") return rows.dump(1, ' ', false, Json::error_handler_t::replace);
    static constexpr const char* kHead[] = {"question", "column", "model",        "quant", "persona",
                                            "sampling", "seed",   "tokens_per_s", "vote",  "answer"};
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
