// Anthropic's Messages API: /v1/messages and /v1/messages/count_tokens.
#pragma once

#include "server/router.h"
#include "server/task.h"

namespace watra::server {

void add_anthropic(Router& router, House& house);

}  // namespace watra::server
