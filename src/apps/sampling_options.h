// The sampling options of the command line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/command.h"
#include "engine/sampling.h"
#include "text/tokenizer.h"

namespace watra::apps {

// What the options fill; sampling_params() turns it into parameters for a model's vocabulary.
struct SamplingOptions {
  engine::SamplingParams params;
  std::vector<std::string> order;         // --samplers
  std::vector<std::string> logit_bias;    // ID=BIAS
  std::vector<std::string> dry_breakers;  // empty = the usual ones
  bool ignore_eos = false;
};

void add_sampling_options(CLI::App& command, SamplingOptions& o);

// Errors: "engine.bad_parameter", "usage.logit_bias".
Result<engine::SamplingParams> sampling_params(const Globals& g, const SamplingOptions& o,
                                               const text::Tokenizer& tokenizer);

}  // namespace watra::apps
