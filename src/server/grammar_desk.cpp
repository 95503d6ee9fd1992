#include "server/grammar_desk.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/thread_priority.h"

namespace watra::server {

using Compiled = Result<std::shared_ptr<const text::Grammar>>;

struct GrammarDesk::Impl {
  text::GrammarCompiler compiler;
  asio::thread_pool thread{1};  // ends first: nothing compiles when the compiler goes
};

GrammarDesk::GrammarDesk(std::shared_ptr<const text::Tokenizer> tokenizer, std::vector<text::TokenId> visible,
                         std::shared_ptr<MemoryBudget> memory)
    : impl_(new Impl{text::GrammarCompiler(std::move(tokenizer), std::move(visible), {}, std::move(memory))}) {
  asio::post(impl_->thread, [] { lower_thread_priority(); });
}

GrammarDesk::~GrammarDesk() { impl_->thread.join(); }

Awaitable<std::shared_ptr<const text::Grammar>> GrammarDesk::compile(text::Shape shape, std::string field) {
  if (auto kept = impl_->compiler.find(shape)) co_return kept;
  const auto work = [](text::GrammarCompiler& compiler, text::Shape s) -> Awaitable<Compiled> {
    co_return compiler.compile(s);
  };
  Compiled made = co_await asio::co_spawn(impl_->thread, work(impl_->compiler, std::move(shape)), asio::use_awaitable);
  co_return value_or_throw(std::move(made), field);
}

}  // namespace watra::server
