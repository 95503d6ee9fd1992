#include "server/reply_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace watra::server {
namespace {

std::string_view reason_of(int status) {
  static constexpr std::pair<int, std::string_view> kReasons[] = {{200, "OK"},
                                                                  {201, "Created"},
                                                                  {202, "Accepted"},
                                                                  {204, "No Content"},
                                                                  {304, "Not Modified"},
                                                                  {400, "Bad Request"},
                                                                  {401, "Unauthorized"},
                                                                  {403, "Forbidden"},
                                                                  {404, "Not Found"},
                                                                  {405, "Method Not Allowed"},
                                                                  {409, "Conflict"},
                                                                  {413, "Payload Too Large"},
                                                                  {415, "Unsupported Media Type"},
                                                                  {421, "Misdirected Request"},
                                                                  {429, "Too Many Requests"},
                                                                  {431, "Request Header Fields Too Large"},
                                                                  {500, "Internal Server Error"},
                                                                  {501, "Not Implemented"},
                                                                  {503, "Service Unavailable"},
                                                                  {507, "Insufficient Storage"}};
  const auto* it = std::ranges::find(kReasons, status, &std::pair<int, std::string_view>::first);
  return it == std::end(kReasons) ? "Status" : it->second;
}

// What leaves with every answer: nothing of it may be framed, sniffed, or run unless it is this server's own.
constexpr std::string_view kSafety =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; img-src 'self' blob:; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

}  // namespace

std::string reply_head(const ReplyHead& head) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, reason_of(head.status));
  if (!head.content_type.empty()) text += fmt::format("Content-Type: {}\r\n", head.content_type);
  text += fmt::format("Cache-Control: {}\r\n", head.cache_control);
  text += kSafety;
  if (head.trustworthy) text += "Cross-Origin-Opener-Policy: same-origin\r\n";
  text += head.keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  text += head.extra;
  return text;
}

}  // namespace watra::server
