// SchedulerCore: the steps of a Scheduler: who takes part in the next pass, the pass, what becomes of its logits.
//
// One step is one pass: a row for every decoding sequence, then a slice of the prompts that are being read. When
// nothing is being read, rows cost little and sequences add those of their drafts, in their order, as far as it pays.
// Classes come in strict order; inside one, places in the batch go to the head of the line, and turns of reading go
// round at page ends. An encoder's pass holds whole prompts instead, and all of them end with it. One thread; only the
// door is shared.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engine/internal/kv_room.h"
#include "engine/prompt_probs.h"
#include "engine/scheduler.h"
#include "engine/slice_planner.h"

namespace watra::engine::internal {

class SchedulerCore {
 public:
  SchedulerCore(LoadedModel model, const SchedulerOptions& options, const std::optional<PageKey>& root,
                std::shared_ptr<SchedulerDoor> door);

  // Takes in what arrived and runs one pass, or uses idle time. False: there is nothing to do.
  bool step();
  // Ends every request, also those still at the door, with this error.
  void finish_all(const Error& error);
  bool has_work() const { return !requests_.empty() || !idle_tokens_.empty(); }

 private:
  struct Member {  // of the pass
    LiveRequest* request;
    int64_t n_rows;
    int64_t n_logits;  // 0 = its prompt is not read to the end
  };

  void take_in();
  void pass_turns();
  void choose();
  void let_wait(const LiveRequest& r);
  bool start(LiveRequest& r);
  bool set_up(LiveRequest& r);
  void fill_batch();
  void fill_with_texts();  // of an encoder
  void add_decoding(LiveRequest& r);
  void add_reading(LiveRequest& r, int64_t n_rows);
  void begin_pass();
  void end_pass(bool ran, double seconds);
  void after_pass();
  void after_texts();
  Status tell_prompts();
  Status tell_prompt(LiveRequest& r, int64_t first_hidden, int64_t n);
  void write(LiveRequest& r, int64_t first_logits);
  void forget(LiveRequest& r);
  static void tell_forgotten(LiveRequest& r, int64_t n_now);
  void cancel(LiveRequest& r);
  void remember(const LiveRequest& r);
  void finish(LiveRequest& r, FinishReason reason, std::optional<Error> error = {});
  int64_t n_places() const;  // of the batch, since the last choice
  void sweep();              // forgets the finished
  void publish();            // that, and the state of things

  LoadedModel model_;
  Forward& forward_;
  const bool is_encoder_;
  SchedulerOptions options_;
  std::shared_ptr<SchedulerDoor> door_;
  std::shared_ptr<SamplerWorkspace> workspace_;
  KvRoom::Requests requests_, arrivals_;
  KvRoom room_;
  SlicePlanner slices_;
  std::shared_ptr<PassTimes> times_;  // of passes that only decode
  PromptProbs prompt_probs_;
  uint64_t turn_ = 0, last_place_ = 0;
  enum class Wait : uint8_t { nobody, for_a_place, for_pages };
  std::array<Wait, kPriorities> waits_{};  // the first who waits of each class, since the last choice

  std::vector<LiveRequest*> selected_, decoders_, readers_;
  std::vector<Member> members_;
  int64_t n_decode_ = 0, n_draft_ = 0, n_slice_ = 0;  // rows of the pass
  int64_t n_drafted_ = 0, n_accepted_ = 0;            // since the start
  std::vector<TokenId> idle_tokens_;  // of the answer finished last, while something is left to do for it
  double n_expected_ = 0;             // tokens it is expected to give
  Batch batch_;
};

Error no_memory_for_answer();

}  // namespace watra::engine::internal
