#include "server/model_room.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.h"

namespace watra::server {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(20);  // at a model that is being loaded

std::vector<std::string> other_names(const fs::path& path) { return {path.stem().string(), path.filename().string()}; }

bool is_named(const ShelfEntry& entry, std::string_view name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  const auto names = other_names(entry.path);
  return name == entry.id || std::ranges::find(names, name) != names.end();
}

ApiError unknown_model(const std::string& name) {
  return {.status = 404,
          .code = "model_not_found",
          .message = fmt::format("the model '{}' is neither loaded nor on the shelf; /v1/models lists them", name),
          .param = "model"};
}

}  // namespace

std::string_view room_state_name(RoomState state) {
  constexpr std::string_view kNames[] = {"empty", "loading", "ready", "error"};
  return kNames[static_cast<size_t>(state)];
}

struct ModelRoom::Impl {
  mutable std::mutex mutex;
  std::condition_variable wanted;
  std::shared_ptr<ServedModel> current;
  View view;
  std::deque<ShelfEntry> queue;  // to be loaded
  bool closing = false;
  std::thread thread;

  void failed(const Error& e) {
    const std::lock_guard lock(mutex);
    view.state = RoomState::error;
    view.error = e.message;
  }
};

ModelRoom::ModelRoom(Options options) : options_(std::move(options)), impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([this] {
    for (;;) {
      ShelfEntry next;
      std::weak_ptr<ServedModel> old;
      {
        std::unique_lock lock(impl_->mutex);
        impl_->wanted.wait(lock, [&] { return impl_->closing || !impl_->queue.empty(); });
        if (impl_->closing) return;
        next = impl_->queue.front();
        impl_->queue.pop_front();
        if (impl_->current && impl_->current->id() == next.id) continue;
        impl_->view = {.state = RoomState::loading, .id = next.id, .progress = 0, .error = {}};
        old = impl_->current;
        impl_->current.reset();
      }
      // Two models do not fit as a rule: the answers of the old one finish first.
      while (!old.expired()) {
        std::this_thread::sleep_for(kLookEvery);
        const std::lock_guard lock(impl_->mutex);
        if (impl_->closing) return;
      }
      if (const Status done = load(next.path, next.id); !done)
        log::error("{} could not be loaded: {}", next.id, done.error().message);
    }
  });
}

ModelRoom::~ModelRoom() {
  close();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void ModelRoom::close() {
  std::shared_ptr<ServedModel> last;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
    last = std::move(impl_->current);
    impl_->view = {};
  }
  impl_->wanted.notify_all();
}

Status ModelRoom::load(const fs::path& path, const std::string& id) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->view = {.state = RoomState::loading, .id = id, .progress = 0, .error = {}};
  }
  const auto progress = [this](uint64_t done, uint64_t total) {
    const std::lock_guard lock(impl_->mutex);
    impl_->view.progress = total ? static_cast<double>(done) / static_cast<double>(total) : 0;
  };
  auto loaded = options_.load(path, progress);
  if (!loaded) return impl_->failed(loaded.error()), fail(loaded.error());
  Result<engine::SchedulerOptions> schedule =
      options_.schedule ? options_.schedule(*loaded) : engine::SchedulerOptions();
  if (!schedule) return impl_->failed(schedule.error()), fail(schedule.error());
  schedule->max_batch = options_.n_parallel;
  auto served = ServedModel::create(std::move(*loaded), {.id = id, .aliases = other_names(path), .path = path},
                                    std::move(*schedule));
  if (!served) return impl_->failed(served.error()), fail(served.error());
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closing) return fail("server.stopping", "the server is stopping");
  impl_->current = std::move(*served);
  impl_->view = {.state = RoomState::ready, .id = id, .progress = 1, .error = {}};
  return {};
}

ModelRoom::View ModelRoom::view() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->view;
}

std::shared_ptr<ServedModel> ModelRoom::current() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->current;
}

Awaitable<std::shared_ptr<ServedModel>> ModelRoom::acquire(const Exchange& exchange, std::string name) {
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
                     .message = now.error.empty() ? "no model is loaded; name one of /v1/models" : now.error,
                     .param = "model"};
  }
  const auto entries = shelf();
  const auto entry = std::ranges::find_if(entries, [&](const ShelfEntry& e) { return is_named(e, name); });
  if (entry == entries.end() || !options_.load_on_request) throw unknown_model(name);
  const std::string id = entry->id;
  {
    const std::lock_guard lock(impl_->mutex);
    const bool under_way = impl_->view.state == RoomState::loading && impl_->view.id == id;
    const bool queued = std::ranges::any_of(impl_->queue, [&](const ShelfEntry& e) { return e.id == id; });
    if (!under_way && !queued) impl_->queue.push_back(*entry);
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
    const bool queued = std::ranges::any_of(impl_->queue, [&](const ShelfEntry& e) { return e.id == id; });
    if (impl_->closing || (!queued && impl_->view.state != RoomState::loading && impl_->view.id != id))
      throw ApiError{.status = 503,
                     .code = "model_changed",
                     .message = "another model was asked for meanwhile",
                     .retry_after_s = 5};
  }
}

}  // namespace watra::server
