// SlicePlanner: how many tokens of a prompt a pass may read, from how long passes took.
//
// With decoding sequences in the pass a slice may lengthen their step by decode_gap_s; without, a pass of reading takes
// about read_pass_s, so that progress shows and a newcomer need not wait. Pure arithmetic, no clock.
#pragma once

#include <cstdint>

namespace watra::engine {

class SlicePlanner {
 public:
  SlicePlanner(double decode_gap_s, double read_pass_s, int64_t max_rows);

  // Rows to read beside n_decode rows; at least 1 if max_rows leaves any.
  int64_t slice_rows(int64_t n_decode) const;
  void measured(int64_t n_decode, int64_t n_slice, double seconds);

 private:
  double decode_gap_s_, read_pass_s_;
  int64_t max_rows_;
  double decode_s_ = 0;  // a pass without reading; 0 = not measured yet
  double row_s_ = 0;     // one more row of reading
  int64_t largest_ = 0;  // slice measured so far: growth goes in doublings
};

}  // namespace watra::engine
