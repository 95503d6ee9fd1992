// Comparing: carries out compares: a run for each column, all together where they share a model, else one after the
// other, because the house keeps one model loaded (docs/decisions/0030-compares-take-turns.md). Any thread may call.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "server/answering.h"
#include "server/runs.h"
#include "server/series.h"

namespace watra::server {

class Comparing {
 public:
  Comparing(Household& house, Runs& runs)
      : house_(house),
        runs_(runs),
        series_(house, {.begin = [this](const Json& body) { return begin(body); },
                        .is_asked = [this](const std::string& compare) { return is_asked(compare); }}) {}

  // POST /compares: what is told of it. Throws ApiError.
  Json begin(const Json& body);
  Json stop(const std::string& id);
  // Many questions, one after the other.
  Series& series() { return series_; }

 private:
  struct Column {
    std::string id;
    Answering answering;
    Runs::Place place;  // until it begins
  };
  struct Live {
    std::vector<Column> waiting;  // the next one last
    std::set<std::string> runs;
    bool together = false, stopped = false;
    int n_done = 0, n_starting = 0;  // starting: taken from waiting, not yet among runs
  };

  // A place for each of its columns.
  std::vector<Column> columns_of(const home::Compare& compare, std::vector<Runs::Place> places);
  void go_on(const std::string& id);
  void start(const std::string& id, Column column);
  void column_ended(const std::string& id, const std::string& run, const std::string& state);
  bool is_asked(const std::string& id);

  Household& house_;
  Runs& runs_;
  std::mutex mutex_;
  std::map<std::string, Live> live_;  // by compare
  Series series_;
};

}  // namespace watra::server
