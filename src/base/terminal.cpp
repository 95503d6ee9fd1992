#include "base/terminal.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>

#include "base/memory.h"

namespace watra {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
// Long enough that blocks which finish together do not make the rate jump, short enough to show a line that slows down.
constexpr double kRateWindowSeconds = 0.5, kRateSmoothing = 0.25;
constexpr int kBarColumns = 28, kNameColumns = 18;

std::atomic<int> interrupts{0};
std::atomic<bool> interrupted{false};
struct sigaction saved_int, saved_term;

void on_interrupt(int signal) {
  interrupted = true;
  if (interrupts.fetch_add(1) == 0) return;
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  ::sigaction(signal, &plain, nullptr);
  ::raise(signal);
}

// Columns, not bytes: continuation bytes of UTF-8 take none.
int columns(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string amount(uint64_t n, ProgressBar::Unit unit) {
  return unit == ProgressBar::Unit::bytes ? format_bytes(n) : fmt::format("{}", n);
}

std::string shortened(std::string_view text, int max_columns) {
  if (columns(text) <= max_columns) return std::string(text);
  size_t at = 0;
  for (int used = 0; at < text.size() && used + 3 < max_columns; ++used) do
      ++at;
    while (at < text.size() && (text[at] & 0xC0) == 0x80);
  return std::string(text.substr(0, at)) + "...";
}

}  // namespace

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }
bool stdin_is_ready(std::chrono::milliseconds wait) {
  pollfd p{STDIN_FILENO, POLLIN, 0};
  return ::poll(&p, 1, static_cast<int>(wait.count())) == 1 && !(p.revents & POLLNVAL);
}
bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 100.0 * 3600) return "-:--";
  const auto s = static_cast<uint64_t>(std::llround(seconds));
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string progress_line(std::string_view what, uint64_t done, uint64_t total, double per_second,
                          ProgressBar::Unit unit, int width) {
  const double share = total > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 0;
  const std::string rate = per_second > 0 ? fmt::format("  {}/s", unit == ProgressBar::Unit::bytes
                                                                      ? format_bytes(static_cast<uint64_t>(per_second))
                                                                      : fmt::format("{:.1f}", per_second))
                                          : "";
  const std::string left =
      total > done && per_second > 0 ? "  " + format_duration(static_cast<double>(total - done) / per_second) : "";
  std::string head = shortened(what, std::max(8, width / 3));
  const std::string counts =
      total > 0 ? fmt::format("  {} / {}", amount(done, unit), amount(total, unit)) : "  " + amount(done, unit);
  // Rounded down: 100 % is shown when nothing is left.
  const std::string percent = total > 0 ? fmt::format("  {:3} %", static_cast<int>(share * 100)) : "";

  std::string line = head + percent + counts;
  const auto fits = [&](const std::string& more) { return columns(line) + columns(more) <= width; };
  if (fits(left)) line += left;
  if (line.size() == head.size() + percent.size() + counts.size() + left.size() && fits(rate))
    line = head + percent + counts + rate + left;
  if (total > 0) {
    const int padding = std::max(0, kNameColumns - columns(head));
    const std::string bar_open = std::string(static_cast<size_t>(padding), ' ');
    const int room = width - columns(line) - padding - 4;  // two blanks and two brackets
    if (const int bar = std::min(kBarColumns, room); bar >= 10) {
      const int full = static_cast<int>(share * bar);
      std::string drawn(static_cast<size_t>(full), '=');
      if (full < bar) drawn += '>';
      drawn.resize(static_cast<size_t>(bar), ' ');
      line = head + bar_open + percent + "  [" + drawn + "]" + line.substr(head.size() + percent.size());
    }
  }
  while (columns(line) > width) {
    while (!line.empty() && (line.back() & 0xC0) == 0x80) line.pop_back();
    if (!line.empty()) line.pop_back();
  }
  return line;
}

ProgressBar::ProgressBar(Unit unit, bool enabled) : unit_(unit), enabled_(enabled) {}

void ProgressBar::update(std::string_view what, uint64_t done, uint64_t total) {
  if (!enabled_) return;
  std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (what != what_ || done < rate_from_) {
    what_ = what;
    rate_ = 0;
    rate_from_ = done;
    rate_since_ = now;
  }
  const double seconds = std::chrono::duration<double>(now - rate_since_).count();
  if (seconds >= kRateWindowSeconds) {
    const double latest = static_cast<double>(done - rate_from_) / seconds;
    rate_ = rate_ > 0 ? rate_ + kRateSmoothing * (latest - rate_) : latest;
    rate_from_ = done;
    rate_since_ = now;
  }
  const bool finished = total > 0 && done >= total;
  if (drawn_ && now - drawn_at_ < kRedrawEvery && !finished) return;
  drawn_at_ = now;
  drawn_ = true;
  // One column stays free: a line that fills the last one wraps on some terminals.
  fmt::print(stderr, "\r{}\x1b[K", progress_line(what, done, total, rate_, unit_, terminal_width() - 1));
  std::fflush(stderr);
}

void ProgressBar::clear() {
  std::lock_guard lock(mutex_);
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

InterruptFlag::InterruptFlag() {
  clear();
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: a read that waits for a person's line returns
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &saved_int);
  ::sigaction(SIGTERM, &action, &saved_term);
}
InterruptFlag::~InterruptFlag() {
  ::sigaction(SIGINT, &saved_int, nullptr);
  ::sigaction(SIGTERM, &saved_term, nullptr);
}
bool InterruptFlag::raised() const { return interrupts.load(std::memory_order_relaxed) > 0; }
void InterruptFlag::clear() {
  interrupts = 0;
  interrupted = false;
}
const std::atomic<bool>* InterruptFlag::flag() const { return &interrupted; }

}  // namespace watra
