#include "server/logprobs.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace watra::server {

void LogprobQueue::add(const AnswerEvent& e) {
  if (e.token == text::kNoToken || !e.logprob) return;
  waiting_.push_back({e.token, model_.tokenizer().token_bytes(e.token), *e.logprob, e.top});
}

std::vector<LogprobEntry> LogprobQueue::take(std::string_view text) {
  n_text_ += text.size();
  std::vector<LogprobEntry> out;
  while (!waiting_.empty() && n_given_ + waiting_.front().bytes.size() <= n_text_) {
    n_given_ += waiting_.front().bytes.size();
    out.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return out;
}

std::vector<LogprobEntry> LogprobQueue::finish(bool cut) {
  std::vector<LogprobEntry> out;
  for (LogprobEntry& entry : waiting_) {
    if (cut) {
      if (n_given_ >= n_text_) break;
      entry.bytes.resize(std::min(entry.bytes.size(), n_text_ - n_given_));
      n_given_ += entry.bytes.size();
    }
    out.push_back(std::move(entry));
  }
  waiting_.clear();
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

Json chat_logprobs(const std::vector<LogprobEntry>& entries, const ServedModel& model, int32_t n_top) {
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
  return {{"content", std::move(content)}, {"refusal", nullptr}};
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
