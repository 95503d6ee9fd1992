#include "hub/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <new>
#include <vector>

namespace watra::hub {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

// OpenSSL's digest calls fail only without memory or without the algorithm; both are bad_alloc to us.
Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (!context_->evp || EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::span<const std::byte> data) { EVP_DigestUpdate(context_->evp, data.data(), data.size()); }

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(context_->evp, digest, &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

Result<std::string> sha256_of_file(const fs::path& path, uint64_t bytes, std::string_view label, const Watcher& watch) {
  WATRA_ASSIGN(const File file, File::open(path, File::Mode::read));
  Sha256 sha;
  std::vector<std::byte> buffer(1 << 20);
  for (uint64_t at = 0; at < bytes;) {
    if (watch.stopped()) return fail("hub.cancelled", fmt::format("checking {} was stopped", path.string()));
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), bytes - at));
    WATRA_TRY(file.read_at(at, piece));
    sha.add(piece);
    at += piece.size();
    watch.report(label, at, bytes);
  }
  return sha.hex();
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

}  // namespace watra::hub
