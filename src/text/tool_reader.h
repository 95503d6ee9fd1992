// ToolReader: tells an answer's words from its calls of tools while the text comes in. One per answer.
//
// Texts and arguments are given out as soon as they are certain, each byte once: of arguments exactly the JSON the
// model writes. What may be the beginning of a call is held back; white space before a call is dropped, and so is a
// fence of code around calls alone (```json). What looks like a call of a tool that nobody offered is text, word for
// word.
#pragma once

#include <string>
#include <string_view>
#include <utility>
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

  // `offered`: the names that may be called; empty = any.
  explicit ToolReader(const ToolFormat& format, std::vector<std::string> offered = {})
      : format_(format), offered_(std::move(offered)) {}
  void feed(std::string_view text, std::vector<Event>& out);
  void finish(std::vector<Event>& out);  // what was held back

  int64_t n_calls() const { return n_calls_; }
  bool whole() const { return state_ != State::part; }  // no call is unfinished

 private:
  enum class State : uint8_t { text, part, after, refused };
  bool step(std::vector<Event>& out);  // false: needs more text
  bool step_text(std::vector<Event>& out);
  bool step_part(std::vector<Event>& out);
  bool step_after();
  bool step_refused(std::vector<Event>& out);
  void say(std::string_view text, std::vector<Event>& out);
  void tell(std::string text, std::vector<Event>& out);
  void drop_fence(std::vector<Event>& out);  // in front of a call
  size_t json_end(std::string_view json);  // how much of it belongs to the value at hand; json_done_: whether it ended
  void begin_json();
  void next_part();
  void take(size_t n);  // from held_ to raw_
  void refuse();
  bool is_offered(const std::string& name) const;

  ToolFormat format_;
  std::vector<std::string> offered_;
  State state_ = State::text;
  std::string held_;
  std::string raw_;          // of the call at hand: what was read before its name was told
  std::string space_;        // at the end of the text so far: white space, and a fence with nothing in it yet
  bool in_code_ = false;     // a fence of the text told is open
  bool fence_open_ = false;  // one around calls was dropped, and its end is to be
  bool at_line_start_ = true;
  size_t part_ = 0;     // of the call at hand
  std::string expect_;  // a literal that is being read
  std::string name_, id_;
  bool told_ = false;  // the call's name was given out
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false, json_done_ = false;
  int64_t n_calls_ = 0;
};

}  // namespace watra::text
