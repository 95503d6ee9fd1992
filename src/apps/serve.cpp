// watra serve: the model behind HTTP, for every client that speaks one of the known APIs.
#include "apps/serve.h"

#include <cstdio>
#include <memory>

#include "apps/draft_choice.h"
#include "apps/loading.h"
#include "apps/serve_house.h"
#include "base/home.h"
#include "base/log.h"
#include "base/process.h"
#include "hub/shelf.h"
#include "server/inference.h"
#include "server/server.h"

namespace watra::apps {
namespace {

// Conversations that may each fill their context at the same time; more of them share the same pages. Where no limit is
// set a cache of kRoomyCache bytes is taken if that is more: small models then hold every conversation whole.
constexpr int64_t kWholeContexts = 4;
constexpr int64_t kDefaultContext = 4096;
constexpr uint64_t kRoomyCache = uint64_t{512} << 20;

Result<engine::LoadedModel> load_model(const Globals& g, const ServeOptions& serve, const fs::path& path,
                                       const server::LoadWish& wish, const server::ModelRoom::Progress& progress,
                                       const server::ModelRoom::Cancelled& cancelled, DraftOptions& draft) {
  engine::LoadOptions o;
  o.threads = g.threads;
  WATRA_ASSIGN(o.cpus, chosen_cpus(g));
  o.n_ctx = wish.n_ctx > 0 ? wish.n_ctx : g.ctx;
  const int64_t n_parallel = serve.n_parallel, n_ctx = o.n_ctx > 0 ? o.n_ctx : kDefaultContext;
  o.kv_positions = n_ctx * std::min(n_parallel, kWholeContexts);
  o.max_logit_rows = n_parallel + logit_rows(serve.draft) - 1;
  o.n_sequences = n_parallel;
  o.touch_cache = true;
  if (!g.ram.empty()) {
    WATRA_ASSIGN(o.ram_bytes, parse_bytes(g.ram));
  } else {
    o.kv_bytes = kRoomyCache;
    o.kv_most_positions = n_ctx * n_parallel;
  }
  o.isa = g.isa;
  WATRA_ASSIGN(o.kv_types, engine::KvTypes::parse(wish.kv_type.empty() ? g.kv_type : wish.kv_type));
  o.disks.assign(g.disks.begin(), g.disks.end());
  WATRA_ASSIGN(o.kv_store, kv_store_options(g, ""));
  o.progress = progress;
  o.cancelled = cancelled;
  Globals as_wished = g;
  as_wished.ctx = n_ctx;
  if (!wish.kv_type.empty()) as_wished.kv_type = wish.kv_type;
  WATRA_ASSIGN(const DraftChoice choice, choose_draft(as_wished, serve.draft, path.string(), o.kv_positions));
  draft = serve.draft;
  draft.method = choice.word;
  const uint64_t limit = o.ram_bytes;
  if (choice.needs_room && choice.room_bytes < limit) o.ram_bytes -= choice.room_bytes;
  auto loaded = engine::load_model(path, o);
  if (!loaded && loaded.error().code == "memory.over_budget" && o.ram_bytes < limit) {
    if (serve.draft.method != "auto") return fail(beside_draft(loaded.error(), choice.room_bytes));
    draft.method = "ngram";
    o.ram_bytes = limit;
    loaded = engine::load_model(path, o);
  }
  if (loaded && limit > 0) WATRA_TRY(loaded->budget->set_limit(limit));
  if (loaded) warn_of_unused_disks(*loaded);
  return loaded;
}

std::vector<server::ShelfEntry> shelf_entries(const fs::path& home) {
  std::vector<server::ShelfEntry> out;
  const auto models = hub::Shelf(home).list();
  if (!models) return out;
  for (const auto& m : *models)
    if (m.parts_missing == 0) out.push_back({m.name, m.path, m.bytes});
  return out;
}

// A model on the shelf goes by its name there, another by its file's.
std::string id_of(const fs::path& path, const std::vector<server::ShelfEntry>& shelf) {
  std::error_code ec;
  for (const auto& e : shelf)
    if (fs::equivalent(e.path, path, ec)) return e.id;
  return path.stem().string();
}

}  // namespace

Status serve(const Globals& g, const ServeOptions& o) {
  outlive_closed_pipes();
  WATRA_ASSIGN(const fs::path home, home_folder(g.home));
  std::unique_ptr<ServedHouse> house_of_page;
  const auto shelf = [&] {
    if (house_of_page) return house_of_page->shelf();
    return o.list_shelf ? shelf_entries(home) : std::vector<server::ShelfEntry>();
  };
  std::string path;
  if (!o.model.empty()) {
    WATRA_ASSIGN(path, resolve_model(g, o.model));
  }
  server::ServerOptions options;
  options.door = {.host = o.host,
                  .allow_hosts = o.allow_hosts,
                  .cors_origins = o.cors_origins,
                  .token_file = o.token_file.empty() ? home / "token" : fs::path(o.token_file),
                  .token = o.token,
                  .more_tokens = o.more_tokens,
                  .lan = o.lan,
                  .has_password = o.page && home_has_password(home),
                  .tls = !o.tls.empty(),
                  .key_alone = o.one_model,
                  .no_auth = o.no_auth};
  if (o.lan && server::is_loopback(o.host)) options.door.host = "0.0.0.0";
  if (o.tls.size() == 2) options.tls_certificate = o.tls[0], options.tls_key = o.tls[1];
  if (o.ollama_port >= 0) options.programs_port = static_cast<uint16_t>(o.ollama_port);
  WATRA_TRY(server::Door::create(options.door));  // refuses before a home is made
  if (o.page) {
    WATRA_ASSIGN(house_of_page, ServedHouse::open(g, o, home));
    options.entrance = &house_of_page->entrance();
  }
  options.port = static_cast<uint16_t>(o.port);
  options.threads = o.http_threads;
  options.path_prefix = o.path_prefix;
  server::ModelFiles files(home);
  // What drafts for the model that is loaded now; two are never loaded side by side.
  const auto draft = std::make_shared<DraftOptions>(o.draft);
  server::ModelRoom room(
      {.load =
           [&, draft](const fs::path& file, server::LoadWish wish, const server::ModelRoom::Progress& progress,
                      const server::ModelRoom::Cancelled& cancelled) {
             if (house_of_page && wish.n_ctx == 0 && g.ctx == 0) wish.n_ctx = house_of_page->wished_context();
             return load_model(g, o, file, wish, progress, cancelled, *draft);
           },
       .shelf = shelf,
       .n_parallel = o.n_parallel,
       .load_on_request = true,
       .one_for_all_names = o.one_model,
       .schedule =
           [&g, &o, draft](const engine::LoadedModel& model, const server::ModelRoom::Cancelled& cancelled) {
             return make_scheduling(g, *draft, model, o.n_parallel, cancelled);
           },
       .manner = o.manner,
       .changed =
           [&] {
             if (house_of_page) house_of_page->room_changed();
           }});
  WATRA_ASSIGN(auto server, server::Server::create(options));
  // However this ends: first nobody asks any more, then what runs ends, then the model goes.
  const struct End {
    server::Server& server;
    ServedHouse* house;
    server::ModelRoom& room;
    ~End() {
      server.stop();
      server.wait();
      if (house) house->close();
      room.close();
    }
  } end{*server, house_of_page.get(), room};
  server::House house{room, options.limits, server->slow(), files, o.tells_slots};
  server::add_inference(server->router(), house);
  if (o.ollama_port >= 0) server::add_inference_for_programs(server->programs_router(), house);
  if (house_of_page) {
    WATRA_TRY(house_of_page->add(*server, room, options.limits));
  }
  server->on_stop([&room] { room.end_loading(); });  // nobody waits for a model that nobody will ask
  WATRA_TRY(server->start());                        // /health tells how far loading is
  if (!path.empty()) {
    const std::string id = !o.alias.empty() ? o.alias : id_of(path, shelf());
    // In the line of what requests wish for meanwhile: two models are never loaded side by side.
    const Status loaded = room.load_and_wait({id, path, 0, o.aliases}, {}, nullptr, {});
    if (!loaded && loaded.error().code == "server.stopping") return {};  // it was told to end, while it loaded
    if (!loaded) return loaded;
  }
  fmt::print("listening on {}\n", server->url());
  std::fflush(stdout);
  // Programs that start llama-server as a child wait for these words among what it logs.
  if (o.one_model && g.verbosity >= 0) fmt::print(stderr, "server is listening on {}\n", server->url());
  if (house_of_page && path.empty()) house_of_page->load_default_model();
  if (house_of_page) house_of_page->show_the_way(*server);
  server->wait();
  return {};
}

void add_serve(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<ServeOptions>();
  const auto positional = std::make_shared<std::string>();
  auto* c = app.add_subcommand("serve", "Serve a model over HTTP (OpenAI, Anthropic, Ollama and llama.cpp APIs)");
  auto* named = c->add_option("--model", o->model, "The same");
  auto* given =
      c->add_option("MODEL", *positional, "Model file or name; without it a request may name one on the shelf");
  c->add_option("--alias", o->alias, "What the model is called in answers");
  c->add_option("--host", o->host, "Address to listen on")->capture_default_str();
  c->add_option("--port", o->port, "Port; 0 = any that is free")->check(CLI::Range(0, 65535))->capture_default_str();
  c->add_option("--parallel", o->n_parallel, "Answers written at the same time; more wait")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  add_draft_options(*c, o->draft);
  c->add_flag("--endless", o->manner.endless,
              "Where its context is full an answer forgets an earlier part of the text and goes on, instead of ending "
              "there; requests may say otherwise (context_shift)");
  c->add_flag("--open", o->open, "Open the page in the browser");
  c->add_flag("--lan", o->lan, "Let other machines in (needs a password: watra password)");
  c->add_option("--tls", o->tls, "Encrypt with your own certificate: CERTIFICATE KEY (PEM)")->expected(2);
  c->add_option("--ollama-port", o->ollama_port,
                "A second port on loopback for programs that speak Ollama's API, without the token (11434)")
      ->check(CLI::Range(0, 65535));
  c->add_option("--allow-host", o->allow_hosts, "A further name this server answers to (repeatable)")
      ->allow_extra_args(false);
  c->add_option("--cors-origin", o->cors_origins, "A web page's origin that may read answers (repeatable)")
      ->allow_extra_args(false);
  c->add_option("--token-file", o->token_file, "Where the token is kept (default: token in Watra's home)");
  c->add_flag("--no-auth-for-tests", o->no_auth, "No token; on loopback only");
  o->page = true;
  c->callback([&g, &chosen, o, positional, named, given] {
    const bool are_two = named->count() > 0 && given->count() > 0 && *positional != o->model;
    chosen = [&g, o, positional, are_two]() -> Status {
      if (are_two)
        return fail("usage.model",
                    fmt::format("one model is served at first, found two: {} and --model {}", *positional, o->model),
                    "one of them; a request may name any other on the shelf");
      if (!positional->empty()) o->model = *positional;
      return serve(g, *o);
    };
  });
}

}  // namespace watra::apps
