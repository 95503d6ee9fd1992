// The conversation in the terminal: history, multi-line input, commands, answers that can be stopped.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/sampling_options.h"
#include "base/machine_load.h"
#include "engine/loaded_plan.h"
#include "engine/session.h"
#include "engine/suffix_proposer.h"
#include "text/chat_prompt.h"

namespace watra::apps {

// One model with what it takes to talk to it. Shared by the one-shot answer and the conversation.
class Talk {
 public:
  // raw, or a model without a chat template: the text is continued instead of answered.
  static Result<std::unique_ptr<Talk>> create(const Globals& g, engine::LoadedModel model, bool raw);

  bool chats() const { return prompt_.has_value(); }
  const engine::LoadedModel& model() const { return session_.model(); }
  engine::Session& session() { return session_; }
  const Globals& globals() const { return globals_; }

  // Ids of a conversation (or, without a template, of the last message's text).
  Result<std::vector<text::TokenId>> prompt_ids(const nlohmann::ordered_json& messages) const;

  // The conversation goes on when the context is full; what stands in front of the first message is kept
  // (Session::go_endless). Before the first answer.
  Status go_endless(const std::string& system);

  // What was said before, for drafts: conversations of this model that are kept on disk, and those this process ended.
  // Null where there is no room for it.
  std::shared_ptr<const engine::SuffixHistory> history() const { return history_; }
  // The conversation is over; its text stays in history().
  void remember();

  struct Answer {
    engine::PrefillReport prefill;
    engine::GenerateReport generated;
    std::string stopped_by;  // "" or the reason an answer ended early, for people
    MachineLoad during;      // of the system while it was written
    ClockRate clock_before;
  };
  // Reads what is new in the conversation, with a progress bar, then writes the answer. `show` gets its text as it
  // comes.
  Result<Answer> answer(const nlohmann::ordered_json& messages, const SamplingOptions& sampling,
                        const engine::GenerateOptions& options, const std::function<void(std::string_view)>& show,
                        const std::atomic<bool>* cancel);

 private:
  Talk(const Globals& g, engine::LoadedModel model);
  const Globals& globals_;
  engine::Session session_;
  std::optional<text::ChatPrompt> prompt_;
  std::shared_ptr<engine::SuffixHistory> history_;
  bool told_of_store_ = false;
};

struct ChatOptions {
  std::string system;
  SamplingOptions sampling;
  engine::GenerateOptions generate;
  engine::DraftsInUse drafts;  // for the prediction beside each answer
};

// Until the person leaves. Reads standard input, answers on standard output, everything else on standard error.
Status converse(Talk& talk, ChatOptions options);

}  // namespace watra::apps
