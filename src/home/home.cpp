#include "home/home.h"

#include "home/migrations.h"

namespace watra::home {

Home::Home(fs::path folder, std::unique_ptr<Database> db)
    : folder_(std::move(folder)), db_(std::move(db)), events_(*db_) {}

Result<std::unique_ptr<Home>> Home::open(const fs::path& folder) {
  WATRA_TRY(make_folders(folder));
  WATRA_ASSIGN(auto db, Database::open(folder / "home.db"));
  WATRA_TRY(migrate(*db));
  return std::unique_ptr<Home>(new Home(folder, std::move(db)));
}

}  // namespace watra::home
