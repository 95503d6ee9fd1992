// watra bench --answers: the same questions answered with each way of drafting in turn, in one process.
#pragma once

#include <string>
#include <vector>

#include "apps/drafting.h"
#include "apps/sampling_options.h"

namespace watra::apps {

struct AnswersOptions {
  std::string model, file;
  std::vector<std::string> methods{"none", "auto"};  // as --draft takes them; the first is compared with
  DraftOptions draft;
  SamplingOptions sampling;
  int64_t max_tokens = 128;
  int rounds = 1;
  bool idle = false;  // drafts read between answers, as they do while a person types
  // What drafts taught is kept under the home folder and taken up by the next bench, each way of drafting for itself;
  // otherwise every bench begins with nothing.
  bool learn = false;
};

// FILE: a JSON list; each entry a list of messages, or a text to continue. Every round answers each entry with each
// method; drafts keep what they learn from one entry to the next, as in a conversation.
Status bench_answers(const Globals& g, const AnswersOptions& o);

}  // namespace watra::apps
