#include "server/runs.h"

#include <algorithm>

#include "base/log.h"
#include "base/thread_start.h"
#include "hub/sha256.h"
#include "server/house_fields.h"
#include "server/live_run.h"
#include "server/request_check.h"
#include "server/sampling_fields.h"
#include "server/shelf/model_hashes.h"
#include "server/task.h"

namespace watra::server {
namespace {

constexpr auto kCommitEvery = std::chrono::milliseconds(50);
constexpr auto kLookEvery = std::chrono::milliseconds(500);  // at runs that say nothing: progress of loading
constexpr size_t kMostRuns = 256;  // as many as a scheduler lets wait; each has a thread until its request is made
constexpr int64_t kPlannedAnswer = 256;                // tokens of an answer that may go on until its end
constexpr auto kRetryAfter = std::chrono::seconds(1);  // when the store could not be written

std::string hash_of(const std::vector<TokenId>& ids) {
  hub::Sha256 sha;
  sha.add(std::as_bytes(std::span(ids)));
  return sha.hex().substr(0, 16);
}

Json facts_before(const ServedModel& model, std::string sha256, const RunWish& wish, const TurnPrompt& prompt,
                  uint64_t seed, std::optional<double> predicted) {
  const auto& metadata = model.model().file().metadata();
  return {{"model",
           {{"id", model.id()},
            {"name", metadata.get_string("general.name").value_or(model.id())},
            {"file", model.names().path.filename().string()},
            {"sha256", std::move(sha256)},
            {"quant", model.quant()},
            {"template", template_name(model)}}},
          {"persona", wish.persona ? Json(*wish.persona) : Json(nullptr)},
          {"sampling", wish.sampling},
          {"seed", seed},
          {"prompt_hash", hash_of(prompt.ids)},
          {"n_prompt", prompt.ids.size()},
          {"n_cached", 0},
          {"n_generated", 0},
          {"ttft_ms", 0.0},
          {"prefill_tokens_per_s", 0.0},
          {"decode_tokens_per_s", 0.0},
          {"predicted_tokens_per_s", predicted ? Json(*predicted) : Json(nullptr)},
          {"seconds", 0.0},
          {"finish_reason", nullptr},
          {"tau", 1.0},
          {"context", prompt.context},
          {"memory_bytes", 0}};
}

ApiError without_thread(const Error& error) {
  ApiError out{.status = 503, .code = error.code, .message = error.message, .retry_after_s = 5};
  out.more = {{"hint", error.hint}};
  return out;
}

}  // namespace

std::optional<ShelfEntry> find_on_shelf(const ModelRoom& room, std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const ShelfEntry& e : room.shelf())
    if (name == e.id || name == e.path.stem().string() || name == e.path.filename().string()) return e;
  return std::nullopt;
}

struct Runs::Live : LiveRun {
  using LiveRun::LiveRun;
  std::vector<fs::path> files;  // of its model; set before it is prepared
};

Runs::Runs(Household& house, Options options) : house_(house), options_(std::move(options)) {}

Runs::~Runs() { close(); }

void Runs::wake() {
  {
    const std::lock_guard lock(mutex_);
    has_news_ = true;
  }
  news_.notify_all();
}

Runs::Place Runs::take_place() {
  const std::lock_guard lock(mutex_);
  if (closing_) throw server_stopping();
  if (const size_t n = live_.size() + n_places_; n >= kMostRuns)
    throw ApiError{.status = 503,
                   .code = "engine.full",
                   .message = fmt::format("{} answers are under way or wait; more are not taken", n),
                   .retry_after_s = 5};
  if (!committer_.joinable()) {
    auto thread = start_thread("what answers come to", [this] { commit_all(); });
    if (!thread) throw without_thread(thread.error());
    committer_ = std::move(*thread);
  }
  ++n_places_;
  return Place(*this);
}

void Runs::give_back() {
  const std::lock_guard lock(mutex_);
  --n_places_;
}

void Runs::begin(RunWish wish, Place place) {
  auto live = std::make_shared<Live>(std::move(wish), [this] { wake(); });
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;  // nobody commits any more: at the next start it is closed as interrupted
    live_.emplace(next_++, live);
    --n_places_;
    place.runs_ = nullptr;
    if (closing_) live->interrupted = true;
    if (auto thread = start_thread("this answer", [this, live] { prepare(live); }))
      live->preparing = std::move(*thread);
    else
      live->refuse(without_thread(thread.error()));  // the turn is written down: so is why it has no answer
  }
  wake();
}

std::shared_ptr<ServedModel> Runs::await_model(const std::shared_ptr<Live>& live) {
  const std::string& name = live->wish.model;
  const auto gone = [&] { return live->stop_asked || live->interrupted; };
  while (!gone()) {
    if (auto model = house_.room.current(); model && (name.empty() || model->answers_to(name))) return model;
    const auto entry = find_on_shelf(house_.room, name);
    if (!entry && house_.room.view().state == RoomState::loading) {  // the first one, at start
      live->loading();
      std::this_thread::sleep_for(kCommitEvery);
      continue;
    }
    if (!entry) throw ApiError{.status = 404, .code = "model.unknown", .message = "there is no model " + name};
    live->loading();
    if (const Status loaded = house_.room.load_and_wait_or_leave(*entry, gone); !loaded && !gone())
      throw house_error(loaded.error());
  }
  return nullptr;
}

void Runs::prepare(const std::shared_ptr<Live>& live) {
  const RunWish& wish = live->wish;
  try {
    const auto model = await_model(live);
    if (!model) return live->give_up();
    auto path = house_value(house_.home.conversations().path(wish.answer));
    const Json parts = path.back().parts;
    if (!wish.go_on) path.pop_back();
    TurnWords words = turn_words(house_.home, path, wish.go_on);
    if (wish.begun) words.n_must = 2;
    const home::Thread thread = house_value(house_.home.conversations().thread(wish.thread)).thread;
    words.system = thread.system.value_or("");
    if (wish.persona) words.persona = house_value(house_.home.personas().find(*wish.persona)).text;
    const Fields fields(wish.sampling);
    WriteOptions generate = read_generate(fields, {"max_tokens"}, *model);
    TurnPrompt prompt = make_turn_prompt(*model, words, generate.max_tokens);
    generate.stop.insert(generate.stop.end(), prompt.stop.begin(), prompt.stop.end());
    if (house_value(house_.home.settings().value("engine.endless")).get<bool>()) generate.endless.wanted = true;
    keep_beginning(generate.endless, n_beginning(prompt.record), model->n_ctx());
    engine::SamplingParams sampling = read_sampling(fields, *model);
    // Known beforehand, so that it can be kept; of the 32 bits in which settings take one to ask for it again.
    if (!sampling.seed) sampling.seed = static_cast<uint32_t>(engine::random_seed());
    prompt.record["sampling"] = wish.sampling;
    prompt.record["seed"] = *sampling.seed;
    const int64_t most = generate.max_tokens > 0 ? std::min(generate.max_tokens, kPlannedAnswer) : kPlannedAnswer;
    const auto predicted = options_.predicted
                               ? options_.predicted(*model, static_cast<int64_t>(prompt.ids.size()) + most / 2)
                               : std::nullopt;
    live->files = model->model().file().paths();
    live->prepared(model, prompt, facts_before(*model, sha256_of(live->files), wish, prompt, *sampling.seed, predicted),
                   parts);
    engine::Request request = make_request(std::move(prompt.ids), sampling, generate);
    request.priority = wish.priority;
    if (const Status asked = live->submit(std::move(request)); !asked) live->fail(from_error(asked.error(), "parts"));
  } catch (const ApiError& e) {
    live->fail(e);
  } catch (const std::exception& e) {
    log::error("run {}: {}", wish.run, e.what());
    live->fail({.status = 500, .code = "run.failed", .message = "an unexpected error ended this answer"});
  }
}

namespace {

// Whoever is told does what it does on this thread, which every answer needs.
void tell_end(const RunWish& wish, const Json& run) {
  try {
    if (wish.ended) wish.ended(run.at("state"));
  } catch (const ApiError& e) {
    log::error("run {}: {}", wish.run, e.message);
  } catch (const std::exception& e) {
    log::error("run {}: {}", wish.run, e.what());
  }
}

}  // namespace

std::string Runs::sha256_of(const std::vector<fs::path>& files) const {
  return options_.sha256 && !files.empty() ? options_.sha256(files) : std::string();
}

// What was not known when it began may be known by now.
bool Runs::lacks_hash(const home::AnswerStep& step) {
  return step.kind == home::AnswerStep::Kind::ended && step.facts.is_object() &&
         step.facts.at("model").at("sha256") == "";
}

// What became known while the answers' ends were being written.
void Runs::learn_hashes(const std::vector<std::shared_ptr<Live>>& over) const {
  for (const auto& live : over) {
    const std::string sha256 = sha256_of(live->files);
    if (sha256.empty()) continue;
    if (const auto n = learn_hash(house_.home.answers(), live->files, sha256); !n) log::warn("{}", n.error().message);
  }
}

void Runs::complete(home::AnswerStep& ended, const Live& live) const {
  if (ended.kind != home::AnswerStep::Kind::ended || !ended.facts.is_object()) return;
  Json& sha256 = ended.facts.at("model").at("sha256");
  if (sha256 == "") sha256 = sha256_of(live.files);
}

std::optional<Json> Runs::stop(const std::string& run) {
  std::shared_ptr<Live> live;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [order, l] : live_)
      if (l->wish.run == run) live = l;
  }
  if (!live) return std::nullopt;
  live->stop_asked = true;
  live->cancel();
  return live->shown(0);
}

std::optional<Json> Runs::find(const std::string& run) const {
  const std::lock_guard lock(mutex_);
  int64_t ahead = 0;
  for (const auto& [order, live] : live_) {
    if (live->wish.run == run) return live->shown(ahead);
    ahead += live->waits();
  }
  return std::nullopt;
}

std::vector<Json> Runs::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Json> out;
  int64_t ahead = 0;
  for (const auto& [order, live] : live_) {
    out.push_back(live->shown(ahead));
    ahead += live->waits();
  }
  return out;
}

Json Runs::queue_json() const {
  const std::lock_guard lock(mutex_);
  Json out = Json::array();
  for (const auto& [order, live] : live_) out.push_back(live->queue_entry());
  return out;
}

bool Runs::take_inboxes(std::vector<home::AnswerStep>& steps, std::vector<std::shared_ptr<Live>>& over) {
  std::vector<std::pair<int64_t, std::shared_ptr<Live>>> all;
  {
    const std::lock_guard lock(mutex_);
    has_news_ = false;
    all.assign(live_.begin(), live_.end());
  }
  int64_t ahead = 0;
  for (const auto& [order, live] : all) {
    if (live->take(steps, house_.hearth, ahead)) {
      complete(steps.back(), *live);
      over.push_back(live);
      const std::lock_guard lock(mutex_);
      live_.erase(order);
    } else {
      ahead += live->waits();
    }
  }
  return !all.empty();
}

// A full disk may be emptied, another writer may end: what was said is held until it is written, and shown only then.
// What can never be written must not hold up the others.
void Runs::commit(const std::vector<home::AnswerStep>& steps) {
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    const Status done = house_.home.answers().apply(steps);
    if (done) return;
    log::error("answers cannot be written: {}", done.error().message);
    const bool may_pass = done.error().code == "store.disk_full" || done.error().code == "store.busy";
    if (!may_pass && tries >= kTries) break;
    std::this_thread::sleep_for(kRetryAfter);
    const std::lock_guard lock(mutex_);
    if (closing_) return;
  }
  for (const home::AnswerStep& step : steps)
    if (const Status done = house_.home.answers().apply({step}); !done)
      log::error("a step of answer {} is lost: {}", step.message, done.error().message);
}

void Runs::commit_all() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      const auto due = [&] { return has_news_ || (closing_ && live_.empty()); };
      if (live_.empty())
        news_.wait(lock, due);
      else
        news_.wait_for(lock, kLookEvery, due);
      closed_ = closing_ && live_.empty();
      if (closed_) return;
    }
    const auto began = std::chrono::steady_clock::now();
    std::vector<home::AnswerStep> steps;
    std::vector<std::shared_ptr<Live>> over;
    take_inboxes(steps, over);
    if (!steps.empty()) commit(steps);
    if (std::ranges::any_of(steps, lacks_hash)) learn_hashes(over);
    for (const auto& live : over) {
      if (live->preparing.joinable()) live->preparing.join();
      tell_end(live->wish, live->shown(0));
    }
    std::this_thread::sleep_until(began + kCommitEvery);
  }
}

void Runs::close() {
  std::vector<std::shared_ptr<Live>> all;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    closed_ = !committer_.joinable();
    for (const auto& [order, live] : live_) all.push_back(live);
  }
  for (const auto& live : all) {
    live->interrupted = true;
    live->cancel();
  }
  news_.notify_all();
  if (committer_.joinable()) committer_.join();
}

}  // namespace watra::server
