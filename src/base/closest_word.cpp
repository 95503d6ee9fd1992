#include "base/closest_word.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <vector>

namespace watra {
namespace {

constexpr size_t kLettersPerSlip = 3;  // a shorter word with a slip in it may be any other
constexpr size_t kTellingStart = 3;    // letters that make a beginning worth offering

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

size_t edit_distance(std::string_view a_typed, std::string_view b_typed) {
  const std::string a = lower(a_typed), b = lower(b_typed);
  std::vector<size_t> two_ago(b.size() + 1), before(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    two_ago.swap(before);
    before.swap(row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], two_ago[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view closest_word(std::string_view typed, std::span<const std::string> known) {
  std::string_view nearest, longer;
  size_t fewest = std::max<size_t>(1, typed.size() / kLettersPerSlip) + 1;
  const std::string word = lower(typed);
  for (const std::string& candidate : known) {
    const size_t slips = edit_distance(typed, candidate);
    if (slips < fewest && slips < candidate.size()) fewest = slips, nearest = candidate;
    const std::string other = lower(candidate);
    if (longer.empty() && std::min(word.size(), other.size()) >= kTellingStart &&
        (other.starts_with(word) || word.starts_with(other)))
      longer = candidate;
  }
  return nearest.empty() ? longer : nearest;
}

}  // namespace watra
