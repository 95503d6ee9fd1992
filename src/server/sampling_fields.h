// How tokens are chosen, read from a request: the names of OpenAI, llama.cpp, vLLM and Ollama for the same things.
#pragma once

#include <chrono>

#include "engine/request.h"
#include "server/fields.h"
#include "server/served_model.h"

namespace watra::server {

// temperature, top_p, top_k, min_p, penalties, DRY, XTC, Mirostat, seed, logit_bias, samplers, ignore_eos ... What is
// absent keeps the engine's default. Throws ApiError (400, `param`) for what is out of range.
engine::SamplingParams read_sampling(const Fields& fields, const ServedModel& model);

// The engine's options, and what else a request may say about the writing of its answer.
struct WriteOptions : engine::GenerateOptions {
  bool reuse_prefix = true;                             // cache_prompt: what the cache holds of the prompt is not read
  std::optional<std::chrono::milliseconds> patience{};  // t_max_predict_ms: after it the next new line is the end
};

// `stop`, `cache_prompt`, `t_max_predict_ms`, and the limit of tokens under the given names; the first that is present
// counts. -1 = until the end. llama.cpp's n_keep, n_discard and id_slot mean nothing here and are held to their ranges.
WriteOptions read_generate(const Fields& fields, std::initializer_list<std::string_view> limit_names,
                           const ServedModel& model);

// Refuses, by name, what would change the answer and is not possible here.
void refuse_unsupported(const Fields& fields);

}  // namespace watra::server
