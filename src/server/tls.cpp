#include "server/tls.h"

namespace watra::server {

Result<std::shared_ptr<TlsContext>> tls_context(const fs::path& certificate, const fs::path& key) {
  namespace ssl = boost::asio::ssl;
  auto tls = std::make_shared<TlsContext>();
  boost::system::error_code ec;
  tls->context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 |
                           ssl::context::single_dh_use);
  const auto refused = [&](const fs::path& file) {
    return fail("server.bad_certificate", fmt::format("--tls cannot use {}: {}", file.string(), ec.message()),
                "two PEM files: --tls CERTIFICATE KEY, the key without a passphrase and of this certificate");
  };
  tls->context.use_certificate_chain_file(certificate.string(), ec);
  if (ec) return refused(certificate);
  tls->context.use_private_key_file(key.string(), ssl::context::pem, ec);
  if (ec) return refused(key);
  return tls;
}

}  // namespace watra::server
