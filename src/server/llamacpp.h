// The routes of llama.cpp's server that clients have come to rely on: health, properties, metrics, tokens, completion.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_llamacpp_state(Router& router, House& house);       // /health /props /slots /metrics
void add_llamacpp_text(Router& router, House& house);        // /tokenize /detokenize /apply-template
void add_llamacpp_completion(Router& router, House& house);  // /completion /infill

// One prompt: a text, token ids, or a list that mixes both. `given` stands at `place`; null = it is absent. Throws
// ApiError.
std::vector<TokenId> read_mixed(const std::string& place, const Json* given, const ServedModel& model,
                                bool add_special = true, bool parse_special = true);
// The list alone, in which the first part may begin as the model wants a text to begin.
std::vector<TokenId> read_mixed_list(const std::string& place, const Json& list, const ServedModel& model,
                                     bool add_special = true, bool parse_special = true);
// Settings by llama.cpp's names.
Json sampling_json(const engine::SamplingParams& params);

}  // namespace watra::server
