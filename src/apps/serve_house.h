// The page's half of `watra serve`: what is remembered, who may come in, the page itself and the routes of /watra/v1;
// and the words that tell a person where to find it.
#pragma once

#include <memory>

#include "apps/serve.h"
#include "server/model_room.h"
#include "server/server.h"

namespace watra::apps {

class ServedHouse {
 public:
  // Opens $WATRA_HOME/home.db. Errors: those of home::Home::open.
  static Result<std::unique_ptr<ServedHouse>> open(const Globals& g, const ServeOptions& o, const fs::path& home);
  ~ServedHouse();

  server::Entrance& entrance();
  std::vector<server::ShelfEntry> shelf() const;  // what the room may load
  void room_changed();                            // for ModelRoom::Options::changed
  // Before the server starts. Errors: "usage.size" and others of the options.
  Status add(server::Server& server, server::ModelRoom& room, const server::Limits& limits);
  // On standard error: the address a person opens, and what --lan means. With --open it is opened.
  void show_the_way(const server::Server& server);
  // What still runs of ours ends. Before the room goes.
  void close();

 private:
  struct Impl;
  explicit ServedHouse(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Has this home a password? Never makes a home.
bool home_has_password(const fs::path& home);

// The address that lets one browser in, once.
std::string entering_address(const std::string& url, const std::string& code);
// Opens an address in the person's browser; false where there is no screen, or nothing that opens addresses.
bool open_in_browser(const std::string& address);

}  // namespace watra::apps
