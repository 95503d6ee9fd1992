#include "server/grammar_desk.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <mutex>
#include <optional>

#include "base/thread_priority.h"

namespace watra::server {

using Compiled = Result<std::shared_ptr<const text::Grammar>>;

namespace {

constexpr double kFirstLookSeconds = 0.25;  // the schemas of programs take less
constexpr size_t kOldestEvery = 4;          // so many are chosen, then the one that waits longest

// One request's wish.
struct Job {
  Job(text::Shape s, const asio::any_io_executor& e)
      : shape(std::move(s)), n_bytes(dump(shape.json()).size()), executor(e), timer(e) {}
  text::Shape shape;
  size_t n_bytes;
  asio::any_io_executor executor;
  asio::steady_timer timer;  // of the request's strand: cancelled to wake it
  bool looked_at = false;    // of the desk's thread
  std::atomic<bool> abandoned{false};
  std::mutex mutex;  // guards the result
  std::optional<Compiled> result;

  std::optional<Compiled> take() {
    const std::lock_guard lock(mutex);
    return std::exchange(result, std::nullopt);
  }
};

struct Waiting {
  explicit Waiting(std::shared_ptr<Job> j) : job(std::move(j)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  std::shared_ptr<Job> job;
  ~Waiting() { job->abandoned = true; }
};

}  // namespace

struct GrammarDesk::Impl {
  Impl(std::shared_ptr<const text::Tokenizer> tokenizer, std::vector<text::TokenId> visible,
       std::shared_ptr<MemoryBudget> memory)
      : compiler(std::move(tokenizer), std::move(visible), {}, std::move(memory)) {}

  void add(std::shared_ptr<Job> job) {
    {
      const std::lock_guard lock(mutex);
      jobs.push_back(std::move(job));
    }
    asio::post(thread, [this] { serve_one(); });
  }

  std::shared_ptr<Job> next() {
    const std::lock_guard lock(mutex);
    std::erase_if(jobs, [](const auto& job) { return job->abandoned.load(); });
    if (jobs.empty()) return nullptr;
    auto it = jobs.begin();
    if (++n_chosen % kOldestEvery != 0)
      it = std::ranges::min_element(jobs, {}, [](const auto& j) { return std::pair(j->looked_at, j->n_bytes); });
    auto job = std::move(*it);
    jobs.erase(it);
    return job;
  }

  void serve_one() {
    const std::shared_ptr<Job> job = next();
    if (!job) return;
    const double seconds = job->looked_at ? compiler.seconds() : std::min(kFirstLookSeconds, compiler.seconds());
    Compiled made = compile(job->shape, seconds);
    const bool needs_more = !made && made.error().code == "grammar.too_large" && !job->looked_at;
    if (needs_more) {
      job->looked_at = true;
      return add(job);
    }
    {
      const std::lock_guard lock(job->mutex);
      job->result = std::move(made);
    }
    asio::post(job->executor, [job] { job->timer.cancel(); });
  }

  Compiled compile(const text::Shape& shape, double seconds) {
    ++n_begun;
    try {
      return compiler.compile(shape, seconds);
    } catch (const std::exception& e) {  // no memory to begin with
      return fail("grammar.too_large", fmt::format("the grammar cannot be made: {}", e.what()), "a smaller schema");
    }
  }

  text::GrammarCompiler compiler;
  std::atomic<size_t> n_begun{0};
  std::mutex mutex;                        // guards the next two
  std::vector<std::shared_ptr<Job>> jobs;  // the oldest in front
  size_t n_chosen = 0;
  asio::thread_pool thread{1};  // ends first: nothing compiles when the compiler goes
};

GrammarDesk::GrammarDesk(std::shared_ptr<const text::Tokenizer> tokenizer, std::vector<text::TokenId> visible,
                         std::shared_ptr<MemoryBudget> memory)
    : impl_(std::make_unique<Impl>(std::move(tokenizer), std::move(visible), std::move(memory))) {
  asio::post(impl_->thread, [] { lower_thread_priority(); });
}

GrammarDesk::~GrammarDesk() { impl_->thread.join(); }

size_t GrammarDesk::n_begun() const { return impl_->n_begun; }

Awaitable<std::shared_ptr<const text::Grammar>> GrammarDesk::compile(text::Shape shape, std::string field) {
  if (auto kept = impl_->compiler.find(shape)) co_return kept;
  const asio::any_io_executor executor =
      co_await asio::this_coro::executor;  // by itself: GCC 12 loses what stands beside it
  const Waiting waiting{std::make_shared<Job>(std::move(shape), executor)};
  impl_->add(waiting.job);
  std::optional<Compiled> made;
  // Who wakes does it on this strand, so nothing is lost between take() and the wait. A client that leaves ends it.
  while (!(made = waiting.job->take())) {
    waiting.job->timer.expires_at(std::chrono::steady_clock::time_point::max());
    boost::system::error_code woken;
    co_await waiting.job->timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  co_return value_or_throw(std::move(*made), field);
}

}  // namespace watra::server
