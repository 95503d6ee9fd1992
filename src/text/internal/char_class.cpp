#include "text/internal/char_class.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace watra::text {
namespace {

constexpr uint32_t kRuns[] = {
#include "text/internal/char_class_table.inc"
};
constexpr uint32_t kClassBits = 11;

}  // namespace

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

CharClasses::CharClasses() {
  constexpr uint32_t kPage = 128;
  std::map<std::array<CharClass, kPage>, uint32_t> known;
  std::array<CharClass, kPage> page;
  size_t run = 0;
  for (uint32_t p = 0; p < index_.size(); ++p) {
    const uint32_t first = p * kPage;
    const auto ends = [&](size_t r) { return r + 1 < std::size(kRuns) ? kRuns[r + 1] >> kClassBits : 0x110000u; };
    if (p > 0 && ends(run) >= first + kPage && kRuns[run] >> kClassBits <= first - kPage) {
      index_[p] = index_[p - 1];  // the run covers the page before and this one
      continue;
    }
    for (uint32_t i = 0; i < kPage; ++i) {
      while (ends(run) <= first + i) ++run;
      page[i] = static_cast<CharClass>(kRuns[run] & ((1u << kClassBits) - 1));
    }
    const auto [entry, inserted] = known.try_emplace(page, static_cast<uint32_t>(pages_.size()));
    if (inserted) pages_.insert(pages_.end(), page.begin(), page.end());
    index_[p] = entry->second;
  }
}

}  // namespace watra::text
