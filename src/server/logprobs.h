// Log-probabilities in the words of OpenAI's APIs, and their pairing with text: an entry leaves with the text that
// completes its bytes, so that the bytes of the entries are the bytes of the content.
#pragma once

#include <deque>

#include "server/answers.h"

namespace watra::server {

struct LogprobEntry {
  TokenId token = text::kNoToken;
  std::string bytes;
  double logprob = 0;
  std::vector<Probable> top;
};

class LogprobQueue {
 public:
  explicit LogprobQueue(const ServedModel& model) : model_(model) {}
  void add(const AnswerEvent& event);
  // The entries whose bytes lie within the text given out so far, `text` included.
  std::vector<LogprobEntry> take(std::string_view text);
  // At the end: the rest, or (a stop string cut the text) only what of it was given out.
  std::vector<LogprobEntry> finish(bool cut);

 private:
  const ServedModel& model_;
  std::deque<LogprobEntry> waiting_;
  size_t n_text_ = 0, n_given_ = 0;  // bytes
};

Json chat_logprobs(const std::vector<LogprobEntry>& entries, const ServedModel& model, int32_t n_top);

// logprob as JSON: what is impossible is a very small number, as OpenAI writes it.
double finite_logprob(double logprob);

}  // namespace watra::server
