// AnswerSpeeds: how fast answers were written, of those that say something about their model (docs/api.md, section 5).
//
// Left out is what a person would not meet again: answers of a few tokens, where one token's chance is the figure;
// answers beside others, who took a part of the machine; those that read again on the way; and those that repeat
// themselves, which drafts guess several tokens at a time. What remains waits here until the machine room, which looks
// once a second, takes it. Any thread may call.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/request.h"

namespace watra::server {

struct AnswerSpeed {
  double tokens_per_s = 0;  // from the first token to the last
  double tau = 1;           // tokens a pass
};

constexpr int64_t kFewestTimedTokens = 16;

// Whether more than a quarter of its runs of six tokens stood in it before: prose has hardly any, a loop nothing else.
bool repeats_itself(std::span<const text::TokenId> ids);

std::optional<AnswerSpeed> speed_of_answer(const engine::Finished& answer);

// Whether an answer had no more tokens a pass than its model's answers have: twice what the plan says of its drafts
// (nothing planned: 1.5). An answer that copies its prompt, or an earlier answer, has several times that.
bool is_of_ordinary_text(const AnswerSpeed& speed, std::optional<double> planned_tau);

class AnswerSpeeds {
 public:
  void note(const engine::Finished& answer);
  std::vector<AnswerSpeed> take();

 private:
  std::mutex mutex_;
  std::vector<AnswerSpeed> speeds_;
};

}  // namespace watra::server
