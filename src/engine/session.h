// Session: one conversation in the engine: its tokens, their cached pages, and the decode loop.
//
// prefill() takes the whole token sequence of the prompt each time and reads only what the cache does not hold already
// (the longest common prefix stays; what the model's KvStore has is restored). generate() then samples until the end,
// along drafts where speculate() allowed them: same tokens, fewer passes. An endless session goes on when the context
// is full: go_endless().
//
// Whole pages go to the KvStore after each pass, the rest of them when the session ends. Not thread-safe; `cancel` may
// be set from anywhere.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/kv_shift.h"
#include "engine/loaded_model.h"
#include "engine/speculation.h"

namespace watra::engine {

struct PrefillReport {
  int64_t n_prompt = 0;    // tokens of the prompt
  int64_t n_cached = 0;    // of them found in the cache, or restored
  int64_t n_restored = 0;  // of n_cached: from the disk (kv_store.h)
  double seconds = 0;
  double restore_s = 0;   // of seconds
  int64_t n_dropped = 0;  // of n_prompt: between what is kept and the window (endless sessions)
  double tokens_per_s() const {
    return seconds > restore_s ? static_cast<double>(n_prompt - n_cached) / (seconds - restore_s) : 0;
  }
};

struct GenerateReport {
  std::string text;
  std::vector<TokenId> ids;  // as sampled; the end token is not among them
  FinishReason finish = FinishReason::stop;
  double first_token_s = 0;  // from the call to the first token sampled
  double decode_s = 0;       // all tokens after the first
  SpeculationCounts speculation;
  std::string speculation_method = "none";  // what really ran
  double counted_speed_up = 1;              // Speculation::counted_speed_up()
  double decode_tokens_per_s() const {
    return decode_s > 0 && ids.size() > 1 ? static_cast<double>(ids.size() - 1) / decode_s : 0;
  }
};

class Session {
 public:
  explicit Session(LoadedModel model);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Drafts from the next answer on; null = none. What it knows stays with it: it may be taken away and given again.
  void speculate(std::shared_ptr<Speculation> speculation);
  // A new one of these proposers, on this session's pass times.
  std::shared_ptr<Speculation> make_speculation(std::vector<std::unique_ptr<Proposer>> proposers,
                                                const SpeculationOptions& options = {}) const;
  const Speculation& speculation() const { return *speculation_; }
  const PassTimes& pass_times() const { return *times_; }

  // From now on a full context makes room: the first n_kept positions (whole pages of them; a persona, at least the
  // sinks) and the newest stay, a quarter of what lies between goes at a time, and positions are counted anew
  // (kv_shift.h). Prompts and answers may then be of any length. Before the first prefill(). Errors:
  // "context.too_small" when n_ctx is no place for a window; "context.quantized".
  Status go_endless(int64_t n_kept = 4);
  bool endless() const { return shift_.has_value(); }

  // progress(done, total) tokens, between micro-batches. Errors: "context.overflow" (both numbers),
  // "context.empty_prompt", "forward.cancelled" (what was read so far stays cached).
  Result<PrefillReport> prefill(std::span<const TokenId> prompt, const std::atomic<bool>* cancel = nullptr,
                                const std::function<void(int64_t, int64_t)>& progress = {});

  // After prefill(). on_text gets whole characters as soon as they are certain not to belong to a stop string.
  Result<GenerateReport> generate(Sampler& sampler, const GenerateOptions& options,
                                  const std::function<void(std::string_view)>& on_text = {},
                                  const std::atomic<bool>* cancel = nullptr);

  // Between answers: drafts read a little of the conversation (a tenth of a second or so), so that they need not when
  // the next answer begins. False: there is nothing left to do.
  bool use_idle_time();

  // Tokens whose keys and values are cached, by position, and the last sampled one if it was chosen but not run.
  const std::vector<TokenId>& tokens() const { return tokens_; }
  std::span<const float> logits() const;  // after prefill(): for the token that follows
  Forward& forward() { return *model_.forward; }
  const LoadedModel& model() const { return model_; }

 private:
  int64_t free_for_draft() const;
  KvStore* store_for(int64_t n_tokens);
  int64_t restore_pages(std::span<const TokenId> prompt, int64_t n_cached);
  void store_pages(int64_t n_most);
  int64_t n_nameable_pages() const;
  int64_t n_same(std::span<const TokenId> prompt) const;
  Status make_room(int64_t n_rows);

  LoadedModel model_;
  SequenceId sequence_;
  std::shared_ptr<PassTimes> times_;
  std::shared_ptr<Speculation> speculation_;
  std::vector<TokenId> tokens_;
  Batch batch_;
  std::optional<PageKey> root_;   // known when something is first looked for or stored
  std::vector<PageKey> keys_;     // of the first whole pages of tokens_
  std::optional<KvShift> shift_;  // endless
  int64_t n_kept_ = 0, n_evict_ = 0;
  std::vector<TokenId> dropped_;  // of the text, behind the first n_kept_
  int64_t n_stored_ = 0;          // pages that the store was given, or gave
};

}  // namespace watra::engine
