// Letters nobody can guess, for names of things.
#pragma once

#include <cstddef>
#include <string>

namespace watra {

// n of 0-9 and a-z, each as likely as the others, from the system's source of randomness. Any thread may call.
std::string random_letters(size_t n);

}  // namespace watra
