// TurnPrompt: a conversation of the house -> the prompt of a model: what home/context chose, written with the model's
// own template, and the record of it that is kept with the answer.
//
// Any thread may call; writing a long prompt takes a model's tokenizer a fraction of a second. Errors are thrown as
// ApiError.
#pragma once

#include "home/context.h"
#include "home/home.h"
#include "server/served_model.h"

namespace watra::server {

struct TurnWords {
  std::string persona, system;
  std::vector<home::ContextTurn> turns;  // oldest first
  bool go_on = false;                    // the last turn is an answer that goes on
  bool thinking = false;                 // ... inside its thoughts
  size_t n_must = 1;                     // of the last turns: home/context.h
  std::optional<std::string> sees_from;  // of the answer before
};

// The turns on the way to `path`'s end: what each says to a model. Erased ones and empty ones are left out. Throws
// what the store does.
TurnWords turn_words(home::Home& home, const std::vector<home::Message>& path, bool go_on);

struct TurnPrompt {
  std::vector<TokenId> ids;
  std::vector<std::string> stop;
  bool reasoning_open = false;  // the first words are thoughts
  Json context;                 // Context of docs/api.md
  Json record;                  // Prompt of docs/api.md; cached tokens are marked later
};

// Throws ApiError: 400 "context.too_long" with both numbers, those of the template.
TurnPrompt make_turn_prompt(const ServedModel& model, const TurnWords& words, int64_t max_tokens);

// How full the context is, without writing the prompt.
Json context_of(const ServedModel& model, const TurnWords& words, int64_t max_tokens);

// Tokens of persona and system words in a record: what stays where a part of the conversation is forgotten.
int64_t n_beginning(const Json& record);

// Which spans the first `n_cached` tokens are.
void mark_cached(Json& record, int64_t n_cached);

// What a model's template is called: by the marks it writes.
std::string template_name(const ServedModel& model);

}  // namespace watra::server
