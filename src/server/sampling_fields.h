// How tokens are chosen, read from a request: the names of OpenAI, llama.cpp, vLLM and Ollama for the same things.
#pragma once

#include "engine/request.h"
#include "server/fields.h"
#include "server/served_model.h"

namespace watra::server {

// temperature, top_p, top_k, min_p, penalties, DRY, XTC, Mirostat, seed, logit_bias, samplers, ignore_eos ... What is
// absent keeps the engine's default. Throws ApiError (400, `param`) for what is out of range.
engine::SamplingParams read_sampling(const Fields& fields, const ServedModel& model);

// `stop` and the limit of tokens under the given names; the first that is present counts. -1 = until the end.
engine::GenerateOptions read_generate(const Fields& fields, std::initializer_list<std::string_view> limit_names);

// Refuses, by name, what would change the answer and is not possible here.
void refuse_unsupported(const Fields& fields);

}  // namespace watra::server
