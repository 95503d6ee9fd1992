// POST /api/pull, as Ollama's clients ask: through the same jobs as the page.
#include <boost/asio/steady_timer.hpp>

#include "server/house_fields.h"
#include "server/house_models.h"
#include "server/sse.h"

namespace watra::server {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(250);

std::string model_field(const Json& body) {
  const Fields f(body);
  std::string name = f.text("model").value_or(f.text("name").value_or(""));
  if (name.empty()) throw bad_field("model", "a model is needed");
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  return name;
}

std::string line_of(std::string_view status) {
  const Json line = {{"status", status}};
  return dump(line) + "\n";
}

std::string line_of(const home::Job& job) {
  Json status = {{"status", "pulling " + job.title}, {"digest", job.title}};
  if (job.total_bytes > 0) {
    status["total"] = job.total_bytes;
    status["completed"] = job.done_bytes;
  }
  return dump(status) + "\n";
}

// Leaving ends what this request began, not what others did; what is there is kept, and the next pull goes on from it.
struct CancelOnLeaving {
  home::Jobs& jobs;
  std::string id;
  ~CancelOnLeaving() {
    if (!id.empty()) (void)jobs.cancel(id);
  }
};

Awaitable<void> pull(Exchange& x, ShelfWork& work) {
  const Json body = x.json();
  const std::string name = model_field(body);
  const bool streams = Fields(body).boolean("stream").value_or(true);
  const auto download = [&work, name] { return start_download(work, name); };
  home::Jobs::Begun begun = co_await work.house.slow.run(download);
  home::Job job = std::move(begun.job);
  CancelOnLeaving leaving{work.house.jobs, begun.fresh ? job.id : std::string()};
  if (streams) {
    co_await x.begin_stream("application/x-ndjson");
    co_await x.write(line_of("pulling manifest"));
  }
  int64_t told = -1;
  while (!job.is_over()) {
    asio::steady_timer pause(x.executor(), kLookEvery);
    co_await pause.async_wait(asio::use_awaitable);
    job = house_value(work.house.jobs.find(job.id));
    if (streams && !job.is_over() && job.done_bytes != told) {
      told = job.done_bytes;
      co_await x.write(line_of(job));
    }
  }
  leaving.id.clear();
  if (job.state != "done")
    throw ApiError{.status = 500,
                   .code = "pull_failed",
                   .message = job.error.is_object() ? job.error.value("message", "") : "the download was cancelled"};
  if (streams) {
    for (const char* step : {"verifying sha256 digest", "writing manifest", "success"}) co_await x.write(line_of(step));
    co_await x.end_stream();
  } else {
    Json reply = {{"status", "success"}};
    co_await x.reply_json(std::move(reply));
  }
}

}  // namespace

void add_ollama_shelf(Router& router, ShelfWork& work) {
  router.add({.method = "POST",
              .pattern = "/api/pull",
              .handler = [&work](Exchange& x) { return pull(x, work); },
              .dialect = Dialect::ollama});
}

}  // namespace watra::server
