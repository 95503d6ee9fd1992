// TlsContext: the person's own certificate, for --tls CERT KEY. Made once, before the server starts; afterwards its
// connections only read it, from any thread.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/file.h"

namespace watra::server {

struct TlsContext {
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_server};
};

// PEM files: the certificate with its chain, and its key. TLS 1.2 and newer. Error "server.bad_certificate" (which
// file, what OpenSSL says).
Result<std::shared_ptr<TlsContext>> tls_context(const fs::path& certificate, const fs::path& key);

}  // namespace watra::server
