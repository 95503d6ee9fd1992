#include "home/fold.h"

#include <utf8proc.h>

namespace watra::home {
namespace {

// Letters whose stroke is no mark of its own.
utf8proc_int32_t without_stroke(utf8proc_int32_t c) {
  switch (c) {
    case 0x141:
    case 0x142:
      return 'l';
    case 0x110:
    case 0x111:
      return 'd';
    case 0xd8:
    case 0xf8:
      return 'o';
    default:
      return c;
  }
}

template <class Emit>
void fold(std::string_view text, Emit emit) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                                           UTF8PROC_STRIPMARK | UTF8PROC_IGNORE);
  constexpr utf8proc_ssize_t kMost = 32;  // the longest decomposition has 18
  utf8proc_int32_t parts[kMost];
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto n = utf8proc_iterate(at + i, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    if (n <= 0) {  // a byte that is no character: nobody searches for it
      ++i;
      continue;
    }
    int boundary = 0;
    const auto n_parts = utf8proc_decompose_char(without_stroke(c), parts, kMost, kOptions, &boundary);
    for (utf8proc_ssize_t k = 0; k < n_parts && k < kMost; ++k) {
      utf8proc_uint8_t bytes[4];
      const auto length = utf8proc_encode_char(without_stroke(parts[k]), bytes);
      emit(std::string_view(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)), i);
    }
    i += static_cast<size_t>(n);
  }
}

}  // namespace

std::string folded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  fold(text, [&](std::string_view bytes, size_t) { out += bytes; });
  return out;
}

Folded folded_with_places(std::string_view text) {
  Folded out;
  fold(text, [&](std::string_view bytes, size_t at) {
    out.text += bytes;
    out.from.insert(out.from.end(), bytes.size(), static_cast<uint32_t>(at));
  });
  out.from.push_back(static_cast<uint32_t>(text.size()));
  return out;
}

}  // namespace watra::home
