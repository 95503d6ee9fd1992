#include "base/secret_input.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>

#include "base/terminal.h"

namespace watra {

std::optional<std::string> read_unseen(std::string_view prompt) {
  termios before{};
  if (::isatty(STDIN_FILENO) != 1 || ::tcgetattr(STDIN_FILENO, &before) != 0) return std::nullopt;
  fmt::print(stderr, "{}", prompt);
  const InterruptFlag interrupts;  // Ctrl-C ends the reading, not us while the terminal is dumb
  termios unseen = before;
  unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
  std::string line;
  char c;
  ssize_t n;
  while ((n = ::read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') line += c;
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  fmt::print(stderr, "\n");
  if (n != 1) return std::nullopt;
  return line;
}

}  // namespace watra
