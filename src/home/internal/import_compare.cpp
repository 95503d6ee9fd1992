#include "home/internal/import_compare.h"

#include <algorithm>

#include "home/check.h"
#include "home/compares.h"
#include "home/ids.h"
#include "home/internal/base64.h"
#include "home/internal/import_date.h"
#include "home/internal/import_talks.h"
#include "home/settings_schema.h"

namespace watra::home {
namespace {

Json short_or_null(const Json& value) {
  constexpr size_t kMostName = 64;
  const bool fits = value.is_string() && !value.get_ref<const std::string&>().empty() &&
                    value.get_ref<const std::string&>().size() <= kMostName;
  return fits ? value : Json(nullptr);
}

std::string one_of(const Json& value, std::initializer_list<std::string_view> names, const char* other) {
  const std::string text = text_or(value);
  return std::ranges::find(names, text) != names.end() ? text : other;
}

Json sampling_of(const Json& column, const ImportSink& sink) {
  try {
    if (member(column, "sampling").is_object()) return checked_sampling(column.at("sampling"), "sampling");
  } catch (const Failure& e) {
    sink.problem("compare", e.error.message);
  }
  return Json::object();
}

Json read_column(const Json& column, size_t at, const ImportSink& sink) {
  const Json& message = member(column, "message");
  const std::string id = kept_id(text_or(member(column, "id")));
  return {{"id", id.empty() ? make_id("k_") : id},
          {"label", std::string(1, kColumnLabels[at])},
          {"model", short_or_null(member(column, "model"))},
          {"persona", short_or_null(member(column, "persona"))},
          {"sampling", sampling_of(column, sink)},
          {"state", one_of(member(column, "state"), {"done", "failed", "interrupted"}, "stopped")},
          {"message", message.is_string() ? Json("watra:" + message.get<std::string>()) : Json(nullptr)},
          {"pasted", member(column, "pasted") == true}};
}

Json read_vote(const Json& vote, const Json& columns) {
  const std::string verdict = one_of(member(vote, "verdict"), {"best", "tie", "none"}, "");
  if (verdict.empty()) return nullptr;
  const Json& chosen = member(vote, "column");
  const bool is_there = std::ranges::any_of(columns, [&](const Json& c) { return c.at("id") == chosen; });
  if (verdict == "best" && !is_there) return nullptr;
  return {{"column", is_there ? chosen : Json(nullptr)}, {"verdict", verdict}};
}

}  // namespace

Json opened_compare(const Json& exported) {
  if (!exported.is_object()) return nullptr;
  Json out = exported;
  const auto text = from_base64(text_or(member(exported, "sealed")));
  const Json inside = text ? parsed_talk(*text) : Json();
  if (member(inside, "columns").is_array()) out["columns"] = inside.at("columns");
  out["answers"] = member(inside, "answers");
  return out;
}

std::optional<ImportedCompare> read_compare(const Json& opened, const ImportSink& sink) {
  const Json& columns = member(opened, "columns");
  if (!columns.is_array() || columns.empty() || columns.size() > kMostColumns) return std::nullopt;
  ImportedCompare out{.id = kept_id(text_or(member(opened, "id"))), .question = text_or(member(opened, "question"))};
  for (const Json& column : columns) {
    if (!column.is_object()) return std::nullopt;
    out.columns.push_back(read_column(column, out.columns.size(), sink));
  }
  if (member(opened, "system").is_string()) out.system = opened.at("system").get<std::string>();
  out.blind = member(opened, "blind") == true;
  out.revealed = !out.blind || member(opened, "revealed") == true;
  out.order = one_of(member(opened, "order"), {"together", "in_turn"}, "in_turn");
  out.state = one_of(member(opened, "state"), {"done", "failed"}, "stopped");
  out.created_ms = parse_date(member(opened, "created_ms"));
  out.vote = read_vote(member(opened, "vote"), out.columns);
  return out;
}

Json unveiled(Json message, const Json& opened) {
  const Json& known = member(member(opened, "answers"), text_or(member(message, "id")));
  for (const char* what : {"actor", "answer"})
    if (member(known, what).is_object()) message[what] = known.at(what);
  return message;
}

}  // namespace watra::home
