#include "mutator.h"

#include <algorithm>
#include <cstring>

namespace watra::fuzz {

Mutator::Mutator(uint64_t seed, size_t max_bytes, std::vector<std::string> dictionary)
    : state_(seed), max_bytes_(max_bytes), dictionary_(std::move(dictionary)) {}

// splitmix64 (Steele, Lea, Flood 2014)
uint64_t Mutator::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t Mutator::below(uint64_t n) { return n ? next() % n : 0; }

void Mutator::mutate(std::string& input, const std::vector<std::string>& others) {
  // Mostly few changes: an input that is wrong in one place gets further.
  const uint64_t n = 1 + (below(2) ? 0 : below(8));
  for (uint64_t i = 0; i < n; ++i) mutate_once(input, others);
  if (input.size() > max_bytes_) input.resize(max_bytes_);
}

void Mutator::mutate_once(std::string& s, const std::vector<std::string>& others) {
  const size_t at = below(s.size() + 1);  // a gap
  const size_t byte = below(s.size());    // a byte, if there is one
  const size_t length = std::min(s.size() - at, 1 + below(below(4) ? 16 : 4096));
  switch (below(12)) {
    case 0:  // one bit
      if (!s.empty()) s[byte] = static_cast<char>(s[byte] ^ (1 << below(8)));
      break;
    case 1:  // one byte
      if (!s.empty()) s[byte] = static_cast<char>(next());
      break;
    case 2: {  // a number near an edge, in the width a length or count may have
      const uint64_t edges[] = {0,
                                1,
                                2,
                                3,
                                4,
                                8,
                                127,
                                255,
                                256,
                                65535,
                                65536,
                                s.size(),
                                s.size() - at,
                                uint64_t{1} << 31,
                                uint64_t{1} << 32,
                                uint64_t{1} << 40,
                                uint64_t{1} << 60,
                                uint64_t{1} << 63,
                                ~uint64_t{0}};
      const uint64_t v = edges[below(std::size(edges))] + below(3) - 1;
      const size_t width = size_t{1} << below(4);
      if (s.size() >= width) std::memcpy(s.data() + below(s.size() - width + 1), &v, width);
      break;
    }
    case 3: {  // a number a little larger or smaller
      const size_t width = size_t{1} << below(4);
      if (s.size() < width) break;
      char* p = s.data() + below(s.size() - width + 1);
      uint64_t v = 0;
      std::memcpy(&v, p, width);
      v += below(2) ? 1 + below(32) : 0 - (1 + below(32));
      std::memcpy(p, &v, width);
      break;
    }
    case 4:  // cut
      if (below(4) == 0) s.resize(at);
      break;
    case 5:  // take out
      s.erase(at, length);
      break;
    case 6: {  // repeat
      const std::string piece = s.substr(at, length);
      for (uint64_t i = 0, n = 1 + below(below(8) ? 3 : 200); i < n && s.size() < max_bytes_; ++i) s.insert(at, piece);
      break;
    }
    case 7: {  // a piece of the same input elsewhere, written over or put in
      const std::string piece = s.substr(at, length);
      const size_t to = below(s.size() + 1);
      if (below(2))
        s.insert(to, piece);
      else
        s.replace(to, std::min(piece.size(), s.size() - to), piece);
      break;
    }
    case 8: {  // a piece of another input
      if (others.empty()) break;
      const std::string& other = others[below(others.size())];
      const std::string piece = other.substr(below(other.size()), 1 + below(256));
      if (below(2))
        s.insert(at, piece);
      else
        s.replace(at, std::min(piece.size(), s.size() - at), piece);
      break;
    }
    case 9:  // new bytes
      s.insert(at, std::string(1 + below(16), static_cast<char>(next())));
      break;
    case 10:  // a decimal digit, where there is one
      for (size_t i = byte; i < s.size(); ++i)
        if (s[i] >= '0' && s[i] <= '9') {
          s[i] = static_cast<char>('0' + below(10));
          break;
        }
      break;
    case 11:  // a word the parser knows
      if (dictionary_.empty()) break;
      if (const std::string& word = dictionary_[below(dictionary_.size())]; below(2))
        s.insert(at, word);
      else
        s.replace(at, std::min(word.size(), s.size() - at), word);
      break;
  }
}

}  // namespace watra::fuzz
