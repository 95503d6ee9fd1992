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

// The shape of /v1/completions: four lists side by side; offsets count characters.
class TextLogprobs {
 public:
  TextLogprobs(const ServedModel& model, size_t offset) : model_(model), offset_(offset) {}
  // Where the model begins, a token that is not in the text.
  void begin(std::string_view shown);
  // The n_top most probable are told, and the token itself where it is not among them.
  void add(TokenId token, std::string_view bytes, std::optional<double> logprob, const std::vector<Probable>& top,
           int32_t n_top);
  Json take(bool with_top);  // what was added since the last time

 private:
  const ServedModel& model_;
  size_t offset_;
  Json tokens_ = Json::array(), logprobs_ = Json::array(), top_ = Json::array(), offsets_ = Json::array();
};

// logprob as JSON: what is impossible is a very small number, as OpenAI writes it.
double finite_logprob(double logprob);

}  // namespace watra::server
