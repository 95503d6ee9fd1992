#include "server/task.h"

#include <algorithm>
#include <chrono>

#include "server/asked_mask.h"

namespace watra::server {

Awaitable<std::shared_ptr<ServedModel>> acquire_writer(House& house, const Exchange& exchange, std::string name) {
  auto model = co_await house.room.acquire(exchange, std::move(name));
  if (model->is_encoder())
    throw ApiError{.status = 400,
                   .code = "model_is_encoder",
                   .message = fmt::format("{} is an encoder: it turns texts into vectors (/v1/embeddings) and writes "
                                          "nothing; name a model that writes, /v1/models lists what is here",
                                          model->id()),
                   .param = "model"};
  co_return model;
}

namespace {

// Templates know two words for it: a switch (Qwen and its kin), and a measure (gpt-oss).
void set_effort(const Fields& f, std::string_view field, const std::string& effort, Json& variables) {
  static constexpr std::string_view kKnown[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
  if (std::ranges::find(kKnown, effort) == std::end(kKnown))
    f.refuse(field, "none, minimal, low, medium, high, xhigh or max");
  variables["enable_thinking"] = effort != "none";
  if (effort != "none") variables["reasoning_effort"] = effort;
}

}  // namespace

Json template_variables(const ServedModel& model, const Fields& fields) {
  Json variables = model.manner().template_variables;
  if (!variables.is_object()) variables = Json::object();
  if (const auto effort = fields.text("reasoning_effort")) set_effort(fields, "reasoning_effort", *effort, variables);
  if (const Json* reasoning = fields.find("reasoning"); reasoning && reasoning->is_object()) {
    const Fields f(*reasoning, fields.name("reasoning"));
    if (const auto effort = f.text("effort")) set_effort(f, "effort", *effort, variables);
  }
  if (const Json* config = fields.find("output_config"); config && config->is_object()) {
    const Fields f(*config, fields.name("output_config"));
    if (const auto effort = f.text("effort")) set_effort(f, "effort", *effort, variables);
  }
  if (const Json* thinking = fields.find("thinking"); thinking && thinking->is_object()) {
    static constexpr std::string_view kKnown[] = {"enabled", "adaptive", "between_tools", "disabled"};
    const Fields f(*thinking, fields.name("thinking"));
    const std::string type = f.required_text("type");
    if (std::ranges::find(kKnown, type) == std::end(kKnown))
      f.refuse("type", "enabled, adaptive, between_tools or disabled");
    f.integer("budget_tokens", 0);
    variables["enable_thinking"] = type != "disabled";
  }
  if (const auto thinks = fields.boolean("enable_thinking")) variables["enable_thinking"] = *thinks;
  if (const Json* given = fields.object("chat_template_kwargs"))
    for (const auto& [name, value] : given->items())
      if (name != "messages" && name != "tools") variables[name] = value;
  return variables;
}

ServedModel::Prompt chat_prompt(const ServedModel& model, const Json& messages, const Toolbox& tools,
                                const Fields& fields) {
  const Json variables = template_variables(model, fields);
  return model.render(messages, tools.shown(), &variables);
}

ChatTask chat_task(const ServedModel& model, const Json& messages, const Toolbox& tools, const Fields& fields) {
  auto rendered = chat_prompt(model, messages, tools, fields);
  const bool goes_on = read_endless(fields, model).wanted;
  if (!goes_on) check_context(model, rendered.ids.size(), "messages");
  const std::string tail = rendered.template_text();
  bool thinks = ends_in_reasoning(tail);
  if (rendered.continues) {  // it stands inside its thoughts or behind them
    const std::string& begun = rendered.spans.back().text;
    thinks = (thinks || begun.starts_with("<think>")) && begun.find("</think>") == std::string::npos;
  }
  ChatTask task{.prompt = std::move(rendered.ids), .stop = std::move(rendered.stop)};
  if (goes_on) {
    const Json variables = template_variables(model, fields);
    task.n_beginning = count_beginning(model, messages, tools.shown(), &variables, task.prompt);
  }
  task.format.reasoning_open = thinks;
  task.thoughts = thinks                                                         ? Thoughts::open
                  : rendered.continues || ends_after_reasoning(tail)             ? Thoughts::none
                  : model.template_source().find("<think>") != std::string::npos ? Thoughts::possible
                                                                                 : Thoughts::none;
  if (tools.in_use()) {
    task.format.tools = model.tool_format();
    task.format.offered = tools.names();
    task.format.only_calls = tools.choice == Toolbox::Choice::required || tools.choice == Toolbox::Choice::named;
  }
  return task;
}

void ChatTask::complete(WriteOptions& generate, const ServedModel& model) const {
  generate.stop.insert(generate.stop.end(), stop.begin(), stop.end());
  keep_beginning(generate.endless, n_beginning, model.n_ctx());
}

namespace {

AskedShape or_own(AskedShape asked, const ServedModel& model) {
  if (asked.shape || !model.manner().shape) return asked;
  return {*model.manner().shape, "grammar", true};
}

}  // namespace

Awaitable<void> hold_chat(std::shared_ptr<ServedModel> model, ChatTask& task, const Toolbox& tools, AskedShape asked) {
  if (tools.in_use())
    asked = {shape_with_tools(tools, model->tool_format(), asked), "tools", false};
  else
    asked = or_own(std::move(asked), *model);
  if (!asked.shape) co_return;
  task.held.show_control = tools.in_use();
  task.held.field = asked.field;
  task.held.grammar =
      co_await model->grammars().compile(after_thoughts(*std::move(asked.shape), task.thoughts), asked.field);
}

Awaitable<Held> hold_text(std::shared_ptr<ServedModel> model, AskedShape asked) {
  asked = or_own(std::move(asked), *model);
  Held held{.field = asked.field};
  if (asked.shape) held.grammar = co_await model->grammars().compile(*std::move(asked.shape), asked.field);
  co_return held;
}

void check_context(const ServedModel& model, size_t n_prompt, const std::string& prompt_field, bool answers) {
  const auto n = static_cast<int64_t>(n_prompt);
  if (n + (answers ? 1 : 0) <= model.n_ctx()) return;
  ApiError error{.status = 400,
                 .code = "context_length_exceeded",
                 // The beginning is OpenAI's: clients look for it.
                 .message = fmt::format("this model's maximum context length is {} tokens, and the {} has {}{}; {}",
                                        model.n_ctx(), model.is_encoder() ? "text" : "prompt", n_prompt,
                                        n == model.n_ctx() ? ", which leaves none" : "",
                                        model.n_ctx() < model.model().hparams().n_ctx_train || !model.is_encoder()
                                            ? "shorten it, or start the server with a larger --ctx"
                                            : "shorten it: this encoder knows no more"),
                 .param = prompt_field};
  error.more = {{"n_prompt_tokens", n_prompt}, {"n_ctx", model.n_ctx()}};
  throw error;
}

engine::Request make_request(std::vector<TokenId> prompt, const engine::SamplingParams& sampling,
                             const WriteOptions& generate, size_t index, const Held& held) {
  engine::Request r{.prompt = std::move(prompt), .sampling = sampling, .generate = generate};
  r.reuse_prefix = generate.reuse_prefix;
  if (generate.endless.wanted) r.endless = generate.endless.asked;
  if (held.grammar) {
    r.mask = std::make_unique<AskedMask>(held.grammar, held.field);
    r.generate.show_control = held.show_control;
    if (r.generate.ignore_end) {  // where a grammar is complete, the answer ends
      r.generate.ignore_end = false;
      std::erase_if(r.sampling.logit_bias, [](const engine::LogitBias& b) { return std::isinf(b.bias); });
    }
  }
  if (r.sampling.seed) *r.sampling.seed += index;
  return r;
}

int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string finish_word(const engine::Finished& f) {
  return f.reason == engine::FinishReason::length ? "length" : "stop";
}

Json timings_json(const engine::RequestStats& s) {
  const auto per = [](double x, int64_t n) { return n > 0 ? x / static_cast<double>(n) : 0.0; };
  const int64_t n_read = s.n_prompt - s.n_left_out - s.n_cached;
  Json timings = {{"cache_n", s.n_cached},
                  {"prompt_n", n_read},
                  {"prompt_ms", 1e3 * s.prefill_s},
                  {"prompt_per_token_ms", 1e3 * per(s.prefill_s, n_read)},
                  {"prompt_per_second", s.prefill_tokens_per_s()},
                  {"predicted_n", s.n_generated},
                  {"predicted_ms", 1e3 * s.decode_s},
                  {"predicted_per_token_ms", 1e3 * per(s.decode_s, s.n_generated)},
                  {"predicted_per_second", s.decode_tokens_per_s()}};
  if (s.n_forgotten > 0) timings["forgotten_n"] = s.n_forgotten;
  return timings;
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

Json RunningStats::progress(int64_t n_read) const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun_).count();
  return {{"total", stats_.n_prompt}, {"cache", stats_.n_cached}, {"processed", n_read}, {"time_ms", ms}};
}

Awaitable<std::vector<Whole>> collect(Answers& answers, const AnswerFormat& format, bool keep_tokens,
                                      const std::string& prompt_field) {
  std::vector<Whole> whole(answers.size());
  std::vector<AnswerReader> readers(answers.size(), AnswerReader(format));
  const auto add = [](Whole& w, AnswerReader::Parts parts) {
    w.reasoning += parts.reasoning;
    w.text += parts.content;
    gather(w.calls, parts.calls);
  };
  while (!answers.done()) {
    auto events = co_await answers.next(std::chrono::hours(1));
    for (AnswerEvent& e : events) {
      Whole& w = whole[e.index];
      AnswerReader& reader = readers[e.index];
      if (e.kind == AnswerEvent::Kind::prompt_token) {
        w.prompt.push_back(std::move(e));
        continue;
      }
      if (e.kind == AnswerEvent::Kind::reading) continue;
      if (e.kind == AnswerEvent::Kind::finished) {
        throw_if_failed(*e.finished, prompt_field);
        w.finished = *std::move(e.finished);
        w.called = reader.called() && reader.whole() && w.finished.reason == engine::FinishReason::stop;
        add(w, reader.finish());
        w.n_thoughts = std::min(reader.n_thoughts(), w.finished.stats.n_generated);
        continue;
      }
      add(w, reader.feed(e.text));
      if (keep_tokens) w.tokens.push_back(std::move(e));
    }
  }
  co_return whole;
}

}  // namespace watra::server
