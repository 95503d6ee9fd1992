// Log-probabilities in the words of OpenAI's APIs, and their pairing with text: text and entries leave together, as
// many whole tokens as end with a whole character, so that the bytes of the entries are the bytes of the content, in
// every event of a stream.
#pragma once

#include <deque>

#include "server/answer_reader.h"
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
  struct Told {
    std::string text;
    std::vector<LogprobEntry> entries;
  };
  // A token has come, with the text that is certain now: what of both can be told. Without log-probabilities all text.
  Told add(const AnswerEvent& event);
  // At the end: the rest; of entries, where a stop string cut the text, only what of them is in it.
  Told finish(bool cut);

 private:
  void drop_unfinished();

  const ServedModel& model_;
  std::deque<LogprobEntry> waiting_;
  std::string held_;  // text of which a token's entry waits for more
};

// The same for APIs that tell them of an answer's words alone, not of thoughts and calls.
class WordLogprobs {
 public:
  explicit WordLogprobs(const ServedModel& model) : queue_(model) {}
  // What the AnswerReader is to be fed; what it makes of it goes to take().
  std::string add(const AnswerEvent& event) { return keep(queue_.add(event)); }
  std::string finish(bool cut) { return keep(queue_.finish(cut)); }
  std::vector<LogprobEntry> take(const AnswerReader::Parts& parts);

 private:
  std::string keep(LogprobQueue::Told told);
  LogprobQueue queue_;
  std::vector<LogprobEntry> waiting_;  // of text that the reader holds back
};
// Of a whole answer.
std::vector<LogprobEntry> word_logprobs(const ServedModel& model, const AnswerFormat& format,
                                        const std::vector<AnswerEvent>& tokens, bool cut);

// A list of tokens with theirs, n_top others each.
Json logprob_list(const std::vector<LogprobEntry>& entries, const ServedModel& model, int32_t n_top);
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
