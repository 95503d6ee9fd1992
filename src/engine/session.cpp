#include "engine/session.h"

#include <algorithm>
#include <chrono>

namespace watra::engine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

}  // namespace

Session::Session(LoadedModel model)
    : model_(std::move(model)),
      sequence_(model_.forward->kv().add()),
      times_(std::make_shared<PassTimes>(
          std::min(model_.forward->options().max_rows, model_.forward->options().max_logit_rows))),
      speculation_(make_speculation({})) {
  batch_.rows.reserve(static_cast<size_t>(model_.forward->options().max_rows));
}
Session::~Session() { model_.forward->kv().remove(sequence_); }

std::span<const float> Session::logits() const { return model_.forward->logits(0); }

Result<PrefillReport> Session::prefill(std::span<const TokenId> prompt, const std::atomic<bool>* cancel,
                                       const std::function<void(int64_t, int64_t)>& progress) {
  Forward& f = *model_.forward;
  const auto n = static_cast<int64_t>(prompt.size());
  if (n == 0) return fail("context.empty_prompt", "the prompt has no tokens", "write something");
  if (n > f.options().n_ctx)
    return fail("context.overflow", fmt::format("the prompt has {} tokens, the context holds {}", n, f.options().n_ctx),
                fmt::format("--ctx {}, or a shorter prompt", n + 256));
  const auto begin = Clock::now();

  // What is cached and the same stays; the last token is run in any case, for its logits.
  const int64_t cached = std::min<int64_t>(f.kv().length(sequence_), static_cast<int64_t>(tokens_.size()));
  int64_t same = 0;
  while (same < std::min(cached, n - 1) && tokens_[static_cast<size_t>(same)] == prompt[static_cast<size_t>(same)])
    ++same;
  f.kv().truncate(sequence_, same);
  same = f.kv().length(sequence_);
  tokens_.assign(prompt.begin(), prompt.begin() + same);

  for (int64_t at = same; at < n;) {
    const int64_t rows = std::min(n - at, f.options().max_rows);
    batch_.clear();
    batch_.add_chain(sequence_, prompt.data() + at, rows, at + rows == n);
    WATRA_TRY(f.run(batch_, {.cancel = cancel}));
    tokens_.insert(tokens_.end(), prompt.begin() + at, prompt.begin() + at + rows);
    at += rows;
    if (progress) progress(at - same, n - same);
  }
  return PrefillReport{n, same, since(begin)};
}

Result<GenerateReport> Session::generate(Sampler& sampler, const GenerateOptions& options,
                                         const std::function<void(std::string_view)>& on_text,
                                         const std::atomic<bool>* cancel) {
  Forward& f = *model_.forward;
  if (!model_.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so its answers cannot be turned into text",
                "use a complete model file");
  WATRA_ASSIGN(Generation generation, Generation::create(*model_.tokenizer, sampler, options,
                                                         static_cast<int64_t>(tokens_.size()), f.options().n_ctx));
  GenerateReport report;
  const auto emit = [&](std::string_view piece) {
    if (piece.empty()) return;
    report.text += piece;
    if (on_text) on_text(piece);
  };

  const auto begin = Clock::now();
  auto first = begin;
  const auto cancelled = [&] { return cancel && cancel->load(std::memory_order_relaxed); };
  speculation_->begin_counting();
  speculation_->choose_none();  // the logits at hand follow the prompt
  tokens_.reserve(static_cast<size_t>(f.options().n_ctx));
  while (!generation.finished()) {
    if (cancelled()) {
      emit(generation.end(FinishReason::cancelled));
      break;
    }
    WATRA_TRY(speculation_->follow(
        generation, f.kv(), sequence_, [&](int32_t row) { return f.logits(row); },
        [&](const Generation::Step& step) {
          if (first == begin) {
            first = Clock::now();
            report.first_token_s = std::chrono::duration<double>(first - begin).count();
          }
          if (step.token != text::kNoToken) report.ids.push_back(step.token);
          emit(step.text);
          if (!step.finished) tokens_.push_back(step.token);
          return !cancelled();
        }));
    if (generation.finished() || cancelled()) continue;
    speculation_->choose(generation, sequence_, tokens_, free_for_draft());
    batch_.clear();
    speculation_->add_rows(batch_, sequence_, tokens_.back());
    const auto pass = Clock::now();
    if (Status ran = f.run(batch_, {.cancel = cancel}); !ran) {
      if (ran.error().code != "forward.cancelled") return fail(std::move(ran).error());
      emit(generation.end(FinishReason::cancelled));
      break;
    }
    speculation_->measured(static_cast<int64_t>(batch_.rows.size()), since(pass));
  }
  report.finish = generation.finish_reason();
  report.decode_s = report.ids.empty() ? 0 : since(first);
  report.speculation = speculation_->counts();
  report.speculation_method = speculation_->method();
  return report;
}

void Session::speculate(std::shared_ptr<Speculation> speculation) {
  speculation_ = speculation ? std::move(speculation) : make_speculation({});
}

std::shared_ptr<Speculation> Session::make_speculation(std::vector<std::unique_ptr<Proposer>> proposers,
                                                       const SpeculationOptions& options) const {
  return std::make_shared<Speculation>(std::move(proposers), times_, model_.model->hparams().n_vocab, options);
}

// A draft takes a row, a row of logits and a position of the cache for each node.
int64_t Session::free_for_draft() const {
  const ForwardOptions& o = model_.forward->options();
  const KvCache& kv = model_.forward->kv();
  int64_t n = std::min({o.max_rows - 1, o.max_logit_rows - 1, o.n_ctx - static_cast<int64_t>(tokens_.size())});
  while (n > 0 && kv.pages_to_grow(sequence_, 1 + n) > kv.free_pages()) --n;
  return n;
}

}  // namespace watra::engine
