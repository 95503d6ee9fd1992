#include "server/model_room.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/thread_start.h"
#include "server/model_totals.h"
#include "server/request_check.h"

namespace watra::server {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(20);  // at a model that is being loaded

std::vector<std::string> other_names(const fs::path& path) { return {path.stem().string(), path.filename().string()}; }

bool is_named(const ShelfEntry& entry, std::string_view name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  const auto names = other_names(entry.path);
  return name == entry.id || std::ranges::find(names, name) != names.end() ||
         std::ranges::find(entry.aliases, name) != entry.aliases.end();
}

ApiError unknown_model(const std::string& name) {
  return {.status = 404,
          .code = "model_not_found",
          .message = fmt::format("the model '{}' is neither loaded nor on the shelf; /v1/models lists them", name),
          .param = "model"};
}

tl::unexpected<Error> stopping() { return fail("server.stopping", "the server is stopping"); }

}  // namespace

std::string_view room_state_name(RoomState state) {
  constexpr std::string_view kNames[] = {"empty", "loading", "ready", "error"};
  return kNames[static_cast<size_t>(state)];
}

struct ModelRoom::Impl {
  mutable std::mutex mutex;
  std::condition_variable wanted;
  const std::shared_ptr<ModelTotals> totals = std::make_shared<ModelTotals>();
  std::shared_ptr<ServedModel> current;
  View view;
  LoadWish as_loaded;  // what the current one was loaded with
  ShelfEntry last;     // that was loaded; without an id: none was
  struct Wanted {
    ShelfEntry entry;  // without an id: nothing shall be loaded
    LoadWish wish;
    uint64_t ticket = 0;
  };
  std::deque<Wanted> queue;
  std::string in_hand;                        // what the thread is changing to
  uint64_t next_ticket = 1, done_ticket = 0;  // done in order
  std::set<uint64_t> awaited;                 // tickets somebody waits for
  std::map<uint64_t, Error> failures;         // of these
  std::atomic<bool> closing{false};           // set with the lock
  std::thread thread;

  Wanted* waiting(const std::string& id) {
    const auto it = std::ranges::find_if(queue, [&](const Wanted& w) { return w.entry.id == id; });
    return it == queue.end() ? nullptr : &*it;
  }
};

ModelRoom::ModelRoom(Options options) : options_(std::move(options)), impl_(std::make_unique<Impl>()) {}

Status ModelRoom::begin_thread() {
  if (impl_->thread.joinable()) return {};
  WATRA_ASSIGN(impl_->thread, start_thread("loading models", [this] { serve_wishes(); }));
  return {};
}

void ModelRoom::serve_wishes() {
  for (;;) {
    Impl::Wanted next;
    {
      std::unique_lock lock(impl_->mutex);
      impl_->wanted.wait(lock, [&] { return impl_->closing || !impl_->queue.empty(); });
      if (impl_->closing) return;
      next = impl_->queue.front();
      impl_->queue.pop_front();
      impl_->in_hand = next.entry.id;
    }
    const Status done = change_to(next.entry, next.wish);
    bool is_told = false;
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->in_hand.clear();
      impl_->done_ticket = next.ticket;
      is_told = impl_->awaited.contains(next.ticket);
      if (!done && is_told) impl_->failures.insert_or_assign(next.ticket, done.error());
    }
    if (!done && !is_told && !impl_->closing)
      log::error("{} could not be loaded: {}", next.entry.id, done.error().message);
    impl_->wanted.notify_all();
  }
}

Status ModelRoom::change_to(const ShelfEntry& entry, const LoadWish& wish) {
  std::weak_ptr<ServedModel> old;
  {
    const std::lock_guard lock(impl_->mutex);
    const bool is_here = impl_->current && impl_->current->id() == entry.id;
    if (is_here && (wish == LoadWish{} || wish == impl_->as_loaded)) return {};
    if (entry.id.empty())
      impl_->view = {};
    else
      impl_->view = {.state = RoomState::loading, .id = entry.id, .total_bytes = entry.bytes};
    old = impl_->current;
    impl_->current.reset();
  }
  tell();
  // Two models do not fit as a rule: the answers of the old one finish first.
  while (!old.expired()) {
    std::this_thread::sleep_for(kLookEvery);
    if (impl_->closing) return stopping();
  }
  return entry.id.empty() ? Status() : load(entry, wish);
}

// Also on threads that compute, while they read weights: nothing may be thrown there.
void ModelRoom::tell() const {
  try {
    if (options_.changed) options_.changed();
  } catch (const std::exception& e) {
    log::warn("a change of the model room could not be told: {}", e.what());
  }
}

Status ModelRoom::await_change(const ShelfEntry& entry, const LoadWish& wish, const Waiting& waiting) {
  const auto& [progress, cancelled, may_leave] = waiting;
  std::unique_lock lock(impl_->mutex);
  if (impl_->closing) return stopping();
  WATRA_TRY(begin_thread());
  const uint64_t ticket = impl_->next_ticket++;
  impl_->queue.push_back({entry, wish, ticket});
  impl_->awaited.insert(ticket);
  impl_->wanted.notify_all();
  while (impl_->done_ticket < ticket) {
    impl_->wanted.wait_for(lock, kLookEvery * 5);
    if (impl_->closing) return stopping();
    if (impl_->done_ticket >= ticket) break;
    const auto it = std::ranges::find(impl_->queue, ticket, &Impl::Wanted::ticket);
    const bool has_begun = it == impl_->queue.end();
    if ((!has_begun || may_leave) && cancelled && cancelled()) {
      impl_->awaited.erase(ticket);
      if (has_begun) return fail("load.cancelled", "it goes on, and nobody waits for it here");
      impl_->queue.erase(it);
      return fail("load.cancelled", "it was not begun");
    }
    if (!progress || impl_->view.state != RoomState::loading || impl_->view.id != entry.id) continue;
    const uint64_t done = impl_->view.done_bytes, total = impl_->view.total_bytes;
    lock.unlock();
    progress(done, total);
    lock.lock();
  }
  impl_->awaited.erase(ticket);
  const auto failure = impl_->failures.extract(ticket);
  if (failure.empty()) return {};
  return fail(failure.mapped());
}

Status ModelRoom::load_and_wait(const ShelfEntry& entry, const LoadWish& wish, const Progress& progress,
                                const std::function<bool()>& cancelled) {
  return await_change(entry, wish, {progress, cancelled});
}

Status ModelRoom::unload_and_wait(const std::function<bool()>& cancelled) {
  return await_change({}, {}, {nullptr, cancelled});
}

Status ModelRoom::load_and_wait_or_leave(const ShelfEntry& entry, const std::function<bool()>& leaves) {
  return await_change(entry, {}, {nullptr, leaves, true});
}

ModelRoom::~ModelRoom() {
  close();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ModelRoom::end_loading() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
  }
  impl_->wanted.notify_all();
}

void ModelRoom::close() {
  end_loading();
  std::shared_ptr<ServedModel> last;
  const std::lock_guard lock(impl_->mutex);
  last.swap(impl_->current);
  impl_->view = {};
}

Status ModelRoom::load(const ShelfEntry& entry, const LoadWish& wish) {
  const std::string& id = entry.id;
  const fs::path& path = entry.path;
  const auto failed = [&](const Error& e) -> Status {
    if (impl_->closing) return stopping();
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->view.state = RoomState::error;
      impl_->view.error = e.message;
      impl_->view.error_code = e.code;
    }
    tell();
    return fail(e);
  };
  const Cancelled cancelled = [this] { return impl_->closing.load(); };
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->view = {.state = RoomState::loading, .id = id};
  }
  tell();
  const auto progress = [this](uint64_t done, uint64_t total) {
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->view.progress = total ? static_cast<double>(done) / static_cast<double>(total) : 0;
      impl_->view.done_bytes = done;
      impl_->view.total_bytes = total;
    }
    tell();
  };
  const auto serve = [&]() -> Result<std::shared_ptr<ServedModel>> {
    WATRA_ASSIGN(engine::LoadedModel loaded, options_.load(path, wish, progress, cancelled));
    engine::SchedulerOptions schedule;
    if (options_.schedule) {
      WATRA_ASSIGN(schedule, options_.schedule(loaded, cancelled));
    }
    schedule.max_batch = options_.n_parallel;
    auto names = other_names(path);
    names.insert(names.end(), entry.aliases.begin(), entry.aliases.end());
    WATRA_ASSIGN(auto model,
                 ServedModel::create(std::move(loaded), {.id = id, .aliases = std::move(names), .path = path},
                                     std::move(schedule), options_.manner));
    return ModelTotals::counted(impl_->totals, std::move(model));
  };
  const auto serve_or_say = [&]() -> Result<std::shared_ptr<ServedModel>> {
    try {
      return serve();
    } catch (const std::bad_alloc&) {
      return fail("memory.refused", fmt::format("there is no memory to load {}", id),
                  "close other programs, or choose a smaller model");
    } catch (const std::exception& e) {
      return fail("model.not_loaded", fmt::format("{} could not be loaded: {}", id, e.what()));
    }
  };
  auto served = serve_or_say();
  if (!served) return failed(served.error());
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closing) return stopping();
    impl_->current = std::move(*served);
    impl_->as_loaded = wish;
    impl_->last = entry;
    impl_->view = {.state = RoomState::ready, .id = id, .progress = 1};
  }
  tell();
  return {};
}

ModelRoom::View ModelRoom::view() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->view;
}

engine::SchedulerStats ModelRoom::totals() const { return impl_->totals->sum(); }

std::shared_ptr<ServedModel> ModelRoom::current() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->current;
}

ShelfEntry ModelRoom::entry_of(const ServedModel& model) const {
  const auto entries = shelf();
  const auto& names = model.names();
  const auto it = std::ranges::find(entries, names.path, &ShelfEntry::path);
  std::error_code ec;
  return it != entries.end() ? *it : ShelfEntry{names.id, names.path, fs::file_size(names.path, ec)};
}

std::vector<ShelfEntry> ModelRoom::loadable() const {
  auto entries = shelf();
  const std::lock_guard lock(impl_->mutex);
  const ShelfEntry& last = impl_->last;
  if (!last.id.empty() && std::ranges::find(entries, last.id, &ShelfEntry::id) == entries.end())
    entries.push_back(last);
  return entries;
}

ShelfEntry ModelRoom::look_up(const std::string& name) const {
  const auto loaded = current();
  if (loaded && (options_.one_for_all_names || name.empty() || loaded->answers_to(name))) return entry_of(*loaded);
  const auto entries = loadable();
  const auto it = std::ranges::find_if(entries, [&](const ShelfEntry& e) { return is_named(e, name); });
  if (it == entries.end()) throw unknown_model(name);
  return *it;
}

Awaitable<std::shared_ptr<ServedModel>> ModelRoom::acquire(const Exchange& exchange, std::string name) {
  if (options_.one_for_all_names) {  // the only one, also when it was put away
    name.clear();
    const std::lock_guard lock(impl_->mutex);
    if (impl_->view.state == RoomState::empty) name = impl_->last.id;
  }
  if (auto model = current(); model && (name.empty() || model->answers_to(name))) co_return model;
  const View now = view();
  if (name.empty() || (now.state == RoomState::loading && now.id == name)) {
    if (now.state == RoomState::loading && name.empty())
      throw ApiError{.status = 503,
                     .code = "model_loading",
                     .message = fmt::format("the model is being loaded ({:.0f} %)", 100 * now.progress),
                     .retry_after_s = 2};
    if (now.state != RoomState::loading)
      throw ApiError{.status = 404,
                     .code = "model_not_found",
                     .message = !now.error.empty() ? now.error
                                                   : "no model is loaded, and the request names none: send \"model\" "
                                                     "with a name of /v1/models, and it is loaded",
                     .param = "model"};
  }
  const auto entries = loadable();
  const auto entry = std::ranges::find_if(entries, [&](const ShelfEntry& e) { return is_named(e, name); });
  if (entry == entries.end() || !options_.load_on_request) throw unknown_model(name);
  const std::string id = entry->id;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closing) throw server_stopping();
    if (const Status begun = begin_thread(); !begun)
      throw ApiError{.status = 503,
                     .code = begun.error().code,
                     .message = begun.error().message,
                     .more = {{"hint", begun.error().hint}},
                     .retry_after_s = 5};
    const bool under_way = impl_->in_hand == id || (impl_->view.state == RoomState::loading && impl_->view.id == id);
    if (!under_way && !impl_->waiting(id)) impl_->queue.push_back({*entry, {}, impl_->next_ticket++});
  }
  impl_->wanted.notify_all();
  for (;;) {
    asio::steady_timer pause(exchange.executor(), kLookEvery);
    co_await pause.async_wait(asio::use_awaitable);
    if (auto model = current(); model && model->id() == id) co_return model;
    const View then = view();
    if (then.state == RoomState::error && then.id == id)
      throw ApiError{.status = 503, .code = "model_not_loaded", .message = then.error};
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closing || (!impl_->waiting(id) && impl_->in_hand != id && impl_->view.state != RoomState::loading &&
                           impl_->view.id != id))
      throw ApiError{.status = 503,
                     .code = "model_changed",
                     .message = "another model was asked for meanwhile",
                     .retry_after_s = 5};
  }
}

}  // namespace watra::server
