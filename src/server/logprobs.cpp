#include "server/logprobs.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace watra::server {

LogprobQueue::Told LogprobQueue::add(const AnswerEvent& e) {
  held_ += e.text;
  if (e.token != text::kNoToken && e.logprob)
    waiting_.push_back({e.token, model_.tokenizer().token_bytes(e.token), *e.logprob, e.top});
  size_t n_entries = 0, n_bytes = 0, end = 0;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    end += waiting_[i].bytes.size();
    if (end > held_.size()) break;
    const bool is_whole = end == held_.size() || (held_[end] & 0xC0) != 0x80;  // no character is cut
    if (is_whole) n_entries = i + 1, n_bytes = end;
  }
  if (n_entries == waiting_.size()) n_bytes = held_.size();
  Told told{.text = held_.substr(0, n_bytes), .entries = {}};
  held_.erase(0, n_bytes);
  const auto last = waiting_.begin() + static_cast<std::ptrdiff_t>(n_entries);
  std::move(waiting_.begin(), last, std::back_inserter(told.entries));
  waiting_.erase(waiting_.begin(), last);
  return told;
}

// Where the limit cut a character off, the text is without it: so are the entries.
void LogprobQueue::drop_unfinished() {
  std::string all;
  for (const LogprobEntry& entry : waiting_) all += entry.bytes;
  if (all.size() <= held_.size() || !all.starts_with(held_)) return;
  size_t n_left = held_.size();
  for (LogprobEntry& entry : waiting_) {
    entry.bytes.resize(std::min(entry.bytes.size(), n_left));
    n_left -= entry.bytes.size();
  }
}

LogprobQueue::Told LogprobQueue::finish(bool cut) {
  if (!cut) drop_unfinished();
  Told told{.text = std::exchange(held_, {}), .entries = {}};
  size_t n_left = told.text.size();
  for (LogprobEntry& entry : waiting_) {
    if (cut && n_left == 0) break;
    if (cut) entry.bytes.resize(std::min(entry.bytes.size(), n_left));
    n_left -= std::min(entry.bytes.size(), n_left);
    told.entries.push_back(std::move(entry));
  }
  waiting_.clear();
  return told;
}

std::string WordLogprobs::keep(LogprobQueue::Told told) {
  std::ranges::move(told.entries, std::back_inserter(waiting_));
  return std::move(told.text);
}

std::vector<LogprobEntry> WordLogprobs::take(const AnswerReader::Parts& parts) {
  if (parts.empty()) return {};
  auto entries = std::exchange(waiting_, {});
  if (parts.content.empty()) entries.clear();
  return entries;
}

std::vector<LogprobEntry> word_logprobs(const ServedModel& model, const AnswerFormat& format,
                                        const std::vector<AnswerEvent>& tokens, bool cut) {
  WordLogprobs logprobs(model);
  AnswerReader reader(format);
  std::vector<LogprobEntry> out;
  const auto add = [&](const AnswerReader::Parts& parts) {
    std::ranges::move(logprobs.take(parts), std::back_inserter(out));
  };
  for (const AnswerEvent& e : tokens) add(reader.feed(logprobs.add(e)));
  add(reader.feed(logprobs.finish(cut)));
  add(reader.finish());
  return out;
}

double finite_logprob(double logprob) {
  constexpr double kImpossible = -9999.0;
  return std::isfinite(logprob) ? logprob : kImpossible;
}

namespace {

Json byte_list(std::string_view bytes) {
  Json out = Json::array();
  for (const char c : bytes) out.push_back(static_cast<unsigned char>(c));
  return out;
}

}  // namespace

Json logprob_list(const std::vector<LogprobEntry>& entries, const ServedModel& model, int32_t n_top) {
  Json content = Json::array();
  for (const LogprobEntry& e : entries) {
    Json top = Json::array();
    for (size_t i = 0; i < e.top.size() && i < static_cast<size_t>(n_top); ++i) {
      const std::string bytes = model.shown(e.top[i].token);
      top.push_back({{"token", bytes}, {"logprob", finite_logprob(e.top[i].logprob)}, {"bytes", byte_list(bytes)}});
    }
    content.push_back({{"token", e.bytes},
                       {"logprob", finite_logprob(e.logprob)},
                       {"bytes", byte_list(e.bytes)},
                       {"top_logprobs", std::move(top)}});
  }
  return content;
}

Json chat_logprobs(const std::vector<LogprobEntry>& entries, const ServedModel& model, int32_t n_top) {
  return {{"content", logprob_list(entries, model, n_top)}, {"refusal", nullptr}};
}

namespace {

size_t count_characters(std::string_view bytes) {
  return static_cast<size_t>(std::ranges::count_if(bytes, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

void TextLogprobs::begin(std::string_view shown) {
  add(text::kNoToken, shown, std::nullopt, {}, 0);
  offset_ -= count_characters(shown);
}

void TextLogprobs::add(TokenId token, std::string_view bytes, std::optional<double> logprob,
                       const std::vector<Probable>& top, int32_t n_top) {
  tokens_.push_back(bytes);
  logprobs_.push_back(logprob ? Json(finite_logprob(*logprob)) : Json(nullptr));
  offsets_.push_back(offset_);
  offset_ += count_characters(bytes);
  if (!logprob) {
    top_.push_back(nullptr);
    return;
  }
  Json most = Json::object();
  bool is_told = false;
  for (size_t i = 0; i < top.size() && i < static_cast<size_t>(n_top); ++i) {
    const std::string shown = model_.shown(top[i].token);
    is_told = is_told || top[i].token == token;
    if (!most.contains(shown)) most[shown] = finite_logprob(top[i].logprob);
  }
  const std::string own(bytes);
  if (!is_told && !most.contains(own)) most[own] = finite_logprob(*logprob);
  top_.push_back(std::move(most));
}

Json TextLogprobs::take(bool with_top) {
  return {{"tokens", std::exchange(tokens_, Json::array())},
          {"token_logprobs", std::exchange(logprobs_, Json::array())},
          {"top_logprobs", with_top ? std::exchange(top_, Json::array()) : Json(nullptr)},
          {"text_offset", std::exchange(offsets_, Json::array())}};
}

}  // namespace watra::server
