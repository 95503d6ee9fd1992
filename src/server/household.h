// Household: what the routes of /watra/v1 share. All of it outlives them.
#pragma once

#include "home/home.h"
#include "home/jobs.h"
#include "server/hearth.h"
#include "server/limits.h"
#include "server/model_room.h"
#include "server/slow_work.h"

namespace watra::server {

struct Household {
  home::Home& home;
  home::Jobs& jobs;
  Hearth& hearth;
  ModelRoom& room;
  const Limits& limits;
  SlowWork& slow;
};

}  // namespace watra::server
