#include "engine/session.h"

#include <algorithm>
#include <chrono>

namespace watra::engine {
namespace {

using kernels::kKvPage;
using Clock = std::chrono::steady_clock;
// A full context gives up this share of what it does not keep, at least a page.
constexpr int64_t kWindowParts = 4;
constexpr int64_t kEndless = int64_t{1} << 60;
// Read ahead at once, by a draft model: whoever comes meanwhile waits for that.
constexpr int64_t kIdleTokens = 64;

double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

}  // namespace

Session::Session(LoadedModel model)
    : model_(std::move(model)),
      sequence_(model_.forward->kv().add()),
      times_(std::make_shared<PassTimes>(
          std::min(model_.forward->options().max_rows, model_.forward->options().max_logit_rows))),
      speculation_(make_speculation({})) {
  batch_.rows.reserve(static_cast<size_t>(model_.forward->options().max_rows));
  keys_.reserve(static_cast<size_t>(KvCache::pages_for(model_.forward->options().n_ctx)));
}

Session::~Session() {
  for (int64_t n = -1; n != n_stored_;) {
    n = n_stored_;
    store_pages(n_nameable_pages());
    if (model_.kv_store) model_.kv_store->drain();
  }
  model_.forward->kv().remove(sequence_);
}

std::span<const float> Session::logits() const { return model_.forward->logits(0); }

Status Session::go_endless(int64_t n_kept) {
  if (model_.forward->kv().recent().needed())
    return fail(
        "context.quantized",
        "an endless conversation turns keys that were cached long ago, which quantized ones do not survive often",
        "--kv-type f16");
  const int64_t n_ctx = model_.forward->options().n_ctx,
                kept = KvCache::pages_for(std::max<int64_t>(n_kept, 1)) * kKvPage;
  const int64_t needed = kept + kWindowParts * kKvPage;
  if (n_ctx < needed)
    return fail("context.too_small",
                fmt::format("an endless conversation that keeps its first {} tokens needs a context of {}, found {}",
                            kept, needed, n_ctx),
                fmt::format("--ctx {}", needed));
  n_kept_ = kept;
  n_evict_ = (n_ctx - kept) / kWindowParts / kKvPage * kKvPage;
  shift_.emplace(model_.model->hparams(), n_ctx, model_.forward->kernels(), *model_.team);
  return {};
}

// Room for n_rows more rows, at most n_evict_.
Status Session::make_room(int64_t n_rows) {
  KvCache& kv = model_.forward->kv();
  if (!shift_ || kv.length(sequence_) + n_rows <= model_.forward->options().n_ctx) return {};
  WATRA_TRY(shift_->drop(kv, sequence_, n_kept_, n_evict_));
  const auto begin = tokens_.begin() + n_kept_, end = begin + n_evict_;
  dropped_.insert(dropped_.end(), begin, end);
  tokens_.erase(begin, end);
  return {};
}

// How many tokens from its beginning the prompt has in common with the text that was read, dropped ones included.
int64_t Session::n_same(std::span<const TokenId> prompt) const {
  const auto n_dropped = static_cast<int64_t>(dropped_.size());
  const int64_t n_cached =
      std::min<int64_t>(model_.forward->kv().length(sequence_), static_cast<int64_t>(tokens_.size()));
  const auto token = [&](int64_t i) {
    if (n_dropped == 0 || i < n_kept_) return tokens_[static_cast<size_t>(i)];
    return i < n_kept_ + n_dropped ? dropped_[static_cast<size_t>(i - n_kept_)]
                                   : tokens_[static_cast<size_t>(i - n_dropped)];
  };
  // The last token of the prompt is run in any case, for its logits.
  const int64_t most = std::min(n_cached + n_dropped, static_cast<int64_t>(prompt.size()) - 1);
  int64_t same = 0;
  while (same < most && token(same) == prompt[static_cast<size_t>(same)]) ++same;
  // What stands behind dropped text can only be used when all of that is the same.
  return n_dropped > 0 && same < n_kept_ + n_dropped ? std::min(same, n_kept_) : same;
}

Result<PrefillReport> Session::prefill(std::span<const TokenId> prompt, const std::atomic<bool>* cancel,
                                       const std::function<void(int64_t, int64_t)>& progress) {
  Forward& f = *model_.forward;
  const auto n = static_cast<int64_t>(prompt.size());
  const int64_t n_ctx = f.options().n_ctx;
  if (n == 0) return fail("context.empty_prompt", "the prompt has no tokens", "write something");
  if (n > n_ctx && !shift_)
    return fail("context.overflow", fmt::format("the prompt has {} tokens, the context holds {}", n, n_ctx),
                fmt::format("--ctx {}, or a shorter prompt", n + 256));
  const auto begin = Clock::now();

  int64_t same = n_same(prompt);
  if (same <= n_kept_) dropped_.clear();
  f.kv().truncate(sequence_, same - static_cast<int64_t>(dropped_.size()));
  const int64_t cached = f.kv().length(sequence_);  // quantized: from the beginning of a page on
  same = cached + static_cast<int64_t>(dropped_.size());
  tokens_.resize(static_cast<size_t>(cached));
  keys_.resize(std::min(keys_.size(), static_cast<size_t>(cached / kKvPage)));
  n_stored_ = std::min(n_stored_, cached / kKvPage);
  // A long text of which nothing is cached is not read only to be dropped: its middle is left out from the start.
  const bool leaves_out = shift_ && n > n_ctx && same <= n_kept_;
  const int64_t n_left_out = leaves_out ? n - (n_ctx - n_evict_) : 0;
  const int64_t restored = n <= n_ctx && dropped_.empty() ? restore_pages(prompt, same) - same : 0;
  same += restored;
  const double restore_s = restored > 0 ? since(begin) : 0;

  for (int64_t at = same; at < n;) {
    int64_t rows = std::min(n - at, f.options().max_rows);
    if (shift_) rows = std::min(rows, n_evict_);
    if (leaves_out && at == n_kept_) {
      dropped_.assign(prompt.begin() + at, prompt.begin() + at + n_left_out);
      at += n_left_out;
      continue;
    }
    if (leaves_out && at < n_kept_) rows = std::min(rows, n_kept_ - at);
    WATRA_TRY(make_room(rows));
    batch_.clear();
    batch_.add_chain(sequence_, prompt.data() + at, rows, at + rows == n);
    WATRA_TRY(f.run(batch_, {.cancel = cancel}));
    tokens_.insert(tokens_.end(), prompt.begin() + at, prompt.begin() + at + rows);
    at += rows;
    store_pages(n_nameable_pages());
    if (progress) progress(at - same, n - same);
  }
  return PrefillReport{.n_prompt = n,
                       .n_cached = same,
                       .n_restored = restored,
                       .seconds = since(begin),
                       .restore_s = restore_s,
                       .n_dropped = static_cast<int64_t>(dropped_.size())};
}

// The store, when so many tokens are worth its while.
KvStore* Session::store_for(int64_t n_tokens) {
  KvStore* store = model_.kv_store.get();
  if (!store || n_tokens < store->options().min_tokens) return nullptr;
  if (!root_) {
    auto root = root_key(model_);
    if (!root) {
      store->stop_storing(root.error());
      model_.kv_store.reset();
      return nullptr;
    }
    root_ = *root;
  }
  return store;
}

// Pages that lie on the disk take the place of reading. Returns how many tokens are cached now.
int64_t Session::restore_pages(std::span<const TokenId> prompt, int64_t n_cached) {
  KvCache& kv = model_.forward->kv();
  const auto n = static_cast<int64_t>(prompt.size());
  const int64_t first = n_cached / kKvPage, n_pages = (n - 1) / kKvPage;
  KvStore* store = first < n_pages ? store_for(n) : nullptr;
  if (!store) return n_cached;
  append_page_keys(*root_, prompt.first(static_cast<size_t>(n_pages * kKvPage)), keys_);
  if (!store->has(*root_, keys_[static_cast<size_t>(first)], first)) return n_cached;
  if (!kv.reserve(sequence_, n_pages * kKvPage - n_cached)) return n_cached;
  const int64_t n_restored =
      store->restore(*root_, keys_, prompt, first, [&](int64_t i) { return place_of_page(kv, sequence_, i); });
  const int64_t now = n_restored > 0 ? (first + n_restored) * kKvPage : n_cached;
  kv.commit_chain(sequence_, now - n_cached);
  kv.truncate(sequence_, now);  // pages that were not needed
  n_stored_ = std::max(n_stored_, now / kKvPage);
  tokens_.assign(prompt.begin(), prompt.begin() + now);
  return now;
}

// Whole pages whose content depends on nothing but the tokens in front of them: what stands behind dropped text does
// not.
int64_t Session::n_nameable_pages() const {
  const int64_t n = std::min(model_.forward->kv().length(sequence_), static_cast<int64_t>(tokens_.size()));
  return (dropped_.empty() ? n : std::min(n, n_kept_)) / kKvPage;
}

// At most n_most of the pages that are not stored yet.
void Session::store_pages(int64_t n_most) {
  const int64_t n = n_nameable_pages();
  if (n <= n_stored_) return;
  KvStore* store = store_for(n * kKvPage);
  if (!store) return;
  const std::span tokens(tokens_);
  append_page_keys(*root_, tokens.first(static_cast<size_t>(n * kKvPage)), keys_);
  for (; n_stored_ < n && n_most > 0; ++n_stored_, --n_most) {
    const auto i = static_cast<size_t>(n_stored_);
    if (!store->offer({*root_, keys_[i], i > 0 ? keys_[i - 1] : *root_, n_stored_,
                       tokens.subspan(i * static_cast<size_t>(kKvPage), static_cast<size_t>(kKvPage))},
                      place_of_page(model_.forward->kv(), sequence_, n_stored_)))
      return;
  }
}

Result<GenerateReport> Session::generate(Sampler& sampler, const GenerateOptions& options,
                                         const std::function<void(std::string_view)>& on_text,
                                         const std::atomic<bool>* cancel) {
  Forward& f = *model_.forward;
  if (!model_.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so its answers cannot be turned into text",
                "use a complete model file");
  WATRA_ASSIGN(Generation generation,
               Generation::create(*model_.tokenizer, sampler, options, static_cast<int64_t>(tokens_.size()),
                                  shift_ ? kEndless : f.options().n_ctx));
  GenerateReport report;
  const auto emit = [&](std::string_view piece) {
    if (piece.empty()) return;
    report.text += piece;
    if (on_text) on_text(piece);
  };

  const auto begin = Clock::now();
  auto first = begin;
  const auto cancelled = [&] { return cancel && cancel->load(std::memory_order_relaxed); };
  speculation_->begin_answer(tokens_);
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
    store_pages(2);  // a draft may end one page and reach into the next
    if (generation.finished() || cancelled()) continue;
    speculation_->choose(generation, sequence_, tokens_, free_for_draft());
    batch_.clear();
    speculation_->add_rows(batch_, sequence_, tokens_.back());
    WATRA_TRY(make_room(static_cast<int64_t>(batch_.rows.size())));
    const auto pass = Clock::now();
    if (Status ran = f.run(batch_, {.cancel = cancel}); !ran) {
      if (ran.error().code != "forward.cancelled") return fail(std::move(ran).error());
      emit(generation.end(FinishReason::cancelled));
      break;
    }
    speculation_->measured(static_cast<int64_t>(batch_.rows.size()), since(pass));
  }
  if (KvStore* store = n_stored_ > 0 ? model_.kv_store.get() : nullptr)
    store->used(*root_, std::span(keys_).first(static_cast<size_t>(n_stored_)));
  report.finish = generation.finish_reason();
  report.decode_s = report.ids.empty() ? 0 : since(first);
  speculation_->end_answer();
  report.speculation = speculation_->counts();
  report.speculation_method = speculation_->method();
  report.counted_speed_up = speculation_->counted_speed_up();
  return report;
}

void Session::speculate(std::shared_ptr<Speculation> speculation) {
  speculation_ = speculation ? std::move(speculation) : make_speculation({});
}

std::shared_ptr<Speculation> Session::make_speculation(std::vector<std::unique_ptr<Proposer>> proposers,
                                                       const SpeculationOptions& options) const {
  return std::make_shared<Speculation>(std::move(proposers), times_, model_.model->hparams().n_vocab, options);
}

bool Session::use_idle_time() { return dropped_.empty() && speculation_->read_ahead(tokens_, kIdleTokens); }

// A draft takes a row, a row of logits and a position of the cache for each node.
int64_t Session::free_for_draft() const {
  const ForwardOptions& o = model_.forward->options();
  const KvCache& kv = model_.forward->kv();
  const auto n_tokens = static_cast<int64_t>(tokens_.size());
  int64_t n = std::min({o.max_rows - 1, o.max_logit_rows - 1, std::max<int64_t>(0, o.n_ctx - n_tokens)});
  // A tree's rows can be moved inside two pages of a quantized cache.
  if (kv.recent().needed()) n = std::min(n, 2 * kKvPage - kv.length(sequence_) % kKvPage - 1);
  while (n > 0 && kv.pages_to_grow(sequence_, 1 + n) > kv.free_pages()) --n;
  return n;
}

}  // namespace watra::engine
