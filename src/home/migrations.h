// Migrations: how home.db became what it is, one step a version. A step is never edited once it has been released: what
// changes is a new step at the end. All steps that are missing run in one transaction, so a file is of one version or
// of the next, never between.
#pragma once

#include "home/database.h"

namespace watra::home {

int newest_version();

// Brings the file to newest_version() (or, for tests, to `version`). Errors: "store.newer" for a file written by a
// later Watra; those of the database.
Status migrate(Database& db, int version = newest_version());

}  // namespace watra::home
