#include "server/page/page.h"

#include <algorithm>
#include <charconv>

namespace watra::server {
namespace {

constexpr std::string_view kForever = "public, max-age=31536000, immutable";
constexpr std::string_view kAskEachTime = "no-cache";

constexpr std::string_view kNotBuilt =
    "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Watra</title></head>\n<body>\n"
    "<h1>Watra is running; its page was not built.</h1>\n"
    "<p>In the folder of the source:</p>\n<pre>make web\nmake build</pre>\n"
    "<p>and start it again. Everything else works meanwhile: programs reach the model under <code>/v1</code>.</p>\n"
    "<h1 lang=\"pl\">Watra działa; jej strona nie została zbudowana.</h1>\n"
    "<p lang=\"pl\">W folderze ze źródłami: <code>make web</code>, potem <code>make build</code>, i uruchom jeszcze "
    "raz.</p>\n</body>\n</html>\n";

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `each` with the parts of a comma-separated header.
template <class F>
void for_each_part(std::string_view header, F each) {
  while (!header.empty()) {
    const size_t comma = header.find(',');
    each(trimmed(header.substr(0, comma)));
    header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
  }
}

void replace_value(std::string& tag, std::string_view attribute, std::string_view value) {
  if (!is_plain_word(value)) return;
  const std::string opening = " " + std::string(attribute) + "=\"";
  const size_t at = tag.find(opening);
  if (at == std::string::npos) return;
  const size_t from = at + opening.size(), to = tag.find('"', from);
  if (to != std::string::npos) tag.replace(from, to - from, value);
}

bool takes_gzip(std::string_view accept_encoding) {
  bool takes = false;
  for_each_part(accept_encoding, [&](std::string_view part) {
    const size_t semicolon = part.find(';');
    const std::string_view name = trimmed(part.substr(0, semicolon));
    if (name != "gzip" && name != "*") return;
    const std::string_view quality =
        semicolon == std::string_view::npos ? std::string_view() : trimmed(part.substr(semicolon + 1));
    takes = quality != "q=0" && quality != "q=0.0";
  });
  return takes;
}

Awaitable<void> send_file(Exchange& x, const PageFile& file) {
  const bool is_hashed = file.path.starts_with("/assets/");
  x.cache_control = is_hashed ? kForever : kAskEachTime;
  x.extra_head += fmt::format("ETag: \"{}\"\r\n", file.tag);
  if (!file.gzip.empty()) x.extra_head += "Vary: Accept-Encoding\r\n";
  if (names_tag(x.header("If-None-Match"), file.tag)) {
    co_await x.reply(304, "", "");
    co_return;
  }
  const bool packed = !file.gzip.empty() && takes_gzip(x.header("Accept-Encoding"));
  if (packed) x.extra_head += "Content-Encoding: gzip\r\n";
  co_await x.reply(200, std::string(file.content_type), std::string((packed ? file.gzip : file.plain).view()));
}

}  // namespace

std::string language_of(std::string_view accept_language) {
  std::string best = "en";
  double best_quality = 0;
  for_each_part(accept_language, [&](std::string_view part) {
    const size_t semicolon = part.find(';');
    const std::string_view tag = trimmed(part.substr(0, semicolon));
    double quality = 1;
    if (semicolon != std::string_view::npos) {
      const std::string_view q = trimmed(part.substr(semicolon + 1));
      if (!q.starts_with("q=") || std::from_chars(q.data() + 2, q.data() + q.size(), quality).ec != std::errc()) return;
    }
    const std::string language(tag.substr(0, 2));
    const bool is_whole = tag.size() == 2 || (tag.size() > 2 && tag[2] == '-');
    if (!is_whole || (language != "pl" && language != "en") || quality <= best_quality) return;
    best = language;
    best_quality = quality;
  });
  return best;
}

bool names_tag(std::string_view if_none_match, std::string_view tag) {
  bool named = false;
  for_each_part(if_none_match, [&](std::string_view part) {
    if (part.starts_with("W/")) part.remove_prefix(2);
    named = named || part == "*" || (part.size() == tag.size() + 2 && part.substr(1, tag.size()) == tag);
  });
  return named;
}

std::string with_look(std::string_view index_html, const PageLook& look, std::string_view accept_language) {
  const size_t begin = index_html.find("<html"), end = index_html.find('>', begin);
  if (begin == std::string_view::npos || end == std::string_view::npos) return std::string(index_html);
  std::string tag(index_html.substr(begin, end - begin));
  replace_value(tag, "lang", look.language.empty() ? language_of(accept_language) : look.language);
  replace_value(tag, "data-theme", look.theme);
  replace_value(tag, "data-motion", look.motion);
  return std::string(index_html.substr(0, begin)) + tag + std::string(index_html.substr(end));
}

void add_page(Router& router, std::span<const PageFile> files, std::function<PageLook()> look) {
  const auto index = std::ranges::find(files, "/index.html", &PageFile::path);
  const PageFile* const page = index == files.end() ? nullptr : &*index;
  router.add({.method = "GET",
              .pattern = "/",
              .handler = [page, look = std::move(look)](Exchange& x) -> Awaitable<void> {
                x.cache_control = kAskEachTime;
                std::string text(kNotBuilt);
                if (page) text = with_look(page->plain.view(), look(), x.header("Accept-Language"));
                co_await x.reply(200, "text/html; charset=utf-8", std::move(text));
              },
              .dialect = Dialect::watra,
              .access = Access::open});
  for (const PageFile& file : files)
    if (&file != page)
      router.add({.method = "GET",
                  .pattern = std::string(file.path),
                  .handler = [&file](Exchange& x) { return send_file(x, file); },
                  .dialect = Dialect::watra,
                  .access = Access::open});
}

}  // namespace watra::server
