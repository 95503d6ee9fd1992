#include "engine/generation.h"

#include <algorithm>

namespace watra::engine {

std::string_view finish_reason_name(FinishReason r) {
  switch (r) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::error:
      break;
  }
  return "error";
}

Result<Generation> Generation::create(const text::Tokenizer& tokenizer, Sampler& sampler,
                                      const GenerateOptions& options, int64_t n_prompt, int64_t n_ctx) {
  WATRA_ASSIGN(StopMatcher stops, StopMatcher::create(options.stop));
  const int64_t room = n_ctx - n_prompt;
  return Generation(tokenizer, sampler, std::move(stops),
                    options.max_tokens < 0 ? room : std::min(options.max_tokens, room), options);
}

Generation::Generation(const text::Tokenizer& tokenizer, Sampler& sampler, StopMatcher stops, int64_t limit,
                       const GenerateOptions& options)
    : tokenizer_(tokenizer),
      sampler_(sampler),
      detokenizer_(tokenizer, false, options.show_control),
      stops_(std::move(stops)),
      limit_(limit),
      ignore_end_(options.ignore_end) {
  constexpr size_t kTextBytes = 512;  // what one token sets free, as a rule
  text_.reserve(kTextBytes);
  if (limit_ <= 0) finish_ = FinishReason::length;
}

Result<Generation::Step> Generation::next(std::span<const float> logits) {
  WATRA_ASSIGN(const SampleResult sampled, sampler_.sample(logits, static_cast<uint64_t>(n_tokens_)));
  Step step{.logprob = sampled.logprob, .top = sampled.top};
  text_.clear();
  if (!ignore_end_ && tokenizer_.ends_generation(sampled.token)) {
    step.text = end(FinishReason::stop);
    step.finished = true;
    return step;
  }
  WATRA_TRY(sampler_.accept(sampled.token));
  step.token = sampled.token;
  ++n_tokens_;
  const auto out = stops_.feed(detokenizer_.feed(sampled.token));
  text_ += out.text;
  if (out.stop) {
    end(FinishReason::stop);
  } else if (n_tokens_ >= limit_) {
    end(FinishReason::length);
  }
  step.text = text_;
  step.finished = finished();
  return step;
}

int32_t child_with(const Draft& draft, int32_t parent, TokenId token) {
  for (size_t i = static_cast<size_t>(parent + 1); i < draft.nodes.size(); ++i)
    if (draft.nodes[i].parent == parent && draft.nodes[i].token == token) return static_cast<int32_t>(i);
  return -1;
}

std::string_view Generation::end(FinishReason reason) {
  const size_t n_shown = text_.size();
  finish_ = reason;
  if (!stops_.stopped()) {
    // What the limit cut off in the middle of a character is no character.
    if (reason != FinishReason::length) text_ += stops_.feed(detokenizer_.finish()).text;
    text_ += stops_.finish();
  }
  return std::string_view(text_).substr(n_shown);
}

}  // namespace watra::engine
