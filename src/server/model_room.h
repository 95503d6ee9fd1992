// ModelRoom: which model is loaded, which lie on the shelf, and the change from one to another.
//
// One model is loaded at a time. A request that names another one from the shelf has it loaded: the answers under way
// finish first, requests for it wait meanwhile. Loading happens on a thread of the room's own, which begins with the
// first wish. Any thread may call.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/exchange.h"
#include "server/served_model.h"

namespace watra::server {

enum class RoomState : uint8_t { empty, loading, ready, error };
std::string_view room_state_name(RoomState state);

struct ShelfEntry {
  std::string id;
  fs::path path;
  uint64_t bytes = 0;
  std::vector<std::string> aliases = {};  // further names a request may use, beside its file's
};

// How a model shall be loaded where that differs from the command line's; 0 and "" leave it.
struct LoadWish {
  int64_t n_ctx = 0;
  std::string kv_type;  // "f16", "q8_0", "q4_0"
  bool operator==(const LoadWish&) const = default;
};

class ModelRoom {
 public:
  using Progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;
  using Cancelled = std::function<bool()>;  // asked by any thread while a model is loaded: true when nobody wants it
  struct Options {
    std::function<Result<engine::LoadedModel>(const fs::path&, const LoadWish&, Progress, Cancelled)> load;
    std::function<std::vector<ShelfEntry>()> shelf;  // looked at anew each time
    int64_t n_parallel = 1;
    bool load_on_request = true;
    bool one_for_all_names = false;  // whatever a request names means the loaded one
    // How a model that was just loaded is to answer (drafts, for example); n_parallel stands in any case. May be null.
    std::function<Result<engine::SchedulerOptions>(const engine::LoadedModel&, Cancelled)> schedule;
    Manner manner{};
    std::function<void()> changed;  // after each change of view(), by the thread that made it, without a lock
  };
  explicit ModelRoom(Options options);
  ~ModelRoom();

  // The first model, on the caller's thread.
  Status load(const ShelfEntry& entry, const LoadWish& wish = {});

  // Has a model loaded, or the loaded one put away, and waits for it: for threads that may wait, as those of jobs.
  // Answers under way finish first. Asked for as it is loaded already: at once. `progress` comes from another thread.
  // Errors: those of loading; "load.cancelled" when `cancelled` says so before it begins (what has begun goes on);
  // "server.stopping"; "system.no_thread".
  Status load_and_wait(const ShelfEntry& entry, const LoadWish& wish, const Progress& progress,
                       const std::function<bool()>& cancelled);
  Status unload_and_wait(const std::function<bool()>& cancelled);
  // As load_and_wait(), for who need not see it through: when `leaves` says so, what has begun goes on without them
  // ("load.cancelled").
  Status load_and_wait_or_leave(const ShelfEntry& entry, const std::function<bool()>& leaves);

  struct View {
    RoomState state = RoomState::empty;
    std::string id;       // loaded or being loaded
    double progress = 0;  // while loading
    uint64_t done_bytes = 0, total_bytes = 0;
    std::string error, error_code;
  };
  View view() const;
  std::shared_ptr<ServedModel> current() const;  // null unless ready
  engine::SchedulerStats totals() const;         // of every model since the start (model_totals.h)
  std::vector<ShelfEntry> shelf() const { return options_.shelf ? options_.shelf() : std::vector<ShelfEntry>(); }

  // What a request names, without loading it: the loaded one ("" means it) or one of the shelf. Throws ApiError, 404.
  ShelfEntry look_up(const std::string& name) const;
  // The same for a model at hand, which may have been put away meanwhile.
  ShelfEntry entry_of(const ServedModel& model) const;

  // The model a request names; "" means the loaded one. Waits while it is loaded. Throws ApiError: 404 unknown, 503
  // while the first model is loaded, when loading failed, or when the server stops.
  Awaitable<std::shared_ptr<ServedModel>> acquire(const Exchange& exchange, std::string name);

  // Nothing is loaded afterwards: what is being loaded is given up, and who waits for it is told "server.stopping". The
  // loaded model stays.
  void end_loading();
  // The same, and ends what runs: requests finish with an error.
  void close();

 private:
  struct Impl;
  // The shelf, and the model loaded last, which need not lie on it.
  std::vector<ShelfEntry> loadable() const;
  void serve_wishes();    // on the room's own thread
  Status begin_thread();  // if it has none yet; with the lock
  Status change_to(const ShelfEntry& entry, const LoadWish& wish);
  struct Waiting {
    Progress progress;                // may be null, as the other
    std::function<bool()> cancelled;  // the wish, as long as nobody has begun with it
    bool may_leave = false;           // afterwards too
  };
  Status await_change(const ShelfEntry& entry, const LoadWish& wish, const Waiting& waiting);
  void tell() const;

  Options options_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::server
