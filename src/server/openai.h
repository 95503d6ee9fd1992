// OpenAI's API: models, chat, completions, embeddings, responses.
#pragma once

#include "server/router.h"
#include "server/sse.h"
#include "server/task.h"

namespace watra::server {

void add_openai_models(Router& router, House& house);
void add_openai_chat(Router& router, House& house);
void add_openai_completions(Router& router, House& house);
void add_openai_embeddings(Router& router, House& house);
void add_openai_responses(Router& router, House& house);

// `usage` over all answers of a request; the prompt is counted once for each prompt. Of texts there are no thoughts.
Json usage_json(const std::vector<const engine::RequestStats*>& stats, size_t n_per_prompt,
                std::optional<int64_t> n_thoughts);

// The end of a stream: `usage`, an event without choices, is completed where there is one; then "[DONE]", and numbers
// for the log line. `stats`: of all answers.
void tell_stream_end(Exchange& x, SseStream& sse, const std::vector<engine::RequestStats>& stats, size_t n_per_prompt,
                     std::optional<int64_t> n_thoughts, std::optional<Json> usage);

// OpenAI's `system_fingerprint`: answers with one seed are the same while this is.
const std::string& fingerprint();

// Vectors, one for each prompt (normalized), and the tokens read. Throws ApiError.
struct Embedded {
  std::vector<std::vector<float>> vectors;
  int64_t n_tokens = 0;
};
struct EmbedWish {
  std::string field;         // what the route calls its texts
  int64_t n_dimensions = 0;  // the first so many components, made a vector of length 1 again; 0 = all
  int norm = 2;              // PooledVector::scaled()
  bool truncate = false;     // a text longer than the context loses its end; else it is refused
};
Awaitable<Embedded> embed(Exchange& x, std::shared_ptr<ServedModel> model, std::vector<std::vector<TokenId>> prompts,
                          const EmbedWish& wish);
// `dimensions`: from 1 to what the model has. 0 = not asked for.
int64_t read_dimensions(const Fields& fields, const ServedModel& model);

// A list of the model's token ids, which stands at `place`.
std::vector<TokenId> read_token_ids(const std::string& place, const Json& list, const ServedModel& model);

// A prompt field: a text, token ids, or a list of either.
std::vector<std::vector<TokenId>> read_prompts(const Fields& fields, std::string_view name, const ServedModel& model);

}  // namespace watra::server
