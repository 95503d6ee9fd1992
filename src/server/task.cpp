#include "server/task.h"

#include <openssl/rand.h>

#include <array>
#include <chrono>

namespace watra::server {

ChatTask chat_task(const ServedModel& model, const Json& messages, const Json* tools, const Fields& fields) {
  Json variables = Json::object();
  if (const Json* given = fields.object("chat_template_kwargs"))
    for (const auto& [name, value] : given->items())
      if (name != "messages" && name != "tools") variables[name] = value;
  auto rendered = model.render(messages, tools, &variables);
  check_context(model, rendered.ids.size(), "messages");
  std::string tail;
  for (const auto& span : rendered.spans)
    if (!span.is_content) tail += span.text;  // a person's <think> opens nothing
  return {
      .prompt = std::move(rendered.ids), .stop = std::move(rendered.stop), .reasoning_open = ends_in_reasoning(tail)};
}

void check_context(const ServedModel& model, size_t n_prompt, const std::string& prompt_field) {
  if (static_cast<int64_t>(n_prompt) <= model.n_ctx()) return;
  ApiError error{.status = 400,
                 .code = "context_length_exceeded",
                 // The beginning is OpenAI's: clients look for it.
                 .message = fmt::format("this model's maximum context length is {} tokens, and the prompt has {}; "
                                        "shorten it, or start the server with a larger --ctx",
                                        model.n_ctx(), n_prompt),
                 .param = prompt_field};
  error.more = {{"n_prompt_tokens", n_prompt}, {"n_ctx", model.n_ctx()}};
  throw error;
}

engine::Request make_request(std::vector<TokenId> prompt, const engine::SamplingParams& sampling,
                             const engine::GenerateOptions& generate, size_t index) {
  engine::Request r{.prompt = std::move(prompt), .sampling = sampling, .generate = generate};
  if (r.sampling.seed >= 0)
    r.sampling.seed =
        static_cast<int64_t>((static_cast<uint64_t>(r.sampling.seed) + index) & uint64_t{0x7fffffffffffffff});
  return r;
}

std::string make_id(std::string_view prefix) {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::array<unsigned char, 24> random{};
  RAND_bytes(random.data(), static_cast<int>(random.size()));
  std::string id(prefix);
  for (const unsigned char b : random) id += kLetters[b % kLetters.size()];
  return id;
}

int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string finish_word(const engine::Finished& f) {
  return f.reason == engine::FinishReason::length ? "length" : "stop";
}

Json timings_json(const engine::RequestStats& s) {
  const auto per = [](double x, int64_t n) { return n > 0 ? x / static_cast<double>(n) : 0.0; };
  const int64_t n_read = s.n_prompt - s.n_cached;
  return {{"cache_n", s.n_cached},
          {"prompt_n", n_read},
          {"prompt_ms", 1e3 * s.prefill_s},
          {"prompt_per_token_ms", 1e3 * per(s.prefill_s, n_read)},
          {"prompt_per_second", s.prefill_tokens_per_s()},
          {"predicted_n", s.n_generated},
          {"predicted_ms", 1e3 * s.decode_s},
          {"predicted_per_token_ms", 1e3 * per(s.decode_s, s.n_generated)},
          {"predicted_per_second", s.decode_tokens_per_s()}};
}

void RunningStats::token() {
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  const auto now = Clock::now();
  if (stats_.n_generated++ == 0) {
    first_ = now;
    stats_.prefill_s = seconds(now - begun_);
  }
  stats_.decode_s = seconds(now - first_);
}

const engine::RequestStats& RunningStats::now(size_t n_prompt, int64_t n_cached) {
  stats_.n_prompt = static_cast<int64_t>(n_prompt);
  stats_.n_cached = n_cached;
  return stats_;
}

Awaitable<std::vector<Whole>> collect(Answers& answers, bool split_reasoning, bool reasoning_open, bool keep_tokens,
                                      const std::string& prompt_field) {
  std::vector<Whole> whole(answers.size());
  std::vector<ReasoningSplitter> splitters(answers.size(), ReasoningSplitter(split_reasoning, reasoning_open));
  while (!answers.done()) {
    auto events = co_await answers.next(std::chrono::hours(1));
    for (AnswerEvent& e : events) {
      Whole& w = whole[e.index];
      if (e.kind == AnswerEvent::Kind::prompt_token) {
        w.prompt.push_back(std::move(e));
        continue;
      }
      if (e.kind == AnswerEvent::Kind::finished) {
        throw_if_failed(*e.finished, prompt_field);
        w.finished = *std::move(e.finished);
        const auto rest = splitters[e.index].finish();
        w.reasoning += rest.reasoning;
        w.text += rest.content;
        continue;
      }
      const auto parts = splitters[e.index].feed(e.text);
      w.reasoning += parts.reasoning;
      w.text += parts.content;
      if (keep_tokens) w.tokens.push_back(std::move(e));
    }
  }
  co_return whole;
}

}  // namespace watra::server
