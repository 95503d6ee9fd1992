#include "server/logprobs.h"

#include <cmath>

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

}  // namespace watra::server
