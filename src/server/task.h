// A task of writing: what every API's request becomes before it is handed to the scheduler, and what its answer is
// told in.
#pragma once

#include <chrono>

#include "server/answers.h"
#include "server/limits.h"
#include "server/model_room.h"
#include "server/reasoning.h"

namespace watra::server {

// What all handlers use; outlives them.
struct House {
  ModelRoom& room;
  const Limits& limits;
};

struct ChatTask {
  std::vector<TokenId> prompt;
  std::vector<std::string> stop;  // of the format, beside the request's
  bool reasoning_open = false;    // the prompt ends inside a reasoning block
};

// Renders and encodes; `fields` may carry chat_template_kwargs. Throws ApiError.
ChatTask chat_task(const ServedModel& model, const Json& messages, const Json* tools, const Fields& fields);

// 400 context_length_exceeded with both numbers, before anything is handed in.
void check_context(const ServedModel& model, size_t n_prompt, const std::string& prompt_field);

engine::Request make_request(std::vector<TokenId> prompt, const engine::SamplingParams& sampling,
                             const engine::GenerateOptions& generate, size_t index = 0);

std::string make_id(std::string_view prefix);  // "chatcmpl-" and 24 random characters
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

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun_ = Clock::now(), first_;
  engine::RequestStats stats_;
};

// A whole answer, for replies that are not streams.
struct Whole {
  std::string text, reasoning;
  std::vector<AnswerEvent> tokens;  // with logprobs, when they were asked for
  std::vector<AnswerEvent> prompt;  // prompt_token events
  engine::Finished finished;
};
Awaitable<std::vector<Whole>> collect(Answers& answers, bool split_reasoning, bool reasoning_open, bool keep_tokens,
                                      const std::string& prompt_field);

}  // namespace watra::server
