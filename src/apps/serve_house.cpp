#include "apps/serve_house.h"

#include "apps/draft_choice.h"
#include "apps/loading.h"
#include "apps/machine.h"
#include "base/log.h"
#include "base/machine_name.h"
#include "base/memory.h"
#include "base/process.h"
#include "engine/loaded_plan.h"
#include "server/event_stream.h"
#include "server/house_conversations.h"
#include "server/house_engine.h"
#include "server/house_machine.h"
#include "server/house_models.h"
#include "server/house_session.h"
#include "server/page/page.h"
#include "server/shelf/model_hashes.h"

namespace watra::apps {

struct ServedHouse::Impl {
  Impl(const Globals& g, const ServeOptions& o, std::unique_ptr<home::Home> h)
      : globals(g),
        options(o),
        home(std::move(h)),
        people(home->db()),
        entrance(people, {.secure_cookie = !o.tls.empty()}),
        jobs(std::make_unique<home::Jobs>(home->db(), home->events())),
        hearth(home->events()),
        notes(home->db()) {}

  std::optional<engine::Hardware> hardware();  // as it was measured; read anew every few seconds
  void forget_hardware();

  const Globals& globals;
  const ServeOptions options;
  std::unique_ptr<home::Home> home;
  home::People people;
  server::Entrance entrance;
  std::unique_ptr<home::Jobs> jobs;  // ended before the rest
  server::Hearth hearth;
  home::ShelfNotes notes;
  std::optional<server::Household> household;
  std::optional<server::EngineWatch> engine;
  std::optional<server::EventStreams> streams;
  std::optional<server::ModelShelf> shelf;
  std::optional<server::ShelfWork> shelf_work;
  std::unique_ptr<server::ModelHashes> hashes;
  std::unique_ptr<server::MachineRoom> machine;
  std::unique_ptr<server::Runs> runs;
  std::unique_ptr<server::Comparing> comparing;
  bool is_closed = false;
  std::mutex open_mutex;
  bool is_open = false;  // room_changed() may be told; with the lock, so that the end waits for who is telling

  std::mutex hardware_mutex;
  std::optional<engine::Hardware> known_hardware;
  std::chrono::steady_clock::time_point hardware_at{};
};

std::optional<engine::Hardware> ServedHouse::Impl::hardware() {
  constexpr auto kEvery = std::chrono::seconds(5);
  const std::lock_guard lock(hardware_mutex);
  const auto now = std::chrono::steady_clock::now();
  if (hardware_at == std::chrono::steady_clock::time_point{} || now - hardware_at > kEvery) {
    known_hardware = cached_machine(globals);
    hardware_at = now;
  }
  return known_hardware;
}

void ServedHouse::Impl::forget_hardware() {
  const std::lock_guard lock(hardware_mutex);
  hardware_at = {};
}

namespace {

// What the command line asks of the plans of the shelf, without drafts. Errors: "usage.size", those of KvTypes::parse.
Result<engine::PlanOptions> plain_plan(const Globals& g) {
  engine::PlanOptions o;
  o.n_ctx = g.ctx;
  o.threads = g.threads;
  WATRA_ASSIGN(o.kv_types, engine::KvTypes::parse(g.kv_type));
  if (!g.ram.empty()) {
    WATRA_ASSIGN(o.ram_bytes, parse_bytes(g.ram));
  }
  o.use_gpu = false;  // the card's share comes with a later version
  return o;
}

// What of the command line changes how fast answers are written; cache types apart, which a person may choose too.
std::string speed_settings(const Globals& g, const ServeOptions& o) {
  return fmt::format("--threads {} --cpus {} --isa {} --ram {} --draft {} {} {}", g.threads, g.cpus.value_or(""), g.isa,
                     g.ram, o.draft.method, o.draft.shape, o.draft.max);
}

// Of an answer of this model as it runs; nothing where the machine was not measured.
std::optional<double> predicted_speed(const std::optional<engine::Hardware>& hardware, server::ServedModel& model,
                                      int64_t n_tokens) {
  const auto plan = hardware ? engine::plan_as_loaded(model.scheduler().model(), *hardware, n_tokens) : std::nullopt;
  return plan ? std::optional(plan->decode_tokens_per_s) : std::nullopt;
}

bool is_busy(const server::ModelRoom& room) {
  if (room.view().state == server::RoomState::loading) return true;
  const auto model = room.current();
  if (!model) return false;
  const auto stats = model->stats();
  return stats.n_running + stats.n_waiting > 0;
}

}  // namespace

ServedHouse::ServedHouse(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServedHouse::~ServedHouse() { close(); }

Result<std::unique_ptr<ServedHouse>> ServedHouse::open(const Globals& g, const ServeOptions& o,
                                                       const fs::path& folder) {
  WATRA_ASSIGN(auto home, home::Home::open(folder));
  WATRA_TRY(home->recover());
  return std::unique_ptr<ServedHouse>(new ServedHouse(std::make_unique<Impl>(g, o, std::move(home))));
}

server::Entrance& ServedHouse::entrance() { return impl_->entrance; }

std::vector<server::ShelfEntry> ServedHouse::shelf() const {
  return impl_->shelf ? impl_->shelf->loadable() : std::vector<server::ShelfEntry>();
}

void ServedHouse::room_changed() {
  const std::lock_guard lock(impl_->open_mutex);
  if (impl_->is_open) impl_->engine->room_changed();
}

Status ServedHouse::add(server::Server& server, server::ModelRoom& room, const server::Limits& limits) {
  Impl& s = *impl_;
  WATRA_ASSIGN(const engine::PlanOptions plan, plain_plan(s.globals));
  server::Router& router = server.router();
  s.household.emplace(server::Household{*s.home, *s.jobs, s.hearth, room, limits, server.slow()});
  s.engine.emplace(*s.household);
  s.streams.emplace(s.home->events(), s.hearth, &s.entrance, limits);
  s.shelf.emplace(*s.household, s.notes,
                  server::ModelShelf::Options{
                      .hardware = [&s] { return s.hardware(); },
                      .plan = plan,
                      .settings = speed_settings(s.globals, s.options),
                      .drafts =
                          [&s](const fs::path& file, const model::ModelOutline& target, engine::PlanOptions& options) {
                            expect_drafts(s.globals, s.options.draft, file.string(), target, options);
                          }});
  s.shelf_work.emplace(server::ShelfWork{*s.household, *s.shelf, hub::PullSettings::from_environment()});
  s.hashes = std::make_unique<server::ModelHashes>(
      s.home->folder(), s.notes,
      server::ModelHashes::Options{.busy = [&room] { return is_busy(room); },
                                   .found =
                                       [&s](const server::ModelFileList& files) {
                                         const auto learnt =
                                             server::learn_hash(s.home->answers(), files, s.hashes->ask(files));
                                         if (!learnt) log::warn("{}", learnt.error().message);
                                         for (const auto& m : s.shelf->models())
                                           if (m.files == files) s.shelf->tell(m.id);
                                       }});
  s.runs = std::make_unique<server::Runs>(
      *s.household, server::Runs::Options{
                        .predicted = [&s](server::ServedModel& model,
                                          int64_t n_tokens) { return predicted_speed(s.hardware(), model, n_tokens); },
                        .sha256 = [&s](const server::ModelFileList& files) { return s.hashes->ask(files); }});
  s.comparing = std::make_unique<server::Comparing>(*s.household, *s.runs);
  s.machine = std::make_unique<server::MachineRoom>(
      *s.household, server::MachineRoom::Options{
                        .hardware = [&s] { return s.hardware(); },
                        .measure =
                            [&s](auto step, auto cancelled) {
                              return measured_machine(s.globals, std::move(step), std::move(cancelled));
                            },
                        .ram_limit_bytes = plan.ram_bytes,
                        .queue = [&s] { return s.runs->queue_json(); },
                        .measured =
                            [&s] {
                              s.forget_hardware();
                              for (const auto& m : s.shelf->models()) s.shelf->tell(m.id);
                            },
                        .answered = [&s](server::ServedModel& model,
                                         const server::AnswerSpeed& speed) { s.shelf->note_speed(model, speed); }});
  // A change of the room is told from its own thread; what that means for a card is found out on another.
  s.engine->model_changed = [&s](const std::string& id) {
    s.household->slow.post([&s, id] {
      s.shelf->tell(id);
      if (const auto model = s.household->room.current()) s.hashes->ask(model->model().file().paths());
    });
  };
  {
    const std::lock_guard lock(s.open_mutex);
    s.is_open = true;
  }

  server::add_page(router, server::embedded_page(), [&s] {
    const server::Json values = s.home->settings().values().value_or(server::Json::object());
    const auto text = [&](const char* key) {
      const auto it = values.find(key);
      return it != values.end() && it->is_string() ? it->get<std::string>() : std::string();
    };
    return server::PageLook{text("look.language"), text("look.theme"), text("look.motion")};
  });
  server::add_house_session(router, s.entrance, server.slow());
  s.engine->add(router, server.door(), s.entrance,
                [&s] { return s.home->settings().values().value_or(server::Json::object()); });
  s.streams->add(router);
  server::add_house_conversations(router, *s.household, *s.runs, *s.comparing);
  server::add_house_models(router, *s.shelf_work);
  server::add_ollama_shelf(router, *s.shelf_work);
  s.machine->add(router);
  server.on_stop([&s] { s.streams->end_all(); });
  return {};
}

int64_t ServedHouse::wished_context() const {
  const auto value = impl_->home->settings().value("engine.n_ctx");
  const server::Json* setting = home::find_setting("engine.n_ctx");
  return value && *value != setting->at("default") ? value->get<int64_t>() : 0;
}

void ServedHouse::load_default_model() {
  const auto value = impl_->home->settings().value("engine.default_model");
  if (!value || !value->is_string() || value->get<std::string>().empty()) return;
  const auto name = value->get<std::string>();
  server::ModelRoom& room = impl_->household->room;
  const auto entry = server::find_on_shelf(room, name);
  if (!entry) return log::warn("the model at start, {}, is not on the shelf", name);
  const auto job = impl_->jobs->start_once(
      {.kind = "load",
       .title = entry->id,
       .subject = entry->id,
       .total_bytes = entry->bytes,
       .work = [&room, entry = *entry](home::JobControl& j) -> Result<server::Json> {
         WATRA_TRY(room.load_and_wait(
             entry, {}, [&](uint64_t done, uint64_t all) { j.progress(done, all); }, [&] { return j.cancelled(); }));
         return server::Json(nullptr);
       },
       .ended = {}});
  if (!job) log::warn("{} could not be loaded: {}", entry->id, job.error().message);
}

void ServedHouse::close() {
  if (std::exchange(impl_->is_closed, true)) return;
  {
    const std::lock_guard lock(impl_->open_mutex);
    impl_->is_open = false;
  }
  if (impl_->household) impl_->household->room.end_loading();  // jobs and runs that wait for a model wait no longer
  if (impl_->runs) impl_->runs->close();  // answers under way end as interrupted, and that is written down
  impl_->jobs->close();                   // before what their work and their ends refer to
  impl_->hashes.reset();
  impl_->machine.reset();
}

void ServedHouse::show_the_way(const server::Server& server) {
  Impl& s = *impl_;
  std::string address = server.url();
  if (const auto& host = s.options.host; host == "0.0.0.0" || host == "::")
    address = fmt::format("{}://127.0.0.1:{}", server.door().is_tls() ? "https" : "http", server.port());
  // A person who has a password comes in by it; without one there is only this way.
  const bool with_code = s.options.open || !s.entrance.has_password();
  const std::string entering = with_code ? entering_address(address, s.entrance.make_code()) : address + "/";
  if (s.options.open && open_in_browser(entering)) {
    fmt::print(stderr, "the page opens in your browser; `watra open` opens it again\n");
  } else {
    fmt::print(stderr, "the page: {}\n", entering);
    if (with_code) fmt::print(stderr, "          (good once and for a minute; `watra open` gives another)\n");
  }
  if (!server.door().is_lan()) return;
  std::vector<std::string> names = machine_addresses();
  if (const std::string name = machine_name(); !name.empty()) names.push_back(name + ".local");
  fmt::print(stderr, "\n  other machines of your network may come in, with the password:\n");
  for (const std::string& name : names)
    fmt::print(stderr, "    {}://{}:{}/\n", server.door().is_tls() ? "https" : "http",
               name.find(':') == std::string::npos ? name : "[" + name + "]", server.port());
  if (!server.door().is_tls())
    fmt::print(stderr,
               "  nothing is encrypted on the way: who listens on this network reads the password and every word;\n"
               "  --tls CERTIFICATE KEY encrypts it\n");
  fmt::print(stderr, "\n");
}

bool home_has_password(const fs::path& folder) {
  std::error_code ec;
  if (!fs::exists(folder / "home.db", ec)) return false;
  const auto home = home::Home::open(folder);
  return home && home::People((*home)->db()).has_password().value_or(false);
}

std::string entering_address(const std::string& url, const std::string& code) { return url + "/#enter=" + code; }

bool open_in_browser(const std::string& address) {
  if (!has_display()) return false;
  const Status started = start_detached({"xdg-open", address});
  if (!started) log::warn("the browser could not be opened: {}", started.error().message);
  return started.has_value();
}

}  // namespace watra::apps
