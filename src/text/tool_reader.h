// ToolReader: tells an answer's words from its calls of tools while the text comes in. One per answer.
//
// Texts and arguments are given out as soon as they are certain, each byte once: of arguments exactly the JSON the
// model writes. What may be the beginning of a call is held back, white space before a call is dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tool_format.h"

namespace watra::text {

class ToolReader {
 public:
  struct Event {
    enum class Kind : uint8_t { text, call, arguments };
    Kind kind;
    std::string value;  // of a call: the name
    std::string id;     // of a call, where the model writes one
  };

  explicit ToolReader(const ToolFormat& format) : format_(format) {}
  void feed(std::string_view text, std::vector<Event>& out);
  void finish(std::vector<Event>& out);  // what was held back

  int64_t n_calls() const { return n_calls_; }
  bool whole() const { return state_ == State::text || state_ == State::after; }  // no call is unfinished

 private:
  enum class State : uint8_t { text, part, after };
  bool step(std::vector<Event>& out);  // false: needs more text
  bool step_text(std::vector<Event>& out);
  bool step_part(std::vector<Event>& out);
  bool step_after();
  void say(std::string_view text, std::vector<Event>& out);
  size_t json_end();  // bytes of held_ that belong to the value; json_done_ tells whether it ended
  void next_part();

  ToolFormat format_;
  State state_ = State::text;
  std::string held_;
  std::string space_;   // white space at the end of the text so far
  size_t part_ = 0;     // of the call at hand
  std::string expect_;  // a literal that is being read
  std::string name_, id_;
  bool told_ = false;  // the call's name was given out
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, json_done_ = false;
  int64_t n_calls_ = 0;
};

}  // namespace watra::text
