// What a person sees while waiting: is there a terminal, how wide, a progress line, and Ctrl-C as a flag.
//
// Everything here writes to standard error, and only when that is a terminal.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace watra {

bool stdin_is_terminal();
// Has standard input something to read, or ended, within `wait`? False too when it is closed.
bool stdin_is_ready(std::chrono::milliseconds wait);
bool stdout_is_terminal();
bool stderr_is_terminal();
// Columns of the terminal behind standard error; 80 when there is none.
int terminal_width();

// One progress line, redrawn in place at most ten times a second:
//
//   smollm2           42 %  [===========>                ]  39.4 MiB / 93.8 MiB  11.2 MiB/s  0:05
//
// update() may be called from several threads. The line disappears with clear() or when the object dies.
class ProgressBar {
 public:
  enum class Unit { bytes, items };

  explicit ProgressBar(Unit unit = Unit::bytes, bool enabled = stderr_is_terminal());
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // total 0 = not known: no percentage and no time left. A new `what` starts a new measurement of the rate.
  void update(std::string_view what, uint64_t done, uint64_t total);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  const Unit unit_;
  const bool enabled_;
  std::mutex mutex_;
  std::string what_;
  double rate_ = 0;  // per second, smoothed over a few seconds
  uint64_t rate_from_ = 0;
  Clock::time_point rate_since_{}, drawn_at_{};
  bool drawn_ = false;
};

// The text of the line above for a terminal of `width` columns: never wider, and what matters least is dropped first
// (bar, rate).
std::string progress_line(std::string_view what, uint64_t done, uint64_t total, double per_second,
                          ProgressBar::Unit unit, int width);

// "0:05", "12:40", "3:02:11"
std::string format_duration(double seconds);

// Turns Ctrl-C (and SIGTERM) into a flag while it lives; the second one ends the program at once, as without it.
// clear() makes the next one the first again (an answer was stopped, the program goes on). One at a time.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  bool raised() const;
  void clear();
  // The same as a flag for code that takes one (a pass that may be cancelled).
  const std::atomic<bool>* flag() const;
};

}  // namespace watra
