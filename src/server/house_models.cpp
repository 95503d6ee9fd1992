#include "server/house_models.h"

#include <algorithm>

#include "base/memory.h"
#include "hub/hub_reference.h"
#include "hub/shelf.h"
#include "hub/url.h"
#include "server/house_fields.h"

namespace watra::server {
namespace {

constexpr int64_t kLeastContext = 256, kMostContext = 1 << 20;

ShelfModel need(const ModelShelf& shelf, const std::string& id) {
  auto found = shelf.find(id);
  if (!found) throw unknown("model", id);
  return std::move(*found);
}

std::string kv_type_of(const std::optional<std::string>& text) {
  if (!text) return {};
  if (*text != "f16" && *text != "q8_0" && *text != "q4_0") throw request_invalid("kv_type", "f16, q8_0 or q4_0");
  return *text;
}

home::Job start_load(ShelfWork& work, const ShelfModel& m, const LoadWish& wish) {
  if (m.path.empty() || m.parts_missing > 0)
    throw in_the_way("model.absent", fmt::format("{} is not here as a whole", m.id), "download it first");
  if (const auto running = work.house.jobs.under_way("load", m.id)) return *running;
  if (const auto refusal = work.shelf.why_no_room(m, wish))
    throw in_the_way("engine.no_room", refusal->message, refusal->hint);
  ModelRoom& room = work.house.room;
  ModelShelf& shelf = work.shelf;
  return house_value(work.house.jobs.start_once(
                         {.kind = "load",
                          .title = m.id,
                          .subject = m.id,
                          .total_bytes = m.bytes,
                          .work = [&room, entry = ShelfEntry{m.id, m.path, m.bytes},
                                   wish](home::JobControl& job) -> Result<Json> {
                            WATRA_TRY(room.load_and_wait(
                                entry, wish, [&](uint64_t done, uint64_t total) { job.progress(done, total); },
                                [&] { return job.cancelled(); }));
                            return Json(nullptr);
                          },
                          .ended = [&shelf, id = m.id](const home::Job&) { shelf.tell(id); }}))
      .job;
}

home::Job start_unload(ShelfWork& work, const ShelfModel& m) {
  ModelRoom& room = work.house.room;
  return house_value(work.house.jobs.start_once({.kind = "unload",
                                                 .title = m.id,
                                                 .subject = m.id,
                                                 .total_bytes = m.bytes,
                                                 .work = [&room, id = m.id](home::JobControl& job) -> Result<Json> {
                                                   const ModelRoom::View view = room.view();
                                                   if (view.id != id || view.state == RoomState::empty)
                                                     return Json(nullptr);
                                                   WATRA_TRY(room.unload_and_wait([&] { return job.cancelled(); }));
                                                   return Json(nullptr);
                                                 },
                                                 .ended = {}}))
      .job;
}

void remove_model(ShelfWork& work, const ShelfModel& m) {
  const ModelRoom::View view = work.house.room.view();
  if (view.id == m.id && (view.state == RoomState::ready || view.state == RoomState::loading))
    throw in_the_way("model.busy", fmt::format("{} is loaded", m.id), "unload it first");
  if (work.house.jobs.under_way("download", m.id))
    throw in_the_way("model.busy", fmt::format("{} is being downloaded", m.id), "cancel that first");
  if (!work.shelf.removable(m))
    throw in_the_way("model.not_ours", fmt::format("Watra did not download {}", m.id),
                     "files that other programs or you put there are yours to remove");
  house_value(hub::Shelf(work.house.home.folder()).remove(m.shelf_name));
  work.shelf.tell(m.id);
}

Json add_folder(ShelfWork& work, const std::string& path) {
  std::string text = path;
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  const fs::path folder(text);
  if (!folder.is_absolute()) throw request_invalid("path", "the whole path of a folder");
  const auto models = hub::models_in_folder(folder);
  if (!models) {
    ApiError error = request_invalid("path", "a folder of this machine that can be read");
    error.message = models.error().message;
    throw error;
  }
  const home::Folder added = house_value(work.shelf.notes().add_folder(folder));
  work.shelf.look_again();
  Json reply = work.shelf.folder_json(added);
  for (const ShelfModel& m : work.shelf.models())
    if (m.origin == ShelfModel::Origin::folder &&
        std::ranges::any_of(*models, [&](const auto& found) { return found.path == m.path; }))
      work.shelf.tell(m.id);
  return reply;
}

void forget_folder(ShelfWork& work, const std::string& id) {
  std::vector<std::string> before;
  for (const ShelfModel& m : work.shelf.models()) before.push_back(m.id);
  house_value(work.shelf.notes().forget_folder(id));
  work.shelf.look_again();
  for (const std::string& model : before)
    if (!work.shelf.find(model)) work.shelf.tell(model);
}

Json suggestions(ShelfWork& work) {
  const auto added = house_value(work.shelf.notes().folders());
  Json list = Json::array();
  for (const auto& place : hub::folders_of_other_programs()) {
    std::error_code ec;
    if (std::ranges::any_of(added, [&](const auto& f) { return fs::equivalent(f.path, place.path, ec); })) continue;
    const auto models = hub::models_in_folder(place.path);
    if (!models || models->empty()) continue;
    uint64_t bytes = 0;
    for (const auto& m : *models) bytes += m.bytes;
    list.push_back(
        {{"path", place.path.string()}, {"program", place.program}, {"n_models", models->size()}, {"bytes", bytes}});
  }
  return {{"suggestions", std::move(list)}};
}

Json jobs_json(ShelfWork& work) {
  const int64_t as_of = house_value(work.house.home.events().newest());
  Json list = Json::array();
  for (const home::Job& job : house_value(work.house.jobs.list())) list.push_back(job.json());
  return {{"jobs", std::move(list)}, {"as_of", as_of}};
}

}  // namespace

home::Jobs::Begun start_download(ShelfWork& work, const std::string& name) {
  const hub::CatalogEntry* entry = hub::find_in_catalog(name);
  std::string id = entry ? entry->name : "";
  if (!entry) {
    std::string file;
    if (name.starts_with("hf:")) {
      if (const auto reference = hub::parse_hub_reference(name)) file = reference->file;
    } else if (name.starts_with("https://")) {
      if (const auto url = hub::parse_url(name)) file = hub::percent_decode(url->path());
    }
    if (!hub::to_lower(file).ends_with(".gguf")) {
      ApiError error = unknown("model", name);
      error.param = "name";
      error.more = {{"hint", "a name of the catalog, hf:org/repo/file.gguf, or https://....gguf"}};
      throw error;
    }
    // As it will be called on the shelf.
    const auto split = hub::parse_split_name(file);
    id = shelf_id(split ? split->stem : file.substr(0, file.size() - std::string_view(".gguf").size()));
  }
  if (const auto running = work.house.jobs.under_way("download", id)) return {*running, false};
  const uint64_t total = entry ? entry->bytes : 0;
  std::error_code ec;
  const hub::Shelf own(work.house.home.folder());
  const uint64_t here = entry ? fs::file_size(own.part_path(entry->file_name), ec) : 0;
  const uint64_t left = total - (ec ? 0 : std::min(total, here));
  if (total > 0 && !fs::exists(own.folder() / entry->file_name, ec)) {
    const uint64_t free_bytes = free_space_bytes(work.house.home.folder()).value_or(UINT64_MAX);
    if (free_bytes < left)
      throw in_the_way(
          "disk.full",
          fmt::format("{} needs {} more on this disk, {} are free", id, format_bytes(left), format_bytes(free_bytes)),
          fmt::format("needs {} bytes, has {}", left, free_bytes));
  }
  ModelShelf& shelf = work.shelf;
  home::Jobs::Begun begun = house_value(work.house.jobs.start_once(
      {.kind = "download",
       .title = entry ? entry->name : fs::path(id).string(),
       .subject = id,
       .total_bytes = total,
       .work = [name = entry ? entry->name : name, folder = work.house.home.folder(),
                settings = work.pull](home::JobControl& control) mutable -> Result<Json> {
         settings.watch.progress = [&](std::string_view, uint64_t done, uint64_t whole) {
           control.progress(done, whole);
         };
         settings.watch.cancelled = [&] { return control.cancelled(); };
         settings.download.http.public_only = name.find("://") != std::string::npos;
         auto pulled = hub::pull(hub::Shelf(folder), name, settings);
         if (!pulled) {
           Error e = pulled.error();
           if (e.code == "hub.no_space") e.code = "disk.full";
           return fail(std::move(e));
         }
         return Json{{"path", pulled->files.empty() ? "" : pulled->files.front().path.string()},
                     {"bytes", pulled->bytes()}};
       },
       .ended = [&shelf, id](const home::Job&) { shelf.tell(id); }}));
  work.house.slow.post([&shelf, id] { shelf.tell(id); });  // "downloading"
  return begun;
}

void add_house_models(Router& router, ShelfWork& work) {
  const auto add = [&](const char* method, const char* path, Handler handler) {
    router.add(house_route(method, path, std::move(handler)));
  };
  add("GET", "/models", [&work](Exchange& x) -> Awaitable<void> {
    const auto look = [&work] {
      const int64_t as_of = house_value(work.house.home.events().newest());
      Json models = work.shelf.list();
      return Json{{"models", std::move(models)}, {"folders", work.shelf.folders()}, {"as_of", as_of}};
    };
    Json reply = co_await work.house.slow.run(look);
    co_await x.reply_json(std::move(reply));
  });
  add("GET", "/models/{id}/estimate", [&work](Exchange& x) -> Awaitable<void> {
    const int64_t n_ctx = query_integer(x, "n_ctx", kLeastContext, kMostContext).value_or(0);
    const std::string kv_type = kv_type_of(query_text(x, "kv_type"));
    const auto plan = [&work, id = x.params["id"], n_ctx, kv_type] {
      return work.shelf.estimate(need(work.shelf, id), n_ctx, kv_type, true);
    };
    Json reply = co_await work.house.slow.run(plan);
    if (reply.is_null())
      throw in_the_way("machine.not_measured", "nobody measured this machine yet, or this model is not known",
                       "POST /watra/v1/machine/measure");
    co_await x.reply_json(std::move(reply));
  });
  add("POST", "/models/{id}/load", [&work](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const Fields f(body);
    const LoadWish wish{f.integer("n_ctx", kLeastContext, kMostContext).value_or(0), kv_type_of(f.text("kv_type"))};
    const auto load = [&work, id = x.params["id"], wish] {
      const home::Job job = start_load(work, need(work.shelf, id), wish);
      work.shelf.tell(id);
      return job.json();
    };
    Json reply = co_await work.house.slow.run(load);
    co_await x.reply_json(std::move(reply), 202);
  });
  add("POST", "/models/{id}/unload", [&work](Exchange& x) -> Awaitable<void> {
    const auto unload = [&work, id = x.params["id"]] { return start_unload(work, need(work.shelf, id)).json(); };
    Json reply = co_await work.house.slow.run(unload);
    co_await x.reply_json(std::move(reply), 202);
  });
  add("DELETE", "/models/{id}", [&work](Exchange& x) -> Awaitable<void> {
    const auto remove = [&work, id = x.params["id"]] { remove_model(work, need(work.shelf, id)); };
    co_await work.house.slow.run(remove);
    co_await x.reply(204, "", "");
  });
  add("POST", "/downloads", [&work](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const std::string name = Fields(body).required_text("name");
    if (name.empty() || name.size() > 2000) throw request_invalid("name", "1..2000 characters");
    const auto download = [&work, name] { return start_download(work, name).job.json(); };
    Json reply = co_await work.house.slow.run(download);
    co_await x.reply_json(std::move(reply), 202);
  });
  add("GET", "/folders/suggestions", [&work](Exchange& x) -> Awaitable<void> {
    const auto look = [&work] { return suggestions(work); };
    Json reply = co_await work.house.slow.run(look);
    co_await x.reply_json(std::move(reply));
  });
  add("POST", "/folders", [&work](Exchange& x) -> Awaitable<void> {
    const Json body = x.json();
    const std::string path = Fields(body).required_text("path");
    if (path.empty() || path.size() > 4096) throw request_invalid("path", "the whole path of a folder");
    const auto look = [&work, path] { return add_folder(work, path); };
    Json reply = co_await work.house.slow.run(look);
    co_await x.reply_json(std::move(reply), 201);
  });
  add("DELETE", "/folders/{id}", [&work](Exchange& x) -> Awaitable<void> {
    const auto forget = [&work, id = x.params["id"]] { forget_folder(work, id); };
    co_await work.house.slow.run(forget);
    co_await x.reply(204, "", "");
  });
  add("GET", "/jobs", [&work](Exchange& x) -> Awaitable<void> { co_await x.reply_json(jobs_json(work)); });
  add("POST", "/jobs/{id}/cancel", [&work](Exchange& x) -> Awaitable<void> {
    Json reply = house_value(work.house.jobs.cancel(x.params["id"])).json();
    co_await x.reply_json(std::move(reply), 202);
  });
}

}  // namespace watra::server
