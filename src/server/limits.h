// Limits: what one client may take of the server's time and memory. Each has its reason; tests set smaller ones.
#pragma once

#include <chrono>
#include <cstddef>

namespace watra::server {

struct Limits {
  size_t max_connections = 1024;             // beyond these a new one is told 503 and closed
  size_t head_bytes = 32 << 10;              // request line and headers
  size_t pipelined_bytes = 64 << 10;         // read ahead while an answer is made
  std::chrono::milliseconds idle{75'000};    // between requests of a connection
  std::chrono::milliseconds head{10'000};    // from the first byte of a request to the end of its headers
  std::chrono::milliseconds body{30'000};    // for a body, and as long again ...
  size_t body_bytes_per_s = 32 << 10;        // ... as its length takes at this rate
  std::chrono::milliseconds write{30'000};   // for the client to take one piece of an answer
  std::chrono::milliseconds ping{15'000};    // silence before a stream says that it lives
  std::chrono::milliseconds drain{4'000};    // at the end: for answers that are being written to be done ...
  std::chrono::milliseconds last_word{500};  // ... the last part of it for telling the others that they are cut; as
                                             // long as all of it: they are told at once
};

}  // namespace watra::server
