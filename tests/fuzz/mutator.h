// Mutator: changes an input a little, the way bytes get damaged and the way attackers damage them. Deterministic in its
// seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace watra::fuzz {

class Mutator {
 public:
  Mutator(uint64_t seed, size_t max_bytes, std::vector<std::string> dictionary);

  // `others` are whole inputs to take pieces from.
  void mutate(std::string& input, const std::vector<std::string>& others);
  uint64_t below(uint64_t n);  // uniform enough; 0 for n = 0

 private:
  void mutate_once(std::string& input, const std::vector<std::string>& others);
  uint64_t next();

  uint64_t state_;
  size_t max_bytes_;
  std::vector<std::string> dictionary_;
};

}  // namespace watra::fuzz
