// ServedModel: a model that answers requests: its scheduler, its prompt format, and what clients are told about it.
// Immutable but for the scheduler, which may be asked from any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "server/answer_speeds.h"
#include "server/api_error.h"
#include "server/grammar_desk.h"
#include "text/chat_prompt.h"
#include "text/grammar.h"
#include "text/tool_format.h"

namespace watra::server {

using text::TokenId;

// How thoughts are told: where they stand in the text; apart (auto, deepseek); apart and there too (deepseek-legacy).
inline constexpr const char* kReasoningFormats = "none, auto, deepseek or deepseek-legacy";
inline bool is_reasoning_format(std::string_view name) {
  return name == "none" || name == "auto" || name == "deepseek" || name == "deepseek-legacy";
}

// How a model answers where neither a request nor its file says otherwise.
struct Manner {
  engine::SamplingParams sampling;
  std::string chat_template;              // in place of the file's own; empty = none
  Json template_variables;                // an object; a request's own go before them
  int64_t max_tokens = -1;                // of an answer; -1 = until its end
  bool reuse_prefix = true;               // what the cache holds of a prompt is not read again
  bool ignore_end = false;                // answers end by their limit alone
  bool endless = false;                   // where its context is full an answer forgets a part of the text and goes on
  std::optional<int64_t> n_keep;          // ... of which so many tokens stay; -1 = the prompt; nothing = system words
  bool continues = true;                  // a last message of the assistant is gone on with, instead of being answered
  std::string reasoning_format = "auto";  // is_reasoning_format()
  std::string pooling;                    // of embeddings: "mean", "cls", "last"; empty = the file's own
  int embedding_norm = 2;                 // of /embedding, PooledVector::scaled()
  std::vector<std::string> stop;          // where a request has none
  std::optional<std::vector<std::string>> dry_breakers;  // the same
  std::optional<text::Shape> shape;  // what answers are held to where a request asks for nothing and has no tools
};

class ServedModel {
 public:
  struct Names {
    std::string id;                    // catalog name or file stem
    std::vector<std::string> aliases;  // further names a request may use
    fs::path path;
  };
  // schedule.max_batch: answers at the same time. Errors: those of Scheduler::create; "template.syntax".
  static Result<std::shared_ptr<ServedModel>> create(engine::LoadedModel model, Names names,
                                                     engine::SchedulerOptions schedule, Manner manner = {});

  const std::string& id() const { return names_.id; }
  const Names& names() const { return names_; }
  const Manner& manner() const { return manner_; }
  bool answers_to(std::string_view name) const;  // any case, ":latest" or not

  engine::Scheduler& scheduler() { return *scheduler_; }
  // As the scheduler's; how fast the answer was is kept in speeds(), before its own end is told.
  Result<engine::RequestHandle> submit(engine::Request request);
  AnswerSpeeds& speeds() const { return *speeds_; }
  engine::SchedulerStats stats() const { return scheduler_->stats(); }
  const text::Tokenizer& tokenizer() const { return *scheduler_->model().tokenizer; }
  const model::Model& model() const { return *scheduler_->model().model; }
  bool is_encoder() const { return model().hparams().is_encoder; }  // gives embeddings and nothing else
  int64_t n_ctx() const { return scheduler_->model().forward->options().n_ctx; }
  int64_t n_parallel() const { return n_parallel_; }
  int64_t n_vocab() const { return tokenizer().n_vocab(); }
  int64_t created_s() const { return created_s_; }
  const std::string& quant() const { return quant_; }
  const std::string& template_source() const { return template_source_; }
  bool has_template() const { return has_template_; }
  const text::ToolFormat& tool_format() const { return tool_format_; }
  GrammarDesk& grammars() { return *grammars_; }

  // Messages in OpenAI's shape -> prompt. Where the template refuses two messages of one role, or a system message,
  // they are merged first; where it knows no tools, they are written in our own format. A last message of the assistant
  // is continued: its thoughts first, where the template knows thoughts, closed before words. `tools` may be null.
  // Throws ApiError.
  struct Prompt {
    std::vector<text::PromptSpan> spans;
    std::vector<TokenId> ids;
    std::vector<std::string> stop;  // what ends an answer where no template has a token for it
    bool continues = false;         // the last span is what the answer begins with

    // What the template wrote: a person's <think> opens nothing.
    std::string template_text() const {
      std::string out;
      for (const auto& span : spans)
        if (!span.is_content) out += span.text;
      return out;
    }
  };
  Prompt render(const Json& messages, const Json* tools, const Json* variables, bool generation_prompt = true) const;

  // Text as clients send it to be continued: BOS as the model wants it, control tokens may be written.
  std::vector<TokenId> encode(std::string_view text, bool add_special = true, bool parse_special = true) const {
    return tokenizer().encode(text, {.add_special = add_special, .parse_special = parse_special});
  }
  std::string shown(TokenId token) const { return tokenizer().token_bytes(token, true); }

  // The text of every token, for DRY's breakers; made when first asked for.
  const std::vector<std::string>& pieces() const;

 private:
  ServedModel() = default;
  std::unique_ptr<engine::Scheduler> scheduler_;
  std::optional<text::ChatPrompt> prompt_;
  text::ToolFormat tool_format_;
  std::unique_ptr<GrammarDesk> grammars_;
  std::shared_ptr<AnswerSpeeds> speeds_ = std::make_shared<AnswerSpeeds>();  // requests may outlive this
  Names names_;
  Manner manner_;
  std::string template_source_, quant_;
  int64_t created_s_ = 0, n_parallel_ = 1;
  bool has_template_ = false;
  mutable std::once_flag pieces_once_;
  mutable std::vector<std::string> pieces_;
};

}  // namespace watra::server
