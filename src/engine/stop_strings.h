// StopMatcher: finds the first of several stop strings in streamed text, and says at once which text can be shown.
//
// What could still become a stop string is held back, and so is an unfinished UTF-8 character at the end, so that every
// piece handed out is made of whole characters if the text is. The match is the one that ends first; of those that end
// together the longest (the one that begins first), of equal ones the first in the list.
//
// Aho-Corasick over bytes: time linear in the text whatever the strings, a few bytes per byte of stop string. Copying a
// matcher forks it: the automaton is shared. One thread per matcher.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace watra::engine {

class StopMatcher {
 public:
  // No stop strings is allowed: the matcher then only keeps characters whole. Error "engine.bad_stop": an empty string
  // or one that is not UTF-8 (it could cut a character in two).
  static Result<StopMatcher> create(std::span<const std::string> stops);

  struct Output {
    std::string_view text;       // can be shown now; valid until the matcher's next call
    std::optional<size_t> stop;  // index of the stop string that was completed; `text` ends before it
  };
  // Takes the next piece of text. After a stop nothing more comes out: later pieces are ignored.
  Output feed(std::string_view piece);
  // The text is over: everything still held back. Nothing after a stop.
  std::string_view finish();

  std::optional<size_t> stopped() const { return stopped_; }
  // Held back at the moment.
  std::string_view held() const { return std::string_view(buffer_).substr(n_emitted_); }
  void reset();

 private:
  struct Automaton;
  explicit StopMatcher(std::shared_ptr<const Automaton> automaton) : automaton_(std::move(automaton)) {}

  std::shared_ptr<const Automaton> automaton_;
  int32_t node_ = 0;    // longest suffix of the text that begins a stop string
  std::string buffer_;  // [emitted by the last call | held back]
  size_t n_emitted_ = 0;
  std::optional<size_t> stopped_;
};

}  // namespace watra::engine
