#include "base/result.h"

namespace watra {

std::string Error::to_string() const {
  std::string out = fmt::format("error {}: {}", code, message);
  if (!hint.empty()) out += fmt::format("\n  try     {}", hint);
  return out;
}

}  // namespace watra
