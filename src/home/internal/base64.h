// Base64 (RFC 4648, with padding): bytes inside JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watra::home {

std::string base64_of(std::string_view bytes);
// Nothing when it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace watra::home
