#include "text/chat_prompt.h"

#include <nlohmann/json.hpp>

#include "text/prompt_encode.h"

namespace watra::text {

ChatPrompt::ChatPrompt(ChatTemplate chat_template, std::shared_ptr<const Tokenizer> tokenizer)
    : template_(std::move(chat_template)), tokenizer_(std::move(tokenizer)) {}

Result<ChatPrompt> ChatPrompt::create(std::string_view template_source, std::shared_ptr<const Tokenizer> tokenizer) {
  WATRA_ASSIGN(ChatTemplate parsed, ChatTemplate::parse(template_source));
  return ChatPrompt(std::move(parsed), std::move(tokenizer));
}

Result<RenderedPrompt> ChatPrompt::render(const ChatPromptInput& input) const {
  using Json = nlohmann::ordered_json;
  Json variables = {{"messages", input.messages ? *input.messages : Json::array()},
                    {"tools", input.tools ? *input.tools : Json(nullptr)},
                    {"documents", nullptr},
                    {"add_generation_prompt", input.add_generation_prompt}};
  const VocabSpec& spec = tokenizer_->spec();
  const auto special = [&](const char* name, TokenId id) {
    if (id >= 0) variables[name] = spec.pieces[static_cast<size_t>(id)];
  };
  special("bos_token", spec.bos);
  special("eos_token", spec.eos);
  special("unk_token", spec.unk);
  special("pad_token", spec.pad);
  if (input.variables)
    for (const auto& [name, value] : input.variables->items()) variables[name] = value;
  RenderedPrompt out;
  WATRA_ASSIGN(out.spans, template_.render({.variables = &variables, .now_unix_seconds = input.now_unix_seconds}));
  out.ids = encode_spans(*tokenizer_, out.spans);
  return out;
}

}  // namespace watra::text
