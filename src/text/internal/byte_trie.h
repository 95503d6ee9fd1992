// ByteTrie: strings -> values, walked byte by byte. Filled once, then read by any thread.
#pragma once

#include <array>
#include <string_view>

#include "text/internal/piece_map.h"

namespace watra::text {

class ByteTrie {
 public:
  static constexpr int32_t kNone = -1;

  ByteTrie() { root_.fill(kNone); }

  void insert(std::string_view key, int32_t value) {
    int32_t node = 0;
    for (const char c : key) {
      const auto byte = static_cast<unsigned char>(c);
      int32_t child = step(node, byte);
      if (child == kNone) {
        child = static_cast<int32_t>(values_.size());
        values_.push_back(kNone);
        if (node == 0) {
          root_[byte] = child;
        } else {
          edges_.insert(node, byte, {0, child});
        }
      }
      node = child;
    }
    if (node != 0 && values_[static_cast<size_t>(node)] == kNone) values_[static_cast<size_t>(node)] = value;
  }

  // The child of `node` (0 = root) for this byte, or kNone.
  int32_t step(int32_t node, unsigned char byte) const {
    if (node == 0) return root_[byte];
    return edges_.find(node, byte).id;
  }
  int32_t value(int32_t node) const { return values_[static_cast<size_t>(node)]; }
  bool starts(unsigned char byte) const { return root_[byte] != kNone; }

 private:
  std::array<int32_t, 256> root_;
  PairMap edges_;
  std::vector<int32_t> values_{kNone};
};

}  // namespace watra::text
