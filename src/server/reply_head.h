// The head of every answer: the status, what the connection does afterwards, and what keeps a page safe.
#pragma once

#include <string>
#include <string_view>

namespace watra::server {

struct ReplyHead {
  int status = 200;
  std::string_view content_type;   // empty = nothing is said
  std::string_view cache_control;  // what may be kept of the answer
  bool keep = false;               // the connection goes on
  std::string_view extra;          // further lines, each with its end
  // The browser takes this origin for one that nobody on the way can forge: TLS, or this very machine. On others it
  // heeds no Cross-Origin-Opener-Policy and complains of it.
  bool trustworthy = false;
};

// Without the empty line behind it.
std::string reply_head(const ReplyHead& head);

}  // namespace watra::server
