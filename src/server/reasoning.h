// ReasoningSplitter: tells what a model thinks from what it says, while the text comes in. A block opens with <think>
// at the very beginning (or was opened by the prompt) and ends with </think>. One per answer.
#pragma once

#include <string>
#include <string_view>

namespace watra::server {

class ReasoningSplitter {
 public:
  // `enabled` false: everything is content. `open`: the prompt ends inside a block.
  ReasoningSplitter(bool enabled, bool open)
      : state_(!enabled ? State::content
               : open   ? State::inside
                        : State::start),
        opened_before_(enabled && open) {}

  struct Parts {
    std::string reasoning, content;
    std::string block;  // the same thoughts as they stand in the text: with <think> (of the prompt too) and </think>
  };
  // Texts that are certain now; a marker that is only half there is held back.
  Parts feed(std::string_view text);
  Parts finish();  // what was held back
  bool thinks() const { return state_ == State::inside; }

 private:
  enum class State : uint8_t { start, inside, after, content };
  State state_;
  std::string held_;
  bool opened_before_ = false;  // by the prompt, and not told yet
};

// The prompt's last block is open: <think> without its end.
bool ends_in_reasoning(std::string_view prompt);
// Behind a prompt whose block of thoughts is open: takes the opening off an answer that has one of its own, and gives
// what closes the block before one that has none; else nothing.
std::string without_opening(std::string& begun);
// How an answer begins that thought before it speaks: the block is closed where words follow.
std::string with_thoughts(const std::string& thoughts, const std::string& words);
// Nothing but white space follows </think>: what is thought was thought.
bool ends_after_reasoning(std::string_view prompt);

}  // namespace watra::server
