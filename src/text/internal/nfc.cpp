#include "text/internal/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "text/internal/char_class.h"
#include "text/internal/utf8.h"

namespace watra::text {
namespace {

// Marks of Unicode 10 and later: the reference's normalizer has the tables of Unicode 9, to which these are not marks,
// so it leaves them where they stand. Found by asking it about every code point.
constexpr utf8proc_int32_t kLaterMarks[][2] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
    {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
    {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x1193D, 0x1193E},
    {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x16FF0, 0x16FF1}, {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}};

int combining_class(utf8proc_int32_t c) {
  const int combining = utf8proc_get_property(c)->combining_class;
  if (combining == 0) return 0;
  const auto* range = std::lower_bound(std::begin(kLaterMarks), std::end(kLaterMarks), c,
                                       [](const auto& r, utf8proc_int32_t value) { return r[1] < value; });
  return range != std::end(kLaterMarks) && (*range)[0] <= c ? 0 : combining;
}

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
