// How tokens are chosen, read from a request: the names of OpenAI, llama.cpp, vLLM and Ollama for the same things.
#pragma once

#include <chrono>
#include <optional>

#include "engine/request.h"
#include "server/endless_wish.h"
#include "server/fields.h"
#include "server/served_model.h"

namespace watra::server {

// Whose word counts where ranges differ. OpenAI's: a seed is a whole number that every reader of JSON keeps, a bias
// lies between -100 and 100. llama.cpp's (and Ollama's, who hands them on): a seed of up to 64 bits, of which -1 and
// 2^32-1 are a random one, any bias.
enum class Ranges : uint8_t { openai, llamacpp };

// temperature, top_p, top_k, min_p, penalties, DRY, XTC, Mirostat, seed, logit_bias, samplers, ignore_eos ... What is
// absent keeps the engine's default. Throws ApiError (400, `param`) for what is out of range.
engine::SamplingParams read_sampling(const Fields& fields, const ServedModel& model, Ranges ranges = Ranges::openai);

// llama.cpp's letters for samplers ("edskypmxt"), as names; nothing where one is none of them.
std::optional<std::vector<std::string>> sampler_names_of_letters(std::string_view letters);

// The field "seed" alone: none is a random one; what is absent leaves it.
void read_seed(const Fields& fields, Ranges ranges, std::optional<uint64_t>& seed);
// One bias, which stands at `place` ("logit_bias.5"); -inf forbids.
float read_bias(const std::string& place, const Json& value, Ranges ranges);

// The engine's options, and what else a request may say about the writing of its answer.
struct WriteOptions : engine::GenerateOptions {
  bool reuse_prefix = true;                             // cache_prompt: what the cache holds of the prompt is not read
  std::optional<std::chrono::milliseconds> patience{};  // t_max_predict_ms: after it the next new line is the end
  EndlessWish endless{};                                // context_shift, n_keep, n_discard
};

// `stop`, `cache_prompt`, `t_max_predict_ms`, and the limit of tokens under the given names; the first that is present
// counts. -1 = until the end. llama.cpp's id_slot means nothing here and is held to its range, as is n_probs where it
// is not read.
WriteOptions read_generate(const Fields& fields, std::initializer_list<std::string_view> limit_names,
                           const ServedModel& model);

// Refuses, by name, what would change the answer and is not possible here. `obeyed`: such a field that the route obeys.
void refuse_unsupported(const Fields& fields, std::string_view obeyed = {});

}  // namespace watra::server
