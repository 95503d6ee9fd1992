#include "text/tool_reader.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace watra::text {

using Kind = ToolFormat::Kind;

namespace {

constexpr std::string_view kSpace = " \t\r\n";

// Bytes at the end of `text` that may be the beginning of `marker`.
size_t half_marker(std::string_view text, std::string_view marker) {
  for (size_t n = std::min(text.size(), marker.size() - 1); n > 0; --n)
    if (text.ends_with(marker.substr(0, n))) return n;
  return 0;
}

constexpr std::string_view kFence = "```";

// Bytes of `text` that are told whatever follows: without white space at the end, and without a last line that is or
// may become a fence's first ("```json").
size_t sure_text(std::string_view text, bool at_line_start) {
  const auto trimmed = [&](size_t end) {
    const size_t last = text.substr(0, end).find_last_not_of(kSpace);
    return last == std::string_view::npos ? 0 : last + 1;
  };
  const size_t end = trimmed(text.size());
  const size_t line = text.substr(0, end).find_last_of('\n');
  if (line == std::string_view::npos && !at_line_start) return end;
  const size_t begin = line == std::string_view::npos ? 0 : line + 1;
  const std::string_view last = text.substr(begin, end - begin);
  const size_t n_ticks = std::min(last.find_first_not_of('`'), last.size());
  const bool is_name =
      std::ranges::all_of(last.substr(n_ticks), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  const bool may_be_fence = n_ticks == kFence.size() ? is_name : n_ticks > 0 && n_ticks == last.size() && n_ticks < 3;
  return may_be_fence ? trimmed(begin) : end;
}

// Whether `text` begins with `json`, white space aside; `used` becomes the bytes it takes.
enum class Match : uint8_t { no, yet, yes };
Match begins_with(std::string_view text, std::string_view json, size_t& used) {
  size_t at = 0;
  for (const char c : json) {
    if (kSpace.find(c) != std::string_view::npos) continue;
    while (at < text.size() && kSpace.find(text[at]) != std::string_view::npos) ++at;
    if (at == text.size()) return Match::yet;
    if (text[at++] != c) return Match::no;
  }
  used = at;
  return Match::yes;
}

// Small models leave the marker out and write the JSON of a call alone. The format of such a call; no parts = there is
// none.
ToolFormat bare_format(const ToolFormat& f) {
  ToolFormat bare = f;
  bare.open.clear(), bare.separator.clear(), bare.close.clear();
  bare.parallel = false;
  bare.call.clear();
  const std::string before = f.before_name();
  const size_t brace = before.find('{');
  const bool json = f.trigger.front() != '{' && brace != std::string::npos && f.call.size() == 5 &&
                    f.call[1].kind == Kind::name && f.call[2].kind == Kind::literal && f.call[4].text.starts_with('}');
  if (!json) return bare;
  bare.call = {
      {Kind::literal, before.substr(brace)}, {Kind::name, {}}, f.call[2], {Kind::arguments, {}}, {Kind::literal, "}"}};
  bare.trigger = bare.call[0].text;
  return bare;
}

struct BareCall {
  size_t at = std::string_view::npos;  // where it begins, or may begin
  bool whole = false;                  // up to its arguments
  size_t arguments = 0;
  std::string name;
};
BareCall find_bare(const ToolFormat& bare, std::string_view text) {
  if (bare.call.empty()) return {};
  for (size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    size_t used = 0;
    const Match opens = begins_with(text.substr(at), bare.call[0].text, used);
    if (opens == Match::yet) return {.at = at};
    if (opens == Match::no) continue;
    const size_t name = at + used, quote = text.find_first_of("\"\n", name);
    if (quote == std::string_view::npos) return {.at = at};
    const Match goes_on = begins_with(text.substr(quote), bare.call[2].text + "{", used);
    if (goes_on == Match::yet) return {.at = at};
    if (goes_on == Match::yes)
      return {
          .at = at, .whole = true, .arguments = quote + used - 1, .name = std::string(text.substr(name, quote - name))};
  }
  return {};
}

}  // namespace

void ToolReader::feed(std::string_view text, std::vector<Event>& out) {
  held_ += text;
  while (step(out)) {
  }
}

bool ToolReader::step(std::vector<Event>& out) {
  switch (state_) {
    case State::text:
      return step_text(out);
    case State::part:
      return step_part(out);
    case State::after:
      return step_after();
    case State::refused:
      return step_refused(out);
  }
  return false;
}

void ToolReader::say(std::string_view text, std::vector<Event>& out) {
  if (text.empty()) return;
  space_ += text;
  if (fence_open_) {  // its end is dropped as well
    const size_t first = space_.find_first_not_of(kSpace);
    if (first == std::string::npos) return;
    const std::string_view rest = std::string_view(space_).substr(first);
    if (rest.size() < kFence.size() && kFence.starts_with(rest)) return;
    fence_open_ = false;
    if (rest.starts_with(kFence)) space_.erase(0, first + kFence.size());
  }
  const size_t n = sure_text(space_, at_line_start_);
  tell(space_.substr(0, n), out);
  space_.erase(0, n);
}

void ToolReader::tell(std::string text, std::vector<Event>& out) {
  if (text.empty()) return;
  for (size_t at = 0; at < text.size();) {
    if (at_line_start_ && std::string_view(text).substr(at).starts_with(kFence)) in_code_ = !in_code_;
    const size_t end = text.find('\n', at);
    at_line_start_ = end != std::string::npos;
    at = end == std::string::npos ? text.size() : end + 1;
  }
  out.push_back({Event::Kind::text, std::move(text), {}});
}

void ToolReader::drop_fence(std::vector<Event>& out) {
  const size_t last = space_.find_last_not_of(kSpace);
  if (last != std::string::npos && in_code_)
    tell(space_.substr(0, last + 1), out);  // the end of a fence that has something in it
  else
    fence_open_ = fence_open_ || last != std::string::npos;
  space_.clear();
}

bool ToolReader::step_text(std::vector<Event>& out) {
  const size_t at = held_.find(format_.trigger);
  const ToolFormat bare = bare_format(format_);
  const BareCall call = find_bare(bare, held_);
  if (call.at < at && call.whole) {
    say(std::string_view(held_).substr(0, call.at), out);
    held_.erase(0, call.at);
    if (!is_offered(call.name)) {
      refuse();
      return true;
    }
    take(call.arguments - call.at);
    format_ = bare;
    state_ = State::part;
    part_ = 3;  // the arguments
    begin_json();
    name_ = call.name;
    return true;
  }
  if (at == std::string::npos) {
    const size_t sure = std::min(held_.size() - half_marker(held_, format_.trigger), call.at);
    say(std::string_view(held_).substr(0, sure), out);
    held_.erase(0, sure);
    return false;
  }
  say(std::string_view(held_).substr(0, at), out);
  held_.erase(0, at);
  raw_.clear();
  state_ = State::part;
  part_ = 0;
  expect_ = format_.open + format_.before_name();
  return true;
}

bool ToolReader::is_offered(const std::string& name) const {
  return offered_.empty() || std::ranges::find(offered_, name) != offered_.end();
}

void ToolReader::take(size_t n) {
  raw_.append(held_, 0, n);
  held_.erase(0, n);
}

void ToolReader::begin_json() {
  depth_ = 0;
  in_string_ = escaped_ = json_done_ = false;
}

void ToolReader::refuse() {
  state_ = State::refused;
  expect_.clear(), name_.clear(), id_.clear();
  begin_json();
}

// All of its JSON is text, calls that stand in its arguments too. A model that forgets the last brace may still call
// afterwards.
bool ToolReader::step_refused(std::vector<Event>& out) {
  const bool is_marked = format_.trigger.front() != '{';
  const size_t marker = is_marked ? held_.find(format_.trigger) : std::string::npos;
  const size_t sure =
      marker != std::string::npos ? marker : held_.size() - (is_marked ? half_marker(held_, format_.trigger) : 0);
  const size_t n = json_end(std::string_view(held_).substr(0, sure));
  say(std::string_view(held_).substr(0, n), out);
  held_.erase(0, n);
  if (!json_done_ && marker == std::string::npos) return false;
  state_ = State::text;
  return true;
}

void ToolReader::next_part() {
  ++part_;
  begin_json();
  if (part_ == format_.call.size()) {
    state_ = State::after;
    part_ = 0;
    name_.clear(), id_.clear();
    told_ = false;
  } else if (format_.call[part_].kind == Kind::literal) {
    expect_ = format_.call[part_].text;
  }
}

bool ToolReader::step_part(std::vector<Event>& out) {
  const auto& part = format_.call[part_];
  if (!expect_.empty()) {
    if (expect_ == "}") held_.erase(0, std::min(held_.find_first_not_of(kSpace), held_.size()));
    if (held_.size() < expect_.size() && expect_.starts_with(held_)) return false;
    if (!held_.starts_with(expect_)) {  // not what the format has: it is text after all
      if (raw_.empty() && !told_) take(format_.trigger.size());
      say(std::exchange(raw_, {}), out);
      state_ = State::text;
      expect_.clear(), name_.clear(), id_.clear();
      told_ = false;
      return true;
    }
    take(expect_.size());
    expect_.clear();
    if (part.kind == Kind::literal) next_part();
    return true;
  }
  if (part.kind == Kind::arguments) {
    if (!told_) {
      told_ = true;
      drop_fence(out);
      raw_.clear();
      ++n_calls_;
      out.push_back({Event::Kind::call, name_, id_});
    }
    const size_t n = json_end(held_);
    if (n > 0) out.push_back({Event::Kind::arguments, held_.substr(0, n), {}});
    held_.erase(0, n);
    if (!json_done_) return false;
    next_part();
    return true;
  }
  // A name or an id ends where the literal after it begins, or with the object of the arguments.
  const std::string end = part_ + 1 < format_.call.size() && format_.call[part_ + 1].kind == Kind::literal
                              ? format_.call[part_ + 1].text
                              : "{";
  const size_t at = held_.find(end);
  if (at == std::string::npos) return false;
  (part.kind == Kind::name ? name_ : id_) = held_.substr(0, at);
  take(at);
  if (part.kind == Kind::name && !is_offered(name_)) {
    refuse();
    const std::string raw = std::exchange(raw_, {});
    json_end(std::string_view(raw).substr(std::min(raw.find('{'), raw.size())));
    say(raw, out);
    return true;
  }
  next_part();
  return true;
}

size_t ToolReader::json_end(std::string_view json) {
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string_) {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else if (c == '"')
        in_string_ = false;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      json_done_ = true;
      return i + 1;
    }
  }
  return json.size();
}

bool ToolReader::step_after() {
  const std::string next = format_.separator + format_.before_name();
  if (format_.parallel && held_.starts_with(next)) {
    raw_.clear();
    take(next.size());
    state_ = State::part;
    part_ = 0;
    if (format_.call.front().kind == Kind::literal) next_part();
    return true;
  }
  if (!format_.close.empty() && held_.starts_with(format_.close)) {
    held_.erase(0, format_.close.size());
    state_ = State::text;
    return true;
  }
  const bool may_go_on =
      (format_.parallel && next.starts_with(held_)) || (!format_.close.empty() && format_.close.starts_with(held_));
  if (held_.empty() || may_go_on) return false;
  state_ = State::text;
  return true;
}

void ToolReader::finish(std::vector<Event>& out) {
  if (state_ == State::text || state_ == State::refused) {
    say(held_, out);
    const size_t n = n_calls_ == 0 ? space_.size() : space_.find_last_not_of(kSpace) + 1;
    if (!fence_open_) tell(space_.substr(0, n), out);
  } else if (state_ == State::part && n_calls_ == 0 && !told_) {
    tell(space_ + raw_ + held_, out);  // cut in front of the arguments
    state_ = State::text;
  }
  held_.clear(), space_.clear();
}

}  // namespace watra::text
