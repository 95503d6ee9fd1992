#include "home/attachments.h"

#include <utf8proc.h>

#include <tuple>

#include "home/check.h"
#include "home/ids.h"
#include "hub/sha256.h"

namespace watra::home {
namespace {

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto n = utf8proc_iterate(at + i, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    if (n <= 0 || c == 0) return false;
    i += static_cast<size_t>(n);
  }
  return true;
}

int64_t number(std::string_view bytes, size_t at, int n, bool big) {
  int64_t x = 0;
  for (int i = 0; i < n; ++i)
    x |= int64_t{static_cast<unsigned char>(bytes[at + static_cast<size_t>(i)])} << 8 * (big ? n - 1 - i : i);
  return x;
}

std::optional<std::pair<int64_t, int64_t>> jpeg_size(std::string_view b) {
  for (size_t at = 2; at + 9 < b.size();) {
    if (b[at] != '\xff') return std::nullopt;
    const auto marker = static_cast<unsigned char>(b[at + 1]);
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return std::pair(number(b, at + 7, 2, true), number(b, at + 5, 2, true));
    at += 2 + static_cast<size_t>(number(b, at + 2, 2, true));
  }
  return std::nullopt;
}

Status move_here(const fs::path& from, const fs::path& to) {
  std::error_code ec;
  fs::permissions(from, fs::perms::owner_read | fs::perms::owner_write, ec);
  if (ec) return fail("file.io", fmt::format("the rights of {} cannot be set: {}", from.string(), ec.message()));
  return rename_durable(from, to);
}

}  // namespace

std::optional<std::pair<int64_t, int64_t>> image_size(std::string_view b) {
  if (b.starts_with("\x89PNG\r\n\x1a\n") && b.size() >= 24)
    return std::pair(number(b, 16, 4, true), number(b, 20, 4, true));
  if ((b.starts_with("GIF87a") || b.starts_with("GIF89a")) && b.size() >= 10)
    return std::pair(number(b, 6, 2, false), number(b, 8, 2, false));
  if (b.starts_with("\xff\xd8")) return jpeg_size(b);
  if (b.starts_with("RIFF") && b.size() >= 30 && b.substr(8, 4) == "WEBP") {
    if (b.substr(12, 4) == "VP8X") return std::pair(number(b, 24, 3, false) + 1, number(b, 27, 3, false) + 1);
    if (b.substr(12, 4) == "VP8 ") return std::pair(number(b, 26, 2, false) & 0x3fff, number(b, 28, 2, false) & 0x3fff);
    if (b.substr(12, 4) == "VP8L") {
      const int64_t bits = number(b, 21, 4, false);
      return std::pair((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1);
    }
  }
  return std::nullopt;
}

bool Attachment::is_text() const {
  for (const std::string_view text : {"text/", "application/json", "application/xml", "application/javascript",
                                      "application/yaml", "application/toml", "application/x-sh"})
    if (mime.starts_with(text)) return true;
  return false;
}

Result<Attachment> Attachments::keep(std::string_view content, const std::string& name, const std::string& mime,
                                     const fs::path& from) {
  return guarded([&] {
    checked_text(name, "X-Watra-Name", 1, 255);
    checked_text(mime, "Content-Type", 1, 255);
    if (content.empty()) refuse_field("body", "at least one byte");
    if (content.size() > kMostAttachmentBytes)
      refuse("request.too_large", fmt::format("an attachment has up to {} MiB", kMostAttachmentBytes >> 20));
    hub::Sha256 sha;
    sha.add(std::as_bytes(std::span(content.data(), content.size())));
    Attachment a{.hash = sha.hex(), .name = name, .mime = mime, .bytes = static_cast<int64_t>(content.size())};
    // What reads as text is text, whatever it was called; what does not, is not.
    if (a.is_text() && !is_utf8(content)) a.mime = "application/octet-stream";
    if (a.mime == "application/octet-stream" && is_utf8(content)) a.mime = "text/plain";
    if (const auto size = image_size(content)) std::tie(a.width, a.height) = *size;
    value_or_refuse(make_folders(folder_));
    const fs::path to = folder_ / a.hash;
    if (!fs::exists(to)) value_or_refuse(from.empty() ? write_file_atomic(to, content, 0600) : move_here(from, to));
    Transaction t(db_);
    db_.run("INSERT INTO attachments VALUES(?,?,?,?,?,?,?) ON CONFLICT(hash) DO NOTHING", a.hash, a.name, a.mime,
            a.bytes, a.width, a.height, now_ms());
    // The last use of the same content may just have been erased, and its file with it.
    if (!fs::exists(to)) value_or_refuse(write_file_atomic(to, content, 0600));
    t.commit();
    return a;
  });
}

Result<Attachment> Attachments::find(const std::string& hash) const {
  return guarded([&] {
    Statement s = db_.query("SELECT hash, name, mime, bytes, width, height FROM attachments WHERE hash = ?", hash);
    if (!s.step()) refuse("attachment.unknown", fmt::format("there is no attachment {}", hash));
    return Attachment{s.text(0), s.text(1), s.text(2), s.integer(3), s.maybe_integer(4), s.maybe_integer(5)};
  });
}

Result<std::string> Attachments::content(const std::string& hash) const {
  WATRA_ASSIGN(const Attachment a, find(hash));
  return read_text_file(folder_ / a.hash, kMostAttachmentBytes);
}

}  // namespace watra::home
