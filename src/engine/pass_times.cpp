#include "engine/pass_times.h"

#include <algorithm>
#include <cmath>

namespace watra::engine {
namespace {

// What a row costs beyond the first, in passes over one row, where nothing was measured: kernels for few rows are flat
// to about four (bench: `watra bench --verify`), then arithmetic takes as long as memory.
double assumed_ratio(int64_t n_rows) {
  const auto n = static_cast<double>(n_rows);
  return n <= 4 ? 1 + 0.05 * (n - 1) : 1.15 + 0.12 * (n - 4);
}

// How much of a pass's deviation from what was expected is the whole machine's: ten passes follow a lasting change.
constexpr double kFollow = 0.1;
// Before a point has so many samples of its own, its deviation says more about the point than about the machine.
constexpr uint32_t kKnown = 3;
// So far from the median is no noise; the second time in a row it is the new truth.
constexpr double kSurprise = 1.4;
// A row is never quite free: its attention, norms and logits are its own.
constexpr double kLeastSlope = 0.005;

}  // namespace

PassTimes::PassTimes(int64_t max_rows) : seconds_(static_cast<size_t>(std::max<int64_t>(max_rows, 1))) {
  const auto most = static_cast<int64_t>(seconds_.size());
  // Every M up to 32, then four points an octave.
  for (int64_t n = 1, step = 1; n <= most; n += step) {
    points_.push_back({.n_rows = n});
    if (n >= 32) step = std::max<int64_t>(1, static_cast<int64_t>(std::exp2(std::floor(std::log2(n))) / 4));
  }
}

size_t PassTimes::point_of(int64_t n_rows) const {
  const auto after =
      std::lower_bound(points_.begin(), points_.end(), n_rows, [](const Point& p, int64_t n) { return p.n_rows < n; });
  return static_cast<size_t>(std::min(after, points_.end() - 1) - points_.begin());
}

void PassTimes::measured(int64_t n_rows, double seconds) {
  if (n_rows < 1 || !(seconds > 0)) return;
  since_single_ = n_rows == 1 ? 0 : since_single_ + 1;
  most_measured_ = std::max(most_measured_, std::min(n_rows, static_cast<int64_t>(seconds_.size())));
  Point& p = points_[point_of(n_rows)];
  if (p.n >= kKnown) {
    const double off = seconds / (scale_ * p.median);
    const bool surprise = off > kSurprise || off < 1 / kSurprise;
    if (!surprise) scale_ *= std::pow(off, kFollow);
    if (surprise && p.surprised) {
      p.samples.fill(seconds / scale_);
      p.n = kKnown;
    }
    p.surprised = surprise;
  }
  p.samples[p.n++ % kSamples] = seconds / scale_;
  std::array<double, kSamples> sorted = p.samples;
  const size_t n = std::min<size_t>(p.n, kSamples);
  std::nth_element(sorted.begin(), sorted.begin() + (n - 1) / 2, sorted.begin() + n);
  p.median = sorted[(n - 1) / 2];
  // The first pass of a kind is the slowest (measured: two to four times), and nobody would ask again after a bad one:
  // alone it counts only where it is better than the assumed curve, and of two the one nearer to it.
  if (p.n < kKnown && p.n_rows > 1 && points_[0].n > 0) {
    const double assumed = points_[0].median * assumed_ratio(p.n_rows);
    p.median = p.n == 1 ? std::min(p.samples[0], assumed)
                        : std::max(std::min(p.samples[0], p.samples[1]),
                                   std::min(std::max(p.samples[0], p.samples[1]), assumed));
  }
  stale_ = true;
}

void PassTimes::known(std::vector<Known>& out) const {
  out.clear();
  for (const Point& p : points_)
    if (p.n > 0) out.push_back({p.n_rows, scale_ * p.median});
}

void PassTimes::assume(std::span<const Known> times) {
  for (const auto& [n_rows, seconds] : times) {
    if (n_rows < 1 || n_rows > static_cast<int64_t>(seconds_.size()) || !(seconds > 0)) continue;
    Point& p = points_[point_of(n_rows)];
    if (p.n > 0) continue;
    p.samples.fill(seconds / scale_);
    p.median = seconds / scale_;
    p.n = kKnown;
    most_measured_ = std::max(most_measured_, n_rows);
  }
  stale_ = true;
}

void PassTimes::rebuild() const {
  stale_ = false;
  const Point* before = nullptr;
  double floor = 0;  // a pass over more rows does not take less
  const auto fill = [&](int64_t first, int64_t last, auto&& value) {
    for (int64_t n = first; n <= last; ++n) {
      floor = std::max(floor, value(n));
      seconds_[static_cast<size_t>(n - 1)] = floor;
    }
  };
  int64_t next = 1;
  const Point* single = nullptr;
  for (const Point& p : points_) {
    if (p.n == 0) continue;
    if (!before) {
      fill(next, p.n_rows, [&](int64_t n) { return p.median * assumed_ratio(n) / assumed_ratio(p.n_rows); });
      single = &p;
    } else {
      const double per_row = (p.median - before->median) / static_cast<double>(p.n_rows - before->n_rows);
      fill(next, p.n_rows,
           [&](int64_t n) { return before->median + per_row * static_cast<double>(n - before->n_rows); });
    }
    before = &p;
    next = p.n_rows + 1;
  }
  if (!before) return;
  const double one = seconds_[0], last = floor;
  const auto n_known = static_cast<double>(before->n_rows - 1);
  const auto most = static_cast<int64_t>(seconds_.size());
  if (before == single || n_known < 2) {
    fill(next, most, [&](int64_t n) { return last * assumed_ratio(n) / assumed_ratio(before->n_rows); });
  } else {
    const double per_row = std::max(2 * (last - one) / n_known, kLeastSlope * one);
    fill(next, most, [&](int64_t n) { return last + per_row * static_cast<double>(n - before->n_rows); });
  }
}

double PassTimes::seconds(int64_t n_rows) const {
  if (stale_) rebuild();
  const auto n = std::clamp<int64_t>(n_rows, 1, static_cast<int64_t>(seconds_.size()));
  return scale_ * seconds_[static_cast<size_t>(n - 1)];
}

double PassTimes::ratio(int64_t n_rows) const {
  const double one = seconds(1);
  return one > 0 ? seconds(n_rows) / one : assumed_ratio(std::max<int64_t>(n_rows, 1));
}

}  // namespace watra::engine
