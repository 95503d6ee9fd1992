#include "server/answer_reader.h"

#include <algorithm>

#include "server/ids.h"

namespace watra::server {

AnswerReader::AnswerReader(const AnswerFormat& f)
    : splitter_(f.split_reasoning, f.reasoning_open), keep_reasoning_(f.keep_reasoning) {
  if (!f.tools) return;
  tools_.emplace(*f.tools, f.offered);
  short_ids_ = f.tools->short_ids;
  only_calls_ = f.only_calls;
}

void AnswerReader::read_content(std::string_view text, bool end, Parts& parts) {
  if (!tools_) {
    parts.content += text;
    return;
  }
  std::vector<text::ToolReader::Event> events;
  tools_->feed(text, events);
  using Kind = text::ToolReader::Event::Kind;
  const size_t n_before = events.size();
  if (end) tools_->finish(events);
  if (end && only_calls_)
    events.erase(std::remove_if(events.begin() + static_cast<std::ptrdiff_t>(n_before), events.end(),
                                [](const auto& e) { return e.kind == Kind::text; }),
                 events.end());
  int64_t index = tools_->n_calls() - 1;
  for (const auto& e : events) index -= e.kind == Kind::call;
  for (auto& e : events) {
    if (e.kind == Kind::text) {
      parts.content += e.value;
    } else if (e.kind == Kind::call) {
      ++index;
      if (e.id.empty()) e.id = short_ids_ ? random_letters(9) : make_id("call_");
      parts.calls.push_back({static_cast<size_t>(index), std::move(e.id), std::move(e.value), {}});
    } else {
      parts.calls.push_back({static_cast<size_t>(index), {}, {}, std::move(e.value)});
    }
  }
}

AnswerReader::Parts AnswerReader::feed(std::string_view text) {
  const bool thought = splitter_.thinks();
  auto split = splitter_.feed(text);
  n_thoughts_ += thought || splitter_.thinks();
  Parts parts;
  parts.reasoning = std::move(split.reasoning);
  if (keep_reasoning_) parts.content = std::move(split.block);
  read_content(split.content, false, parts);
  return parts;
}

AnswerReader::Parts AnswerReader::finish() {
  auto split = splitter_.finish();
  Parts parts;
  parts.reasoning = std::move(split.reasoning);
  if (keep_reasoning_) parts.content = std::move(split.block);
  read_content(split.content, true, parts);
  return parts;
}

void gather(std::vector<ToolCall>& calls, const std::vector<CallPart>& parts) {
  for (const CallPart& p : parts) {
    if (p.index >= calls.size()) calls.resize(p.index + 1);
    ToolCall& c = calls[p.index];
    if (!p.name.empty()) c.name = p.name, c.id = p.id;
    c.arguments += p.arguments;
  }
}

}  // namespace watra::server
