#include "text/internal/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "text/internal/char_class.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// Canonical decomposition of `text` appended to `out`, marks in canonical order.
void decompose(std::string_view text, std::vector<utf8proc_int32_t>& out) {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    utf8proc_int32_t parts[8];
    int boundary = 0;
    const auto c = static_cast<utf8proc_int32_t>(utf8_next(p));
    const auto n = utf8proc_decompose_char(c, parts, 8, UTF8PROC_DECOMPOSE, &boundary);
    if (n >= 1 && n <= 8) {
      out.insert(out.end(), parts, parts + n);
    } else {
      out.push_back(c);
    }
  }
  for (size_t i = 0; i < out.size();) {
    if (combining_class(out[i]) == 0) {
      ++i;
      continue;
    }
    size_t j = i;
    while (j < out.size() && combining_class(out[j]) != 0) ++j;
    std::stable_sort(out.begin() + static_cast<ptrdiff_t>(i), out.begin() + static_cast<ptrdiff_t>(j),
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    i = j;
  }
}

void append(std::string& out, const std::vector<utf8proc_int32_t>& code_points) {
  for (const auto c : code_points) utf8_append(out, static_cast<char32_t>(c));
}

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& storage) {
  const CharClasses& classes = CharClasses::get();
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* copied = begin;    // everything before is in `storage`
  const char* boundary = begin;  // start of the last character that is safe to cut before
  std::vector<utf8proc_int32_t> segment;
  bool changed = false;
  for (const char* p = begin; p < end;) {
    if (static_cast<unsigned char>(*p) < 0xCC) {  // below U+0300 everything is NFC and starts a new segment
      boundary = p;
      p += utf8_length(*p);
      continue;
    }
    const char* const start = p;
    if (!(classes[utf8_next(p)] & kNfcUnsafe)) {
      boundary = start;
      continue;
    }
    while (p < end) {  // the segment ends before the next safe character
      const char* next = p;
      if (!(classes[utf8_next(next)] & kNfcUnsafe)) break;
      p = next;
    }
    const std::string_view original(boundary, static_cast<size_t>(p - boundary));
    segment.clear();
    decompose(original, segment);
    const auto n = utf8proc_normalize_utf32(segment.data(), static_cast<utf8proc_ssize_t>(segment.size()),
                                            static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (n >= 0) segment.resize(static_cast<size_t>(n));
    if (!changed) {
      storage.clear();
      storage.reserve(text.size());
      changed = true;
    }
    storage.append(copied, boundary);
    append(storage, segment);
    copied = boundary = p;
  }
  if (!changed) return text;
  storage.append(copied, end);
  return storage;
}

std::string to_nfd(std::string_view text) {
  std::vector<utf8proc_int32_t> code_points;
  code_points.reserve(text.size());
  decompose(text, code_points);
  std::string out;
  out.reserve(text.size());
  append(out, code_points);
  return out;
}

}  // namespace watra::text
