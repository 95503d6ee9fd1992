// What a request says of a full context: the answer ends there, or a part of the text is forgotten and it goes on
// (engine/forgetting.h). The names are llama.cpp's: its flag for it, and its fields.
#pragma once

#include "engine/request.h"
#include "server/fields.h"
#include "server/served_model.h"

namespace watra::server {

struct EndlessWish {
  bool wanted = false;           // context_shift; where a request says nothing, as the server was started
  engine::Endless asked;         // n_keep, n_discard
  bool says_what_stays = false;  // n_keep was given: otherwise a chat's system words stay, of a text the first page
};

// Throws ApiError (400, `param`) for what is out of range; what n_keep leaves no room is refused by the scheduler.
EndlessWish read_endless(const Fields& fields, const ServedModel& model);

// For a chat: what is kept where a request does not say it, no more than three quarters of the context.
void keep_beginning(EndlessWish& wish, int64_t n_beginning, int64_t n_ctx);

// Tokens in front of the first message that is not the system's: what two conversations of one persona share. `ids`:
// the whole prompt, rendered with these tools and variables (null = none).
int64_t count_beginning(const ServedModel& model, const Json& messages, const Json* tools, const Json* variables,
                        std::span<const TokenId> ids);

}  // namespace watra::server
