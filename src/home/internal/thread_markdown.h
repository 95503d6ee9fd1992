// A conversation as Markdown: the branch that is shown, or the columns of a compare, to be read. Words that are not
// anybody's are in the language of the page. Of export.cpp alone; inside a guarded().
#pragma once

#include "home/home.h"

namespace watra::home {

std::string thread_markdown(Home& home, const std::string& thread, const std::string& language);

}  // namespace watra::home
