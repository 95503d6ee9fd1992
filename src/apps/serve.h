// What `watra serve` and its twin `watra llama-server` share: from options to a server that runs until it is told to
// stop.
#pragma once

#include "apps/drafting.h"
#include "server/served_model.h"

namespace watra::apps {

struct ServeOptions {
  std::string model;                 // name or path; empty = none yet
  std::string alias;                 // what the model is called in answers, instead of its file's name
  std::vector<std::string> aliases;  // further names it answers to
  std::string host = "127.0.0.1";
  int port = 8686;
  int64_t n_parallel = 32;
  bool lan = false, no_auth = false;
  std::vector<std::string> allow_hosts, cors_origins;
  std::string token_file, token;
  std::vector<std::string> more_tokens;  // beside `token`
  std::string path_prefix;               // of every route; empty = none
  int http_threads = 2;                  // for HTTP, templates, tokenizing
  server::Manner manner;                 // how it answers where a request says nothing
  bool list_shelf = true;                // models on the shelf may be named in requests
  bool one_model = false;                // the one named at the start, whatever requests call it; there is no page
  bool tells_slots = true;
  DraftOptions draft;
  bool page = false;             // the page, and all of /watra/v1
  bool open = false;             // in the browser
  std::vector<std::string> tls;  // certificate, key; empty = none
  int ollama_port = -1;          // a second socket for programs that speak Ollama's API; -1 = none
};

void add_open(CLI::App& app, Globals& g, Handler& chosen);
void add_password(CLI::App& app, Globals& g, Handler& chosen);

// Blocks until SIGTERM or SIGINT. Errors: those of Server::create and of loading the model.
Status serve(const Globals& g, const ServeOptions& o);

}  // namespace watra::apps
