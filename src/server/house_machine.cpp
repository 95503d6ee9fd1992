#include "server/house_machine.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/log.h"
#include "base/machine_name.h"
#include "base/memory.h"
#include "base/thread_start.h"
#include "engine/plan.h"
#include "home/ids.h"
#include "kernels/ops.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kEvery = std::chrono::milliseconds(1000);
constexpr size_t kKept = 600;

uint64_t bytes_of_disk(const fs::path& path) {
  std::error_code ec;
  fs::path there = path;
  while (!there.empty() && !fs::exists(there, ec) && there.has_relative_path()) there = there.parent_path();
  const auto space = fs::space(there, ec);
  return ec ? 0 : space.capacity;
}

}  // namespace

Json MachineRoom::Sample::json() const {
  return {{"at_ms", at_ms},
          {"decode_tokens_per_s", decode_tokens_per_s},
          {"prefill_tokens_per_s", prefill_tokens_per_s},
          {"read_gb_s", read_gb_s},
          {"read_limit_gb_s", read_limit_gb_s},
          {"ram_bytes", ram_bytes},
          {"vram_bytes", 0},
          {"cpu", cpu},
          {"gpu", nullptr},
          {"celsius", {{"cpu", celsius ? Json(*celsius) : Json(nullptr)}, {"gpu", nullptr}}},
          {"tau", tau}};
}

MachineRoom::MachineRoom(Household& house, Options options) : house_(house), options_(std::move(options)) {
  times_ = processor_times();
  at_ = Clock::now();
  since_ms_ = home::now_ms();
  auto thread = start_thread("the machine room", [this] { take_samples(); });
  if (thread)
    thread_ = std::move(*thread);
  else
    log::warn("the machine room shows no speeds: {}", thread.error().message);
}

MachineRoom::~MachineRoom() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ending_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void MachineRoom::take_samples() {
  auto next = Clock::now();
  for (;;) {
    // Seconds in which nothing ran are not made up for: rates over moments would say nothing.
    next = std::max(next + kEvery, Clock::now() + kEvery * 3 / 4);
    {
      std::unique_lock lock(mutex_);
      if (ending_.wait_until(lock, next, [&] { return end_; })) return;
    }
    try {
      const Sample s = sample();
      const std::lock_guard lock(mutex_);
      samples_.push_back(s);
      while (samples_.size() > kKept) {
        since_ms_ = samples_.front().at_ms;  // the one behind it is of the time from there
        samples_.pop_front();
      }
    } catch (const std::exception& e) {  // a second that is not shown
      log::warn("a look at the machine failed: {}", e.what());
    }
  }
}

MachineRoom::Sample MachineRoom::sample() {
  Sample s{.at_ms = home::now_ms()};
  const auto now = Clock::now();
  const double seconds = std::max(0.01, std::chrono::duration<double>(now - at_).count());
  at_ = now;
  const ProcessorTimes times = processor_times();
  s.cpu = busy_share(times_, times);
  times_ = times;
  s.celsius = processor_celsius();
  s.ram_bytes = resident_bytes();
  if (const auto hw = options_.hardware ? options_.hardware() : std::nullopt) s.read_limit_gb_s = hw->ram.gb_s;

  const auto loaded = house_.room.current();
  const engine::SchedulerStats stats = loaded ? loaded->stats() : engine::SchedulerStats{};
  const std::string model = loaded ? loaded->id() : "";
  if (model != model_ || stats.n_passes < before_.n_passes) {  // another one: its counters begin at nothing
    before_ = {};
    model_ = model;
  }
  if (loaded) {
    const auto per_s = [&](int64_t n) { return static_cast<double>(n) / seconds; };
    const int64_t decoded = stats.n_decoded - before_.n_decoded, accepted = stats.n_accepted - before_.n_accepted;
    s.decode_tokens_per_s = per_s(decoded + accepted);
    s.prefill_tokens_per_s = per_s(stats.n_read - before_.n_read);
    s.read_gb_s = per_s(stats.n_passes - before_.n_passes) * static_cast<double>(loaded->model().pass_bytes()) / 1e9;
    if (decoded > 0) s.tau = static_cast<double>(decoded + accepted) / static_cast<double>(decoded);
    for (const AnswerSpeed& speed : loaded->speeds().take())
      if (options_.answered) options_.answered(*loaded, speed);
  }
  // Other programs' requests light the fire too; the page's own runs tell it themselves.
  const bool is_others = stats.n_running > 0 && (!options_.queue || options_.queue().empty());
  if (is_others && s.decode_tokens_per_s > 0)
    house_.hearth.work("api", {.state = "speaking", .progress = std::nullopt, .rate = s.decode_tokens_per_s});
  else if (is_others)
    house_.hearth.work("api", {.state = "reading", .progress = std::nullopt, .rate = std::nullopt});
  else
    house_.hearth.done("api");
  before_ = stats;
  return s;
}

Json MachineRoom::memory_json() const {
  Json rows = Json::array();
  uint64_t tagged = 0;
  if (const auto loaded = house_.room.current(); loaded && loaded->scheduler().model().budget)
    for (const auto& use : loaded->scheduler().model().budget->uses()) {
      rows.push_back({{"tier", "ram"}, {"tag", use.tag}, {"bytes", use.bytes}});
      tagged += use.bytes;
    }
  const uint64_t all = resident_bytes();
  if (all > tagged) rows.push_back({{"tier", "ram"}, {"tag", "other"}, {"bytes", all - tagged}});
  return rows;
}

Json MachineRoom::machine_json() const {
  const auto hw = options_.hardware ? options_.hardware() : std::nullopt;
  const CpuInfo& cpu = cpu_info();
  Json isa = Json::array(), gpus = Json::array(), disks = Json::array();
  for (const auto* k : kernels::available())
    if (!kernels::is_truth(*k) && k->isa != "generic") isa.push_back(k->isa);
  if (hw && hw->has_vram()) gpus.push_back({{"name", "GPU"}, {"bytes", hw->vram.bytes}, {"gb_s", hw->vram.gb_s}});
  if (hw)
    for (const auto& d : hw->disks)
      disks.push_back({{"path", d.path},
                       {"bytes", bytes_of_disk(d.path)},
                       {"free_bytes", free_space_bytes(d.path).value_or(d.free_bytes)},
                       {"gb_s", d.gb_s}});
  if (disks.empty()) {
    const fs::path here = house_.home.folder();
    disks.push_back({{"path", here.string()},
                     {"bytes", bytes_of_disk(here)},
                     {"free_bytes", free_space_bytes(here).value_or(0)},
                     {"gb_s", nullptr}});
  }
  const uint64_t ram_limit = options_.ram_limit_bytes ? options_.ram_limit_bytes
                             : hw                     ? hw->ram.bytes
                                                      : available_memory_bytes();
  return {{"name", machine_name()},
          {"cpu", {{"model", cpu.model_name}, {"isa", std::move(isa)}, {"cores", cpu.n_physical}}},
          {"gpus", std::move(gpus)},
          {"ram", {{"bytes", total_memory_bytes()}, {"gb_s", hw ? hw->ram.gb_s : 0}}},
          {"disks", std::move(disks)},
          {"measured", hw.has_value()},
          {"verdict", machine_verdict(hw)},
          {"memory", memory_json()},
          {"limits", {{"vram_bytes", hw ? hw->vram.bytes : 0}, {"ram_bytes", ram_limit}}}};
}

Json MachineRoom::now_json(int64_t since_ms) const {
  Json samples = Json::array();
  int64_t kept_since_ms = 0;
  {
    const std::lock_guard lock(mutex_);
    kept_since_ms = since_ms_;
    for (const Sample& s : samples_)
      if (s.at_ms > since_ms) samples.push_back(s.json());
  }
  Json queue = options_.queue ? options_.queue() : Json::array();
  // Requests of other programs have no run: the scheduler says how many there are.
  if (const auto loaded = house_.room.current()) {
    const engine::SchedulerStats stats = loaded->stats();
    const auto n_known = static_cast<int64_t>(queue.size());
    for (int64_t i = n_known; i < stats.n_running + stats.n_waiting; ++i)
      queue.push_back({{"run", fmt::format("api_{}", i)},
                       {"class", "api"},
                       {"state", i < stats.n_running ? "speaking" : "queued"},
                       {"thread", nullptr},
                       {"n_prompt", 0},
                       {"n_generated", 0}});
  }
  return {{"samples", std::move(samples)},
          {"since_ms", kept_since_ms},
          {"memory", memory_json()},
          {"queue", std::move(queue)}};
}

void MachineRoom::add(Router& router) {
  router.add(house_route("GET", "/machine", [this](Exchange& x) -> Awaitable<void> {
    const auto look = [this] { return machine_json(); };
    Json reply = co_await house_.slow.run(look);
    co_await x.reply_json(std::move(reply));
  }));
  router.add(house_route("GET", "/machine/now", [this](Exchange& x) -> Awaitable<void> {
    const int64_t since = query_integer(x, "since", 0).value_or(0);
    Json reply = now_json(since);
    co_await x.reply_json(std::move(reply));
  }));
  router.add(house_route("POST", "/machine/measure", [this](Exchange& x) -> Awaitable<void> {
    home::Jobs::Wish wish{.kind = "measure", .title = "machine", .subject = "machine"};
    wish.work = [this](home::JobControl& control) -> Result<Json> {
      const auto step = [&](std::string_view, int n, int of) {
        if (of > 0) control.share(static_cast<double>(n) / of);
      };
      WATRA_ASSIGN(const engine::Hardware hw, options_.measure(step, [&] { return control.cancelled(); }));
      return Json{{"ram_gb_s", hw.ram.gb_s}};
    };
    wish.ended = [this](const home::Job& over) {
      if (over.state == "done" && options_.measured) options_.measured();
    };
    Json reply = house_value(house_.jobs.start_once(std::move(wish))).job.json();
    co_await x.reply_json(std::move(reply), 202);
  }));
}

namespace {

// How a model of so many tokens a second answers, in words: beside how fast one reads (about nine tokens a second in
// Polish).
struct Pace {
  std::string pl, en;
};
Pace pace_words(double tokens_per_s) {
  std::string rate = fmt::format("{:.{}f}", tokens_per_s, tokens_per_s < 9.95 ? 1 : 0);
  std::string comma = rate;
  if (const size_t point = comma.find('.'); point != std::string::npos) comma[point] = ',';
  if (tokens_per_s >= 9)
    return {fmt::format("odpowiada szybciej, niż się czyta (około {} tok./s)", comma),
            fmt::format("answers faster than one reads (about {} tok/s)", rate)};
  if (tokens_per_s >= 4)
    return {fmt::format("mówi w rytmie spokojnej rozmowy (około {} tok./s)", comma),
            fmt::format("speaks at the pace of a calm talk (about {} tok/s)", rate)};
  if (tokens_per_s >= 0.95)
    return {fmt::format("mówi powoli (około {} tok./s)", comma), fmt::format("speaks slowly (about {} tok/s)", rate)};
  const double seconds = 1 / std::max(tokens_per_s, 1e-6);
  if (seconds < 90)
    return {fmt::format("mówi bardzo powoli: token co {:.0f} s", seconds),
            fmt::format("speaks very slowly: a token every {:.0f} s", seconds)};
  return {"jest tu za duży, żeby z nim rozmawiać", "is too large here to talk with"};
}

}  // namespace

Json machine_verdict(const std::optional<engine::Hardware>& hw) {
  if (!hw)
    return {
        {"pl",
         "Ta maszyna nie była jeszcze mierzona. Pomiar trwa do minuty; potem wiadomo, co tu pójdzie i jak szybko."},
        {"en",
         "This machine was not measured yet. It takes up to a minute; then it is known what runs here, and how fast."}};
  struct Size {
    const char* shape;
    const char* pl;
    const char* en;
  };
  static constexpr Size kSizes[] = {{"llama-3.1-8b", "o 8 miliardach", "8 billion"},
                                    {"llama-3.3-70b", "o 70 miliardach", "70 billion"}};
  std::string pl, en;
  for (const Size& size : kSizes) {
    const auto shape = model::find_shape(size.shape);
    const auto mix = model::parse_quant_mix("Q4_K_M");
    if (!shape || !mix) continue;
    const auto plan = engine::make_plan(model::outline_of(**shape, *mix), *hw, {});
    if (!plan) {
      pl += fmt::format("Model {} parametrów się tu nie zmieści. ", size.pl);
      en += fmt::format("A model of {} parameters does not fit here. ", size.en);
      continue;
    }
    const Pace pace = pace_words(plan->decode_tokens_per_s);
    pl += fmt::format("Model {} parametrów {}. ", size.pl, pace.pl);
    en += fmt::format("A model of {} parameters {}. ", size.en, pace.en);
  }
  const auto trimmed = [](std::string text) {
    while (text.ends_with(' ')) text.pop_back();
    return text;
  };
  return {{"pl", trimmed(pl)}, {"en", trimmed(en)}};
}

}  // namespace watra::server
