#include "server/series.h"

#include <utility>

#include "base/log.h"
#include "home/check.h"
#include "home/ids.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

constexpr size_t kMostQuestions = 1000;  // as a set takes them
constexpr size_t kMostQuestion = 200'000;

std::vector<std::string> checked_questions(const Json& body) {
  const Json* questions = Fields(body).array("questions");
  if (!questions || questions->empty() || questions->size() > kMostQuestions)
    throw request_invalid("questions", fmt::format("a list of 1 to {} texts", kMostQuestions));
  std::vector<std::string> out;
  for (const Json& q : *questions) {
    if (!q.is_string() || q.get_ref<const std::string&>().empty() ||
        home::n_characters(q.get_ref<const std::string&>()) > kMostQuestion)
      throw request_invalid("questions", fmt::format("texts of 1 to {} characters", kMostQuestion));
    out.push_back(q.get<std::string>());
  }
  return out;
}

}  // namespace

Json Series::begin(const Json& body) {
  const Fields fields(body);
  const std::string client_id = fields.required_text("client_id");
  auto questions = checked_questions(body);
  Run before;
  {
    const std::lock_guard lock(mutex_);
    if (!run_.id.empty() && run_.client_id == client_id) return told();
    if (run_.state == "running" && !run_.id.empty())
      throw in_the_way("series.busy", "a set of questions is being asked", run_.id);
    before = std::exchange(
        run_, {.id = home::make_id("q_"), .client_id = client_id, .body = body, .questions = std::move(questions)});
    run_.body.erase("questions");
  }
  try {
    go_on(true);
  } catch (const ApiError&) {  // nothing was asked: it is as if nobody had tried
    const std::lock_guard lock(mutex_);
    run_ = std::move(before);
    throw;
  }
  tell();
  return now();
}

Json Series::stop(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    if (run_.id.empty() || run_.id != id) throw unknown("series", id);
    if (run_.state == "running") finish("stopped");
  }
  tell();
  return now();
}

Json Series::now() const {
  const std::lock_guard lock(mutex_);
  return run_.id.empty() ? Json(nullptr) : told();
}

void Series::compare_ended(const std::string& compare) {
  {
    const std::lock_guard lock(mutex_);
    if (run_.compare.empty() || run_.compare != compare) return;
    run_.compare.clear();  // whoever takes it away goes on with the next one
    ++run_.n_done;
  }
  go_on(false);
  tell();
}

void Series::end() {
  const std::lock_guard lock(mutex_);
  if (run_.state == "running") finish("stopped");
}

// Asks the next question. One that has ended by the time its id is known is followed by the next at once.
void Series::go_on(bool is_first) {
  for (;; is_first = false) {
    Json body;
    {
      const std::lock_guard lock(mutex_);
      if (run_.state != "running") return;
      if (run_.n_begun == run_.questions.size()) return finish("done");
      body = run_.body;
      body["client_id"] = fmt::format("{}_{}", run_.id, run_.n_begun);
      body["question"] = run_.questions[run_.n_begun++];
    }
    std::string compare;
    try {
      compare = ways_.begin(body).at("id").get<std::string>();
    } catch (const ApiError& e) {
      if (is_first) throw;
      log::warn("a set of questions ends: {}", e.message);
      const std::lock_guard lock(mutex_);
      return finish("failed", {{"code", e.code}, {"message", e.message}});
    }
    const std::lock_guard lock(mutex_);
    run_.compare = compare;
    if (ways_.is_asked(compare)) return;
    run_.compare.clear();
    ++run_.n_done;
  }
}

void Series::finish(const char* state, Json error) {
  run_.state = state;
  run_.error = std::move(error);
}

Json Series::told() const {
  Json out = {{"id", run_.id},
              {"state", run_.state},
              {"done", run_.n_done},
              {"all", run_.questions.size()},
              {"compare", run_.compare.empty() ? Json(nullptr) : Json(run_.compare)}};
  out["error"] = run_.error;
  return out;
}

void Series::tell() const {
  const std::lock_guard lock(tell_mutex_);  // what is told last is how it stands
  const Json data = now();
  if (data.is_null()) return;
  if (const Status sent = house_.home.events().tell("series.changed", std::nullopt, std::nullopt, data); !sent)
    log::warn("a set of questions: {}", sent.error().message);
}

}  // namespace watra::server
