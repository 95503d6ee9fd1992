// check_request: all that can be said of a request before its body is read: whether it is meant for this server, who
// asks and whether they may, which route it is for, and whether its body could be taken.
//
// Pure but for `x`, in which it notes who asks, the route's parameters and dialect, and headers of the answer. On the
// connection's strand. Throws ApiError: 400, 401, 403, 404, 405, 413, 415, 421, 503.
#pragma once

#include <optional>
#include <string>

#include "server/connection.h"

namespace watra::server {

struct RequestHead {  // what Exchange does not say
  size_t n_hosts = 0;
  std::string target_host;  // where the target names a server, as it is written to proxies
  std::optional<uint64_t> content_length;
  std::string local_address;  // that the client reached
};

struct CheckedRequest {
  const Route* route = nullptr;  // null for a preflight alone
  bool is_preflight = false;     // of a page that may read answers: answered at once
};

CheckedRequest check_request(Exchange& x, const Shared& shared, const RequestHead& head);

ApiError body_too_large(const Route& route);
ApiError server_stopping();

}  // namespace watra::server
