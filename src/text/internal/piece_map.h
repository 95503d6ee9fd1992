// Open-addressing tables for the hot loops: bytes -> id, and (left, right) -> value. Filled once, then read by any
// thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace watra::text {

inline uint64_t mix_bits(uint64_t x) {  // finalizer of splitmix64
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

// Eight bytes per step; only as good as a table needs.
inline uint64_t hash_bytes(std::string_view s) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ s.size();
  const char* p = s.data();
  size_t n = s.size();
  uint64_t word;
  for (; n >= 8; p += 8, n -= 8) {
    std::memcpy(&word, p, 8);
    h = (h ^ word) * 0x9FB21C651E98DF25u;
    h ^= h >> 32;
  }
  word = 0;
  if (n >= 4) {  // two overlapping halves instead of a loop over the rest
    uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + n - 4, 4);
    word = uint64_t{high} << 32 | low;
  } else if (n > 0) {
    word = static_cast<unsigned char>(p[0]) | static_cast<uint64_t>(static_cast<unsigned char>(p[n / 2])) << 8 |
           static_cast<uint64_t>(static_cast<unsigned char>(p[n - 1])) << 16;
  }
  return mix_bits(h ^ word);
}

// Bytes -> id. Does not own the bytes: keys must outlive the map. The first key wins when two are equal. reserve() sets
// the size for good: no more keys than it was given.
class PieceMap {
 public:
  void reserve(size_t n) {
    slots_.assign(std::bit_ceil(n * 2 + 2), Slot{});
    mask_ = slots_.size() - 1;
  }

  void insert(std::string_view key, int32_t id) {
    const uint64_t hash = hash_bytes(key);
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.id < 0) {
        slot = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(key.size()), key.data(), id};
        return;
      }
      if (slot.matches(hash, key)) return;
    }
  }

  // The id, or -1.
  int32_t find(std::string_view key) const { return slots_.empty() ? -1 : find(key, hash_bytes(key)); }
  int32_t find(std::string_view key, uint64_t hash) const {
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.id < 0) return -1;
      if (slot.matches(hash, key)) return slot.id;
    }
  }

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t size = 0;
    const char* data = nullptr;
    int32_t id = -1;

    bool matches(uint64_t hash, std::string_view key) const {
      return tag == static_cast<uint32_t>(hash >> 32) && size == key.size() && std::memcmp(data, key.data(), size) == 0;
    }
  };
  std::vector<Slot> slots_;
  size_t mask_ = 0;
};

// (left, right) -> {rank, id}: merges, and the edges of a trie.
class PairMap {
 public:
  struct Value {
    uint32_t rank;
    int32_t id;
  };
  static constexpr uint32_t kNoRank = UINT32_MAX;

  void reserve(size_t n) {
    slots_.assign(std::bit_ceil(n * 2 + 2), Slot{});
    mask_ = slots_.size() - 1;
  }

  // False if the pair is there already (which keeps its value).
  bool insert(int32_t left, int32_t right, Value value) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    const uint64_t key = make_key(left, right);
    for (size_t i = mix_bits(key) & mask_;; i = (i + 1) & mask_) {
      Slot& slot = slots_[i];
      if (slot.key == kEmpty) {
        slot = {key, value};
        ++size_;
        return true;
      }
      if (slot.key == key) return false;
    }
  }

  // Rank kNoRank if the pair is not there.
  Value find(int32_t left, int32_t right) const {
    const uint64_t key = make_key(left, right);
    for (size_t i = mix_bits(key) & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.key == key) return slot.value;
      if (slot.key == kEmpty) return {kNoRank, -1};
    }
  }

  size_t size() const { return size_; }

 private:
  void grow() {
    std::vector<Slot> old(std::max<size_t>(slots_.size() * 2, 16));
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    size_ = 0;
    for (const Slot& slot : old) {
      if (slot.key != kEmpty)
        insert(static_cast<int32_t>(slot.key >> 32), static_cast<int32_t>(slot.key & UINT32_MAX), slot.value);
    }
  }

  static constexpr uint64_t kEmpty = UINT64_MAX;  // no pair of ids: left would be -1
  static uint64_t make_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  struct Slot {
    uint64_t key = kEmpty;
    Value value = {kNoRank, -1};
  };
  std::vector<Slot> slots_{1};
  size_t mask_ = 0;
  size_t size_ = 0;
};

}  // namespace watra::text
