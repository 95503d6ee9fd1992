// PageFile: one file of the built page (web/dist), as it lies in the program. Made by cmake/page.cmake when the program
// is built; empty when the page had not been built then.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace watra::server {

struct Bytes {  // static, never freed
  const char* begin = nullptr;
  const char* end = nullptr;
  std::string_view view() const { return {begin, static_cast<size_t>(end - begin)}; }
  bool empty() const { return begin == end; }
};

struct PageFile {
  std::string_view path;  // "/assets/index-4f2a.js", "/index.html"
  std::string_view content_type;
  std::string_view tag;  // the first digits of its SHA-256
  Bytes plain;
  Bytes gzip;  // empty where compressing saves nothing
};

std::span<const PageFile> embedded_page();

}  // namespace watra::server
