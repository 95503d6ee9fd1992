// A task of writing: what every API's request becomes before it is handed to the scheduler, and what its answer is
// told in.
#pragma once

#include <chrono>

#include "server/answer_reader.h"
#include "server/answers.h"
#include "server/ids.h"
#include "server/limits.h"
#include "server/model_file.h"
#include "server/model_room.h"
#include "server/sampling_fields.h"
#include "server/slow_work.h"
#include "server/tools.h"

namespace watra::server {

// What all handlers use; outlives them.
struct House {
  ModelRoom& room;
  const Limits& limits;
  SlowWork& slow;
  ModelFiles& files;
  bool tells_slots = true;  // GET /slots
};

// The model a request names, for routes that have it write. Throws ApiError: as ModelRoom::acquire; 400 for an encoder.
Awaitable<std::shared_ptr<ServedModel>> acquire_writer(House& house, const Exchange& exchange, std::string name);

// What an answer is held to while it is written.
struct Held {
  std::shared_ptr<const text::Grammar> grammar;  // null = nothing
  std::string field;                             // that asked for it
  bool show_control = false;                     // control tokens the grammar allows are part of the text
};

struct ChatTask {
  std::vector<TokenId> prompt;
  std::vector<std::string> stop;  // of the format, beside the request's
  int64_t n_beginning = 0;        // tokens of the system words, where the answer may go on behind its context
  AnswerFormat format;
  Thoughts thoughts = Thoughts::none;
  Held held;

  // What the format and the conversation add to it.
  void complete(WriteOptions& generate, const ServedModel& model) const;
};

// What the template is given beside the messages: the server's own variables, how much the model shall think
// (reasoning_effort and reasoning.effort of OpenAI, output_config.effort and thinking of Anthropic, enable_thinking of
// many), chat_template_kwargs. Throws ApiError.
Json template_variables(const ServedModel& model, const Fields& fields);

// Renders and encodes; `fields` as template_variables() reads them. However long: check_context() says what fits.
// Throws ApiError.
ServedModel::Prompt chat_prompt(const ServedModel& model, const Json& messages, const Toolbox& tools,
                                const Fields& fields);

// The same as a task, whose prompt fits, or will be made to fit (`fields`: context_shift). Throws ApiError.
ChatTask chat_task(const ServedModel& model, const Json& messages, const Toolbox& tools, const Fields& fields);

// Compiles what answers are held to, if anything. Throws ApiError.
Awaitable<void> hold_chat(std::shared_ptr<ServedModel> model, ChatTask& task, const Toolbox& tools, AskedShape asked);
Awaitable<Held> hold_text(std::shared_ptr<ServedModel> model, AskedShape asked);

// 400 context_length_exceeded with both numbers, before anything is handed in. `answers`: a token of an answer has to
// fit behind the prompt.
void check_context(const ServedModel& model, size_t n_prompt, const std::string& prompt_field, bool answers = true);

engine::Request make_request(std::vector<TokenId> prompt, const engine::SamplingParams& sampling,
                             const WriteOptions& generate, size_t index = 0, const Held& held = {});

int64_t now_s();

// "stop", "length"; an answer that failed has thrown before.
std::string finish_word(const engine::Finished& finished);

// llama.cpp's `timings`.
Json timings_json(const engine::RequestStats& stats);

// What is known of an answer while it is written; seconds are those seen from here.
class RunningStats {
 public:
  void token();  // one more has come
  const engine::RequestStats& now(size_t n_prompt, int64_t n_cached);
  Json progress(int64_t n_read) const;  // llama.cpp's `prompt_progress`; after now()

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun_ = Clock::now(), first_;
  engine::RequestStats stats_;
};

// A whole answer, for replies that are not streams.
struct Whole {
  std::string text, reasoning;
  std::vector<ToolCall> calls;
  bool called = false;              // it ended with calls, and the last is whole
  int64_t n_thoughts = 0;           // tokens of reasoning
  std::vector<AnswerEvent> tokens;  // with logprobs, when they were asked for
  std::vector<AnswerEvent> prompt;  // prompt_token events
  engine::Finished finished;
};
Awaitable<std::vector<Whole>> collect(Answers& answers, const AnswerFormat& format, bool keep_tokens,
                                      const std::string& prompt_field);
// For texts that are not chats: everything is text.
inline AnswerFormat plain_text() { return {.split_reasoning = false}; }

}  // namespace watra::server
