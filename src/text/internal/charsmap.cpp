#include "text/internal/charsmap.h"

#include <cstring>

namespace watra::text {
namespace {

// One unit of a Darts-clone double array: bits 0-7 label, 8 has-leaf, 10-30 offset (in steps of 256 if bit 9 is set); a
// leaf keeps its value in bits 0-30 and has bit 31 set.
uint32_t label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_leaf(uint32_t unit) { return unit >> 8 & 1; }
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & 1u << 9) >> 6); }
uint32_t value(uint32_t unit) { return unit & ~(1u << 31); }

}  // namespace

Result<Charsmap> Charsmap::parse(const std::vector<uint8_t>& table) {
  Charsmap map;
  if (table.empty()) return map;
  const auto bad = [](std::string message) {
    return fail("text.bad_vocab", std::move(message), "convert the model again");
  };
  if (table.size() < 4) return bad("the normalizer table is cut off");
  const uint32_t trie_bytes = table[0] | table[1] << 8 | table[2] << 16 | static_cast<uint32_t>(table[3]) << 24;
  if (trie_bytes % 4 != 0 || trie_bytes > table.size() - 4) {
    return bad(fmt::format("the normalizer table's trie has {} bytes, {} are there", trie_bytes, table.size() - 4));
  }
  map.units_.resize(trie_bytes / 4);
  for (size_t i = 0; i < map.units_.size(); ++i) {
    const uint8_t* const b = table.data() + 4 + 4 * i;
    map.units_[i] = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
  }
  map.replacements_.assign(table.begin() + 4 + trie_bytes, table.end());
  return map;
}

std::optional<Charsmap::Match> Charsmap::longest(std::string_view text) const {
  std::optional<Match> best;
  if (units_.empty()) return best;
  size_t node = offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || label(units_[node]) != byte) break;
    const uint32_t unit = units_[node];
    node ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    const size_t begin = value(units_[node]);
    const size_t end = begin < replacements_.size() ? replacements_.find('\0', begin) : std::string::npos;
    if (end == std::string::npos) break;
    best = Match{i + 1, std::string_view(replacements_).substr(begin, end - begin)};
  }
  return best;
}

}  // namespace watra::text
