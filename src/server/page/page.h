// add_page: the routes of the page itself: `/`, its assets, and what is said where the page was not built.
//
// index.html leaves with the settings in its first tag (docs/api.md, section 2), so that nothing flashes. Assets have
// hashed names and never change: a browser asks for each of them once.
#pragma once

#include <functional>
#include <string>

#include "server/page/page_files.h"
#include "server/router.h"

namespace watra::server {

// What the first tag says. Values that are no plain words are left as they are in the file.
struct PageLook {
  std::string language;  // "pl", "en"; empty = what the browser asks for
  std::string theme, motion;
};

// `look` is asked for each time the page is served, from any thread. `files` outlive the router.
void add_page(Router& router, std::span<const PageFile> files, std::function<PageLook()> look);

// <html lang data-theme data-motion> replaced. `accept_language`: the browser's header.
std::string with_look(std::string_view index_html, const PageLook& look, std::string_view accept_language);

// Of "en-GB,en;q=0.9,pl;q=0.8" the one the page speaks that is wanted most; English when it speaks none.
std::string language_of(std::string_view accept_language);

// Whether an If-None-Match header names this tag.
bool names_tag(std::string_view if_none_match, std::string_view tag);

}  // namespace watra::server
