// What the reference tokenizers think of a code point: general category, white space, and what the NFC and BERT
// normalizers do with it. The table is read out of Hugging Face `tokenizers` by tools/unicode/make_char_classes.py,
// because ids are only identical when every character falls into the same class; the system's Unicode libraries are
// older or newer.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace watra::text {

using CharClass = uint16_t;  // low five bits: general category; above: flags

namespace category {
enum : CharClass {
  cn,
  lu,
  ll,
  lt,
  lm,
  lo,
  mn,
  mc,
  me,
  nd,
  nl,
  no,
  pc,
  pd,
  ps,
  pe,
  pi,
  pf,
  po,
  sm,
  sc,
  sk,
  so,
  zs,
  zl,
  zp,
  cc,
  cf,
  co
};
}

inline constexpr CharClass kCategoryMask = 31;
inline constexpr CharClass kSpace = 1 << 5;  // \s of the split patterns (Unicode White_Space)
inline constexpr CharClass kNfcUnsafe =
    1 << 6;  // may change, reorder or combine under NFC; all others are NFC boundaries
inline constexpr CharClass kBertDrop = 1 << 7;    // control characters the BERT normalizer deletes
inline constexpr CharClass kBertPunct = 1 << 8;   // punctuation of the BERT and Falcon splitters
inline constexpr CharClass kBertAccent = 1 << 9;  // nonspacing marks, deleted after NFD
inline constexpr CharClass kDigit = 1 << 10;  // numeric for the digit splitter (may know a newer Unicode than \p{N})

class CharClasses {
 public:
  static const CharClasses& get();  // built on first use

  CharClass operator[](char32_t c) const { return pages_[index_[c >> 7] + (c & 127)]; }

 private:
  CharClasses();
  std::array<uint32_t, 0x110000 / 128> index_;  // start of the page in pages_
  std::vector<CharClass> pages_;                // equal pages are stored once
};

inline bool is_letter(CharClass c) {
  const CharClass k = c & kCategoryMask;
  return k >= category::lu && k <= category::lo;
}
inline bool is_mark(CharClass c) {
  const CharClass k = c & kCategoryMask;
  return k >= category::mn && k <= category::me;
}
inline bool is_number(CharClass c) {
  const CharClass k = c & kCategoryMask;
  return k >= category::nd && k <= category::no;
}
inline bool is_space(CharClass c) { return c & kSpace; }

}  // namespace watra::text
