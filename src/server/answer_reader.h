// AnswerReader: what a model writes, told apart while it comes: thoughts, words, calls of tools. One per answer.
#pragma once

#include <optional>
#include <vector>

#include "server/reasoning.h"
#include "text/tool_reader.h"

namespace watra::server {

// How an answer is to be read.
struct AnswerFormat {
  bool split_reasoning = true;
  bool keep_reasoning = false;            // thoughts are told apart, and stand in the content too
  bool reasoning_open = false;            // the prompt ends inside a block of thoughts
  std::optional<text::ToolFormat> tools;  // calls may come
  std::vector<std::string> offered;       // the tools they may be of
  bool only_calls = false;                // one that is cut before its name is whole is no text
};

struct CallPart {
  size_t index = 0;       // of the call in this answer
  std::string id, name;   // with the first part of a call alone
  std::string arguments;  // what comes next of the JSON
};

struct ToolCall {
  std::string id, name, arguments;
};

class AnswerReader {
 public:
  explicit AnswerReader(const AnswerFormat& format);

  struct Parts {
    std::string reasoning, content;
    std::vector<CallPart> calls;
    bool empty() const { return reasoning.empty() && content.empty() && calls.empty(); }
  };
  Parts feed(std::string_view text);
  Parts finish();

  bool called() const { return tools_ && tools_->n_calls() > 0; }
  bool whole() const { return !tools_ || tools_->whole(); }  // no call was cut off
  int64_t n_thoughts() const { return n_thoughts_; }         // pieces fed that were of thoughts: tokens, one by one

 private:
  void read_content(std::string_view text, bool end, Parts& parts);
  ReasoningSplitter splitter_;
  std::optional<text::ToolReader> tools_;
  bool short_ids_ = false, only_calls_ = false, keep_reasoning_ = false;
  int64_t n_thoughts_ = 0;
};

// Adds what came to whole calls.
void gather(std::vector<ToolCall>& calls, const std::vector<CallPart>& parts);

}  // namespace watra::server
