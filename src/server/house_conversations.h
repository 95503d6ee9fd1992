// The conversation half of /watra/v1 (docs/api.md sections 6, 7, 8): routes over home/, and runs that answer.
//
// Routes are added before the server starts, by one thread. Handlers run on their connection's strand and touch the
// store there, which takes milliseconds; what is uploaded is written, read and exported on the threads of SlowWork,
// imports run on those of Jobs. Errors of home/ reach the client as house_error() has them.
#pragma once

#include <functional>

#include "server/comparing.h"
#include "server/household.h"
#include "server/router.h"
#include "server/runs.h"

namespace watra::server {

// A route that answers with one JSON (204: with nothing); `make` throws ApiError.
void add_json(Router& router, const char* method, const char* path, int status, std::function<Json(Exchange&)> make);

// `before` and `before_id`: where the page of a list before this one ended. Throws ApiError.
std::optional<home::Before> query_before(const Exchange& x);

void add_house_threads(Router& router, Household& house);            // threads, messages, search
void add_house_turns(Router& router, Household& house, Runs& runs);  // turns, runs, context, prompts
void add_house_choices(Router& router, Household& house);            // settings, presets, personas, question sets
void add_house_compares(Router& router, Household& house, Comparing& comparing);
void add_house_files(Router& router, Household& house);  // attachments, export, import

// All of them; the arguments outlive the router.
void add_house_conversations(Router& router, Household& house, Runs& runs, Comparing& comparing);

}  // namespace watra::server
