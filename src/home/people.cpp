#include "home/people.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <utf8proc.h>

#include <array>
#include <charconv>

#include "home/ids.h"

namespace watra::home {
namespace {

constexpr size_t kShortest = 8, kLongest = 256;  // characters of a password
constexpr int64_t kUnusedMs = int64_t{90} * 24 * 3600 * 1000;
constexpr int64_t kMarkEveryMs = 3600 * 1000;  // a use is written down this often
constexpr size_t kLongestDevice = 200;

// scrypt: 128 r N bytes of memory. What the hash was made with stands beside it, so that it can be raised later.
constexpr uint64_t kN = 1 << 15, kR = 8, kP = 1;
constexpr size_t kSaltBytes = 16, kHashBytes = 32;

std::string hex(const unsigned char* bytes, size_t n) {
  std::string text;
  for (size_t i = 0; i < n; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

template <size_t N>
std::string random_hex() {
  std::array<unsigned char, N> random;
  if (RAND_bytes(random.data(), static_cast<int>(N)) != 1)
    refuse("home.no_randomness", "the system gave no random bytes");
  return hex(random.data(), N);
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, 32> digest;
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return hex(digest.data(), digest.size());
}

// The salt goes in as the text it is kept as.
std::string scrypt(std::string_view password, std::string_view salt, uint64_t n, uint64_t r, uint64_t p) {
  std::array<unsigned char, kHashBytes> hash;
  constexpr uint64_t kMostMemory = 256 << 20;
  if (EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()), salt.size(),
                     n, r, p, kMostMemory, hash.data(), hash.size()) != 1)
    refuse("home.no_scrypt", "the password cannot be hashed", "free some memory: it takes 32 MiB");
  return hex(hash.data(), hash.size());
}

// "scrypt:N:r:p:salt:hash"
std::string hash_of(std::string_view password) {
  const std::string salt = random_hex<kSaltBytes>();
  return fmt::format("scrypt:{}:{}:{}:{}:{}", kN, kR, kP, salt, scrypt(password, salt, kN, kR, kP));
}

bool is_hash_of(std::string_view kept, std::string_view password) {
  std::array<std::string_view, 6> fields;
  for (auto& field : fields) {
    const size_t colon = kept.find(':');
    field = kept.substr(0, colon);
    kept.remove_prefix(colon == std::string_view::npos ? kept.size() : colon + 1);
  }
  std::array<uint64_t, 3> cost{};
  for (size_t i = 0; i < cost.size(); ++i)
    std::from_chars(fields[i + 1].data(), fields[i + 1].data() + fields[i + 1].size(), cost[i]);
  if (fields[0] != "scrypt" || fields[5].empty())
    refuse("store.broken_row", "the password's hash is of a kind that this Watra does not know",
           "`watra password` sets a new one");
  const std::string hash = scrypt(password, fields[4], cost[0], cost[1], cost[2]);
  return hash.size() == fields[5].size() && CRYPTO_memcmp(hash.data(), fields[5].data(), hash.size()) == 0;
}

// The same letters typed on another keyboard are the same password (NFC).
std::string composed(std::string_view text) {
  utf8proc_uint8_t* out = nullptr;
  const auto n =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &out, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (n < 0) return std::string(text);
  std::string composed(reinterpret_cast<const char*>(out), static_cast<size_t>(n));
  free(out);
  return composed;
}

size_t n_characters(std::string_view text) {
  size_t n = 0;
  for (const unsigned char c : text) n += (c & 0xc0) != 0x80;
  return n;
}

std::optional<std::string> kept_hash(Database& db) {
  Statement s = db.query("SELECT hash FROM password");
  return s.step() ? std::optional(s.text(0)) : std::nullopt;
}

std::optional<Session> row_of(Statement& s) {
  if (!s.step()) return std::nullopt;
  return Session{s.text(0), s.integer(1), s.text(2)};
}

}  // namespace

std::string random_secret() { return random_hex<32>(); }

Result<bool> People::has_password() const {
  return guarded([&] { return kept_hash(db_).has_value(); });
}

Result<bool> People::is_password(std::string_view password) const {
  return guarded([&] {
    const auto hash = kept_hash(db_);
    return hash && is_hash_of(*hash, composed(password));
  });
}

Status People::set_password(std::string_view password, std::string_view keep) {
  WATRA_TRY(guarded([&] {
    const std::string text = composed(password);
    const size_t n = n_characters(text);
    if (n < kShortest || n > kLongest)
      refuse("home.bad_password",
             fmt::format("a password has {} to {} characters, this one has {}", kShortest, kLongest, n));
    const std::string hash = hash_of(text);
    Transaction t(db_);
    db_.run("DELETE FROM password");
    db_.run("INSERT INTO password(hash, at_ms) VALUES(?, ?)", hash, now_ms());
    db_.run("DELETE FROM sessions WHERE id <> ?", keep);
    t.commit();
  }));
  tell_end();
  return {};
}

Result<People::Begun> People::begin_session(std::string_view device) {
  return guarded([&] {
    const std::string secret = random_secret();
    const Session session{make_id("s_"), now_ms(), std::string(device.substr(0, kLongestDevice))};
    Transaction t(db_);
    db_.run("DELETE FROM sessions WHERE used_ms < ?", session.since_ms - kUnusedMs);
    db_.run("INSERT INTO sessions(id, secret_hash, since_ms, used_ms, device) VALUES(?,?,?,?,?)", session.id,
            sha256(secret), session.since_ms, session.since_ms, session.device);
    t.commit();
    return Begun{session, secret};
  });
}

Result<std::optional<Session>> People::find_session(std::string_view secret) const {
  return guarded([&] {
    const std::string hash = sha256(secret);
    const int64_t now = now_ms();
    std::optional<Session> found;
    int64_t used_ms = now;
    {
      Statement s =
          db_.query("SELECT id, since_ms, device, used_ms FROM sessions WHERE secret_hash = ? AND used_ms >= ?", hash,
                    now - kUnusedMs);
      found = row_of(s);
      if (found) used_ms = s.integer(3);
    }
    if (now - used_ms > kMarkEveryMs) db_.run("UPDATE sessions SET used_ms = ? WHERE secret_hash = ?", now, hash);
    return found;
  });
}

Result<std::optional<Session>> People::session(std::string_view id) const {
  return guarded([&] {
    Statement s = db_.query("SELECT id, since_ms, device FROM sessions WHERE id = ?", id);
    return row_of(s);
  });
}

Result<int64_t> People::n_sessions() const {
  return guarded([&] {
    Statement s = db_.query("SELECT count(*) FROM sessions WHERE used_ms >= ?", now_ms() - kUnusedMs);
    s.step();
    return s.integer(0);
  });
}

Status People::end_session(std::string_view id) {
  WATRA_TRY(guarded([&] { db_.run("DELETE FROM sessions WHERE id = ?", id); }));
  tell_end();
  return {};
}

Status People::end_all_sessions() {
  WATRA_TRY(guarded([&] { db_.run("DELETE FROM sessions"); }));
  tell_end();
  return {};
}

void People::on_end(std::function<void()> told) {
  const std::lock_guard lock(mutex_);
  told_ = std::move(told);
}

void People::tell_end() const {
  const std::lock_guard lock(mutex_);
  if (told_) told_();
}

}  // namespace watra::home
