// Series: a set of questions, each asked of the same columns, one after the other; every question is a compare of its
// own, kept like any. It belongs to the server: closing every page ends nothing. One at a time; it lives as long as the
// server, what was asked stays. Any thread may call.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "server/household.h"

namespace watra::server {

class Series {
 public:
  struct Ways {
    std::function<Json(const Json& body)> begin;               // a compare as it is told; throws ApiError
    std::function<bool(const std::string& compare)> is_asked;  // its answers are under way
  };
  Series(Household& house, Ways ways) : house_(house), ways_(std::move(ways)) {}

  // {"client_id", "questions", and what a compare takes beside its question}. What is told of it. Throws ApiError: also
  // 409 "series.busy", and what refuses the first compare.
  Json begin(const Json& body);
  Json stop(const std::string& id);  // no question more; the one that is asked is answered. 404 "series.unknown"
  Json now() const;                  // null before the first

  void compare_ended(const std::string& compare);
  void end();  // the server ends

 private:
  struct Run {
    std::string id, client_id, compare, state = "running";
    Json body, error;  // body: of each compare, without its question
    std::vector<std::string> questions;
    size_t n_begun = 0, n_done = 0;
  };
  Json told() const;  // with the lock
  void go_on(bool is_first);
  void finish(const char* state, Json error = nullptr);  // with the lock
  void tell() const;

  Household& house_;
  const Ways ways_;
  mutable std::mutex mutex_, tell_mutex_;
  Run run_;
};

}  // namespace watra::server
