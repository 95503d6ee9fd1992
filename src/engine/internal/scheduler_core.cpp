#include "engine/internal/scheduler_core.h"

#include <algorithm>

namespace watra::engine::internal {
namespace {

// Of a conversation that goes on only what is new is remembered, and enough in front of it to be found.
constexpr int64_t kRememberedBefore = 16;
// Positions of a request whose context has no end.
constexpr int64_t kWithoutEnd = int64_t{1} << 60;

bool stands_before(const LiveRequest& a, const LiveRequest& b) {
  return std::pair(a.priority(), a.place) < std::pair(b.priority(), b.place);
}

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

Error no_memory_for_answer() {
  return {"memory.refused", "there is no memory left for this answer", "close other programs, or ask for less at once"};
}

SchedulerCore::SchedulerCore(LoadedModel model, const SchedulerOptions& options, const std::optional<PageKey>& root,
                             std::shared_ptr<SchedulerDoor> door)
    : model_(std::move(model)),
      forward_(*model_.forward),
      is_encoder_(model_.model->hparams().is_encoder),
      options_(options),
      door_(std::move(door)),
      workspace_(std::make_shared<SamplerWorkspace>(static_cast<size_t>(model_.model->hparams().n_vocab))),
      room_(forward_.kv(), root, requests_, model_.kv_store.get()),
      slices_(options.decode_gap_s, options.read_pass_s, forward_.options().max_rows),
      times_(std::make_shared<PassTimes>(std::min(forward_.options().max_rows, forward_.options().max_logit_rows))) {
  if (!options_.speculation.experience) options_.speculation.experience = std::make_shared<DraftExperience>();
  const auto n_batch = static_cast<size_t>(options_.max_batch);
  selected_.reserve(n_batch);
  decoders_.reserve(n_batch);
  readers_.reserve(n_batch);
  members_.reserve(n_batch);
  batch_.rows.reserve(static_cast<size_t>(forward_.options().max_rows));
}

bool SchedulerCore::step() {
  take_in();
  for (const auto& r : requests_)
    if (r->cancelled.load(std::memory_order_relaxed)) cancel(*r);
  sweep();
  if (requests_.empty() && !idle_tokens_.empty()) {
    if (!options_.use_idle_time(idle_tokens_)) idle_tokens_.clear();
    return has_work();
  }
  pass_turns();
  choose();
  is_encoder_ ? fill_with_texts() : fill_batch();
  if (batch_.rows.empty()) {
    publish();
    // The first request always finds room, for the cache holds one whole context; it may have failed to start.
    return !requests_.empty();
  }
  begin_pass();
  const auto begin = Clock::now();
  Status ran = forward_.run(batch_, {.cancel = &door_->abort_pass});
  const double seconds = seconds_between(begin, Clock::now());
  end_pass(ran.has_value(), seconds);
  if (ran) {
    // A draft's rows lengthen a step as readers' do not: they are not there when somebody reads.
    if (n_draft_ == 0) slices_.measured(n_decode_, n_slice_, seconds);
    if (n_slice_ == 0) times_->measured(n_decode_ + n_draft_, seconds);
    is_encoder_ ? after_texts() : after_pass();
  } else if (ran.error().code != "forward.cancelled") {
    for (const Member& m : members_) finish(*m.request, FinishReason::error, ran.error());
  }
  publish();
  return true;
}

void SchedulerCore::take_in() {
  {
    const std::lock_guard lock(door_->mutex);
    std::swap(arrivals_, door_->inbox);
  }
  for (auto& r : arrivals_) {
    r->turn = ++turn_;
    r->place = ++last_place_;
    const auto after = std::upper_bound(requests_.begin(), requests_.end(), r,
                                        [](const auto& a, const auto& b) { return stands_before(*a, *b); });
    requests_.insert(after, std::move(r));
  }
  arrivals_.clear();
}

// Whoever has written its turn while somebody of its class waits goes to the end of the line. Where pages are short it
// may lose its own there, so a long conversation has a long turn: reading it again must stay small beside what it
// wrote.
void SchedulerCore::pass_turns() {
  if (options_.turn_tokens <= 0 || std::ranges::all_of(waits_, [](Wait w) { return w == Wait::nobody; })) return;
  bool moved = false;
  for (const auto& r : requests_) {
    const Wait wait = waits_[static_cast<size_t>(r->priority())];
    const int64_t least = wait == Wait::for_pages ? r->n_tokens() / 2 : 0;
    if (wait == Wait::nobody || r->n_served < std::max(options_.turn_tokens, least)) continue;
    r->place = ++last_place_;
    r->n_served = 0;
    moved = true;
  }
  if (moved) std::ranges::sort(requests_, [](const auto& a, const auto& b) { return stands_before(*a, *b); });
}

void SchedulerCore::let_wait(const LiveRequest& r) {
  Wait& wait = waits_[static_cast<size_t>(r.priority())];
  if (wait == Wait::nobody) wait = r.has_sequence || room_.fits(r) ? Wait::for_a_place : Wait::for_pages;
}

// Requests in order, as many as the batch holds. Whoever finds no room keeps those behind from being admitted: they
// would take the pages it waits for.
void SchedulerCore::choose() {
  selected_.clear();
  waits_.fill(Wait::nobody);
  bool blocked = false;
  const bool rest = !requests_.empty() && !is_background(requests_.front()->priority());  // background pauses
  for (const auto& r : requests_) {
    if (rest && is_background(r->priority())) break;
    if (static_cast<int64_t>(selected_.size()) == options_.max_batch) {
      let_wait(*r);
      continue;
    }
    if (!r->has_sequence) {
      if (blocked || !room_.admit(*r)) {
        blocked = true;
        let_wait(*r);
        continue;
      }
      if (!start(*r)) continue;
    }
    selected_.push_back(r.get());
  }
}

// What one answer needs may be more than there is: then that one ends, not all.
bool SchedulerCore::start(LiveRequest& r) {
  try {
    return set_up(r);
  } catch (const std::bad_alloc&) {
    finish(r, FinishReason::error, no_memory_for_answer());
    return false;
  }
}

// On the first admission: what the answer needs, and the event.
bool SchedulerCore::set_up(LiveRequest& r) {
  if (r.has_started) return true;
  r.has_started = true;
  r.started = Clock::now();
  RequestStats& stats = r.outcome.stats;
  stats.queue_s = seconds_between(r.accepted, r.started);
  if (is_encoder_) {
    if (r.request.events.started) r.request.events.started({r.n_prompt, 0, 0});
    return true;
  }
  const int64_t n_ctx = forward_.options().n_ctx;
  const int64_t n_most = n_ctx - r.n_prompt, n_asked = r.request.generate.max_tokens;
  const auto n_answer = static_cast<size_t>(n_asked < 0 ? n_most : std::min(n_asked, n_most));
  const auto n_tokens = static_cast<size_t>(r.n_prompt) + n_answer;
  r.tokens.reserve(n_tokens);
  r.outcome.ids.reserve(n_answer);
  auto sampler = Sampler::create(r.request.sampling, workspace_->n_vocab(), workspace_, n_tokens);
  if (!sampler) return finish(r, FinishReason::error, sampler.error()), false;
  r.sampler.emplace(std::move(*sampler));
  if (Status seen = r.sampler->accept_prompt(r.tokens); !seen)
    return finish(r, FinishReason::error, seen.error()), false;
  if (r.request.mask) r.sampler->set_mask(std::move(r.request.mask));
  auto generation = Generation::create(*model_.tokenizer, *r.sampler, r.request.generate, r.n_prompt,
                                       r.forgetting ? kWithoutEnd : n_ctx);
  if (!generation) return finish(r, FinishReason::error, generation.error()), false;
  r.generation.emplace(std::move(*generation));
  std::vector<std::unique_ptr<Proposer>> proposers;
  if (r.request.speculate && options_.make_proposers)
    proposers = options_.make_proposers(static_cast<int64_t>(n_tokens));
  r.speculation.emplace(std::move(proposers), times_, model_.model->hparams().n_vocab, options_.speculation);
  r.speculation->begin_answer(r.tokens);
  if (r.request.events.started) r.request.events.started({stats.n_prompt, stats.n_cached, r.sampler->seed()});
  if (stats.n_left_out > 0) tell_forgotten(r, stats.n_left_out);
  return true;
}

void SchedulerCore::fill_batch() {
  batch_.clear();
  members_.clear();
  decoders_.clear();
  readers_.clear();
  n_draft_ = n_slice_ = 0;
  for (LiveRequest* r : selected_) {
    if (r->has_finished || !r->has_sequence) continue;  // an earlier one took its pages
    if (r->n_tokens() - room_.n_cached(*r) > 1)
      readers_.push_back(r);
    else if (room_.grow(*r))
      decoders_.push_back(r);
  }
  std::erase_if(readers_, [](const LiveRequest* r) { return !r->has_sequence; });
  n_decode_ = static_cast<int64_t>(decoders_.size());
  n_expected_ = static_cast<double>(n_decode_);
  for (LiveRequest* r : decoders_) add_decoding(*r);

  std::sort(readers_.begin(), readers_.end(), [](const LiveRequest* a, const LiveRequest* b) {
    return std::pair(a->priority(), a->turn) < std::pair(b->priority(), b->turn);
  });
  int64_t left = options_.slice_tokens > 0 ? std::min(options_.slice_tokens, forward_.options().max_rows - n_decode_)
                                           : slices_.slice_rows(n_decode_);
  for (LiveRequest* r : readers_) {
    if (left <= 0) break;
    room_.look_again(*r);
    if (room_.restore(*r, n_decode_ > 0 ? options_.decode_gap_s : options_.read_pass_s)) continue;
    const int64_t at = room_.n_cached(*r), wanted = r->n_tokens() - at;
    int64_t n = std::min(left, wanted);
    // Turns end with pages: what one has read is then there for the others at once, and they get the rest of the slice.
    const int64_t page_end = (at + n) / kernels::kKvPage * kernels::kKvPage;
    if (readers_.size() > 1 && n < wanted && page_end > at) n = page_end - at;
    add_reading(*r, n);
    n_slice_ += n;
    left -= n;
  }
}

// The first in line, however long, and those behind it that fit into what a pass of reading may take.
void SchedulerCore::fill_with_texts() {
  batch_.clear();
  members_.clear();
  n_decode_ = n_draft_ = n_slice_ = 0;
  const int64_t n_most = slices_.slice_rows(0);
  for (LiveRequest* r : selected_) {
    const int64_t n = r->n_tokens();
    if (r->has_finished || !r->has_sequence || (n_slice_ > 0 && n_slice_ + n > n_most)) continue;
    const size_t first = batch_.rows.size();
    batch_.add_chain(r->sequence, r->tokens.data(), n, false);
    for (size_t i = first; i < batch_.rows.size(); ++i)
      batch_.rows[i].wants_hidden = static_cast<bool>(r->request.events.prompt_hidden);
    members_.push_back({r, n, 0});
    n_slice_ += n;
  }
}

void SchedulerCore::after_texts() {
  int64_t hidden = 0;
  for (const Member& m : members_) {
    LiveRequest& r = *m.request;
    if (r.cancelled.load(std::memory_order_relaxed)) {
      if (r.request.events.prompt_hidden) hidden += m.n_rows;
      cancel(r);
      continue;
    }
    if (r.request.events.prompt_hidden)
      for (int64_t p = 0; p < m.n_rows; ++p) r.request.events.prompt_hidden(p, forward_.hidden(hidden++));
    r.outcome.stats.prefill_s = seconds_between(r.started, Clock::now());
    finish(r, FinishReason::length);
  }
}

// Its last token, and a draft if nobody reads: then rows are free or nearly so, and nobody waits longer for them.
void SchedulerCore::add_decoding(LiveRequest& r) {
  const ForwardOptions& o = forward_.options();
  r.speculation->choose_none();
  if (readers_.empty() && r.speculation->has_proposers()) {
    const int64_t n_rows = n_decode_ + n_draft_;
    // Where it goes on behind the context it forgets at the same token as without a draft: a pass gives it no more than
    // fill the context.
    const int64_t n_left = o.n_ctx - r.n_tokens() - (r.forgetting ? 1 : 0);
    const int64_t n_free = room_.grow_draft(
        r, std::min({o.max_rows - n_rows, o.max_logit_rows - n_rows, n_left, int64_t{options_.speculation.max_nodes}}));
    n_draft_ +=
        r.speculation->choose(*r.generation, r.sequence, r.tokens, n_free, {.n_rows = n_rows, .n_tokens = n_expected_});
    n_expected_ += r.speculation->expected_tokens() - 1;
  }
  r.speculation->add_rows(batch_, r.sequence, r.tokens.back());
  members_.push_back({&r, 1 + r.speculation->n_nodes(), 1 + r.speculation->n_nodes()});
}

void SchedulerCore::add_reading(LiveRequest& r, int64_t n_rows) {
  const int64_t at = room_.n_cached(r);
  const bool last = at + n_rows == r.n_tokens();
  r.speculation->choose_none();
  batch_.add_chain(r.sequence, r.tokens.data() + at, n_rows, last);
  if (r.tells_prompt()) {
    const size_t first = batch_.rows.size() - static_cast<size_t>(n_rows);
    for (int64_t p = std::max(at, r.n_told); p < std::min(at + n_rows, r.n_prompt); ++p)
      batch_.rows[first + static_cast<size_t>(p - at)].wants_hidden = true;
  }
  members_.push_back({&r, n_rows, last ? 1 : 0});
}

void SchedulerCore::begin_pass() {
  const std::lock_guard lock(door_->mutex);
  door_->n_places = n_places();
  door_->n_wanting = 0;
  door_->pass_is_background = true;
  for (const Member& m : members_) {
    m.request->in_pass = !m.request->cancelled.load(std::memory_order_relaxed);
    door_->n_wanting += m.request->in_pass;
    door_->pass_is_background &= is_background(m.request->priority());
  }
  const bool somebody_came =
      std::ranges::any_of(door_->inbox, [](const auto& r) { return !is_background(r->priority()); });
  door_->abort_pass = door_->stopping || door_->n_wanting == 0 || (door_->pass_is_background && somebody_came);
}

void SchedulerCore::end_pass(bool ran, double seconds) {
  const std::lock_guard lock(door_->mutex);
  for (const Member& m : members_) m.request->in_pass = false;
  door_->pass_is_background = false;
  SchedulerStats& s = door_->stats;
  ++s.n_passes;
  s.pass_s += seconds;
  s.n_aborted += !ran;
  if (ran) s.n_read += n_slice_, s.n_decoded += n_decode_;
}

// As many as the batch has, unless somebody was left out though it was not full.
int64_t SchedulerCore::n_places() const {
  const auto n_selected = static_cast<int64_t>(selected_.size());
  return n_selected == static_cast<int64_t>(requests_.size()) ? options_.max_batch : n_selected;
}

void SchedulerCore::publish() {
  sweep();
  const std::lock_guard lock(door_->mutex);
  SchedulerStats& s = door_->stats;
  const KvCache& kv = forward_.kv();
  s.kv_pages = kv.total_pages();
  s.kv_pages_free = kv.free_pages();
  s.kv_pages_cached = room_.n_prefix_pages();
  s.n_evicted = room_.n_evicted();
  s.n_dropped = room_.n_dropped();
  s.n_drafted = n_drafted_;
  s.n_accepted = n_accepted_;
  s.n_from_cache = room_.n_from_cache();
  s.n_restored = room_.n_restored();
}

void SchedulerCore::after_pass() {
  for (const auto& r : requests_) {
    const bool alone = members_.size() == 1 && members_.front().request == r.get();
    if (r->outcome.stats.n_generated > 0 && !alone) ++r->outcome.stats.n_beside;
  }
  if (Status told = tell_prompts(); !told) {
    for (const Member& m : members_) finish(*m.request, FinishReason::error, told.error());
    return;
  }
  int64_t i = 0;
  for (const Member& m : members_) {
    LiveRequest& r = *m.request;
    if (m.n_logits > 0) {
      write(r, i);
      i += m.n_logits;
      continue;
    }
    room_.keep_pages(r, m.n_rows);
    const int64_t n_read = room_.n_cached(r);
    if (m.n_rows > 1 && n_read % kernels::kKvPage == 0) r.turn = ++turn_;
    const RequestEvents& events = r.request.events;
    if (r.outcome.stats.n_generated > 0) {
      if (events.reading_again) events.reading_again({n_read, r.n_tokens()});
    } else if (events.reading) {
      events.reading({r.outcome.stats.n_left_out + n_read, r.outcome.stats.n_prompt});
    }
  }
}

// The tokens that the pass gives a request, as far as its draft went the target's way.
void SchedulerCore::write(LiveRequest& r, int64_t first_logits) {
  const auto drop = [&] {
    r.speculation->drop(forward_.kv(), r.sequence);
    room_.keep_pages(r, 1);
  };
  if (r.cancelled.load(std::memory_order_relaxed)) return drop(), cancel(r);
  if (r.generation->finished()) return drop(), finish(r, r.generation->finish_reason());
  RequestStats& stats = r.outcome.stats;
  const SpeculationCounts before = r.speculation->counts();
  Status followed = r.speculation->follow(
      *r.generation, forward_.kv(), r.sequence,
      [&](int32_t row) -> std::span<const float> { return forward_.logits(first_logits + row); },
      [&](const Generation::Step& step) {
        r.last_token = Clock::now();
        if (step.token != text::kNoToken) {
          r.tokens.push_back(step.token);
          r.outcome.ids.push_back(step.token);
        }
        if (stats.n_generated == 0) {
          r.first_token = r.last_token;
          stats.prefill_s = seconds_between(r.started, r.first_token);
          stats.ttft_s = seconds_between(r.accepted, r.first_token);
        }
        stats.n_generated = static_cast<int64_t>(r.outcome.ids.size());
        ++r.n_served;
        if (r.request.events.token && (step.token != text::kNoToken || !step.text.empty()))
          r.request.events.token({step.token, step.text, step.logprob, step.top});
        return !r.cancelled.load(std::memory_order_relaxed);
      });
  room_.keep_pages(r, 1);
  stats.speculation = r.speculation->counts();
  n_drafted_ += stats.speculation.n_drafted - before.n_drafted;
  n_accepted_ += stats.speculation.n_accepted - before.n_accepted;
  if (!followed) return finish(r, FinishReason::error, followed.error());
  if (r.generation->finished()) return finish(r, r.generation->finish_reason());
  if (r.forgetting && r.forgetting->n_to_forget(r.n_tokens()) > 0) forget(r);
}

// It gives up its sequence, and is admitted again with what is left.
void SchedulerCore::forget(LiveRequest& r) {
  room_.give_up(r);
  tell_forgotten(r, r.forget());
}

void SchedulerCore::tell_forgotten(LiveRequest& r, int64_t n_now) {
  if (r.request.events.forgot) r.request.events.forgot({n_now, r.outcome.stats.n_forgotten});
}

void SchedulerCore::cancel(LiveRequest& r) {
  if (r.generation) {
    const std::string_view held = r.generation->end(FinishReason::cancelled);
    if (!held.empty() && r.request.events.token) r.request.events.token({text::kNoToken, held, {}, {}});
  }
  finish(r, FinishReason::cancelled);
}

void SchedulerCore::remember(const LiveRequest& r) {
  if (!r.request.speculate || r.outcome.stats.n_generated == 0) return;
  if (options_.use_idle_time && !is_background(r.priority())) idle_tokens_.assign(r.tokens.begin(), r.tokens.end());
  if (!options_.history) return;
  if (r.outcome.stats.n_forgotten > 0) return options_.history->add(r.outcome.ids);
  const int64_t first = std::max<int64_t>(std::min(r.outcome.stats.n_cached, r.n_prompt) - kRememberedBefore, 0);
  options_.history->add(std::span(r.tokens).subspan(static_cast<size_t>(first)));
}

void SchedulerCore::finish(LiveRequest& r, FinishReason reason, std::optional<Error> error) {
  room_.give_up(r);
  remember(r);
  r.has_finished = true;
  Finished& out = r.outcome;
  out.reason = reason;
  out.error = std::move(error);
  if (r.generation) out.stop_string = r.generation->stop_string();
  if (r.sampler) out.seed = r.sampler->seed();
  if (out.stats.n_generated > 0) out.stats.decode_s = seconds_between(r.first_token, r.last_token);
  if (r.request.events.finished) r.request.events.finished(out);
  const int64_t n_tokens = out.stats.n_prompt + out.stats.n_generated;
  if (r.speculation) r.speculation->end_answer();
  // What the events hold dies here, on this thread.
  r.speculation.reset();
  r.generation.reset();
  r.sampler.reset();
  r.request = {.priority = r.priority()};
  const std::lock_guard lock(door_->mutex);
  door_->stats.reading_s += out.stats.prefill_s;
  door_->stats.writing_s += out.stats.decode_s;
  door_->stats.n_tokens_most = std::max(door_->stats.n_tokens_most, n_tokens);
  r.done = true;
  --door_->n_alive[static_cast<int>(r.priority())];
  door_->finished.notify_all();
}

void SchedulerCore::sweep() {
  std::erase_if(requests_, [](const auto& r) { return r->has_finished; });
}

void SchedulerCore::finish_all(const Error& error) {
  take_in();
  for (const auto& r : requests_)
    if (!r->has_finished) finish(*r, FinishReason::error, error);
  sweep();
}

}  // namespace watra::engine::internal
