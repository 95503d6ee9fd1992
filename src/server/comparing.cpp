#include "server/comparing.h"

#include <algorithm>

#include "base/log.h"
#include "server/house_fields.h"

namespace watra::server {

Json Comparing::begin(const Json& body) {
  const Fields fields(body);
  if (const auto seen = house_value(house_.home.compares().seen(fields.has("client_id") ? body["client_id"] : Json())))
    return house_value(house_.home.compares().shown(*seen)).at("compare");
  // Whoever is asked must be there before anything is written down, and there must be room for all their answers.
  const Json* columns = fields.array("columns");
  std::set<std::string> models;
  std::vector<Runs::Place> places;
  if (columns)
    for (const Json& c : *columns) {
      const Fields column(c, "columns");
      models.insert(
          find_answering(house_, column.required_text("model"), column.text("persona").value_or(""), {}).by.model);
      if (places.size() < home::kMostAskedColumns) places.push_back(runs_.take_place());
    }
  const bool together = models.size() == 1;
  auto begun = house_value(house_.home.compares().begin(body, together ? "together" : "in_turn"));
  const std::string id = begun.compare.id;
  if (begun.fresh) {
    Live live{.together = together};
    try {
      live.waiting = columns_of(begun.compare, std::move(places));
    } catch (const ApiError&) {  // a model or a persona went meanwhile: nothing begins
      if (const Status done = house_.home.compares().end(id, "failed"); !done)
        log::error("compare {} could not be ended: {}", id, done.error().message);
      throw;
    }
    {
      const std::lock_guard lock(mutex_);
      live_.emplace(id, std::move(live));
    }
    go_on(id);
  }
  return house_value(house_.home.compares().shown(id)).at("compare");
}

// The first one last.
std::vector<Comparing::Column> Comparing::columns_of(const home::Compare& compare, std::vector<Runs::Place> places) {
  std::vector<Column> out;
  for (const Json& c : compare.columns) {
    const Json& persona = c.at("persona");
    Answering answering =
        find_answering(house_, c.at("model"), persona.is_null() ? "" : persona.get<std::string>(), {c.at("sampling")});
    answering.model.reset();  // who waits must not keep a model from being put away
    out.push_back({c.at("id"), std::move(answering), std::move(places.back())});
    places.pop_back();
  }
  std::ranges::reverse(out);
  return out;
}

// Starts what may start now; ends the compare when nothing is left.
void Comparing::go_on(const std::string& id) {
  std::vector<Column> next;
  std::string end;
  {
    const std::lock_guard lock(mutex_);
    const auto it = live_.find(id);
    if (it == live_.end()) return;
    Live& live = it->second;
    while (!live.stopped && !live.waiting.empty() && (live.together || (live.runs.empty() && live.n_starting == 0))) {
      next.push_back(std::move(live.waiting.back()));
      live.waiting.pop_back();
      ++live.n_starting;
    }
    if (live.n_starting == 0 && live.runs.empty()) {
      end = live.stopped ? "stopped" : live.n_done > 0 ? "done" : "failed";
      live_.erase(it);
    }
  }
  for (Column& column : next) start(id, std::move(column));
  if (end.empty()) return;
  if (const Status done = house_.home.compares().end(id, end); !done)
    log::error("compare {} could not be ended: {}", id, done.error().message);
  series_.compare_ended(id);
}

bool Comparing::is_asked(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return live_.contains(id);
}

void Comparing::start(const std::string& id, Column column) {
  const auto turn = house_.home.compares().open(id, column.id, column.answering.by);
  if (!turn) {
    log::error("a column of compare {} could not begin: {}", id, turn.error().message);
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = live_.find(id); it != live_.end()) --it->second.n_starting;
    }
    column_ended(id, "", "failed");
    return;
  }
  bool stopped = false;  // meanwhile, when this run was not known yet
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = live_.find(id); it != live_.end()) {
      --it->second.n_starting;
      it->second.runs.insert(turn->run);
      stopped = it->second.stopped;
    }
  }
  runs_.begin({.run = turn->run,
               .thread = turn->answer.thread,
               .answer = turn->answer.id,
               .model = column.answering.by.model,
               .sampling = column.answering.sampling,
               .persona = column.answering.by.persona,
               .priority = engine::Priority::compare,
               .ended = [this, id, run = turn->run](const std::string& state) { column_ended(id, run, state); }},
              std::move(column.place));
  if (stopped) runs_.stop(turn->run);
}

void Comparing::column_ended(const std::string& id, const std::string& run, const std::string& state) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = live_.find(id);
    if (it == live_.end()) return;
    it->second.runs.erase(run);
    it->second.n_done += state == "done";
    if (state == "interrupted") it->second.stopped = true;  // the server ends
  }
  if (state == "interrupted") series_.end();
  if (const Status told = house_.home.compares().tell_changed(id); !told)
    log::warn("compare {}: {}", id, told.error().message);
  go_on(id);
}

Json Comparing::stop(const std::string& id) {
  house_value(house_.home.compares().find(id));
  std::vector<std::string> runs;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = live_.find(id); it != live_.end()) {
      it->second.stopped = true;
      runs.assign(it->second.runs.begin(), it->second.runs.end());
    }
  }
  for (const std::string& run : runs) runs_.stop(run);
  if (runs.empty()) go_on(id);
  return house_value(house_.home.compares().shown(id)).at("compare");
}

}  // namespace watra::server
