#include "server/turn_prompt.h"

#include <algorithm>

#include "server/house_fields.h"
#include "server/reasoning.h"

namespace watra::server {
namespace {

constexpr int kTries = 4;  // to meet the context when turns were counted one by one
constexpr int64_t kSpareTokens = 16;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

ApiError too_long(int64_t n_prompt, const ServedModel& model) {
  return {.status = 400,
          .code = "context.too_long",
          .message = fmt::format("persona, system words and the last message have {} tokens; with room for an answer "
                                 "the context of {} does not hold them",
                                 n_prompt, model.n_ctx()),
          .param = "parts",
          .more = {{"hint", "a shorter message, or a model loaded with a longer context"},
                   {"allowed", {{"n_prompt", n_prompt}, {"n_ctx", model.n_ctx()}}}}};
}

home::Context choose(const ServedModel& model, const TurnWords& words, int64_t n_ctx, int64_t reserve) {
  const home::ContextWish wish{.persona = words.persona,
                               .system = words.system,
                               .turns = words.turns,
                               .n_must = words.n_must,
                               .n_ctx = n_ctx,
                               .reserve_tokens = reserve,
                               .sees_from = words.sees_from};
  auto chosen = home::choose_context(
      wish, [&](const std::string& text) { return static_cast<int64_t>(model.encode(text, false, false).size()); });
  if (!chosen) {
    int64_t n = 0;
    const auto add = [&](const std::string& text) {
      n += static_cast<int64_t>(model.encode(text, false, false).size());
    };
    add(words.persona);
    add(words.system);
    for (size_t i = words.turns.size() - std::min(words.n_must, words.turns.size()); i < words.turns.size(); ++i)
      add(words.turns[i].text);
    throw too_long(n, model);
  }
  return std::move(*chosen);
}

// Persona and system words are one system message: templates know one.
Json messages_of(const home::Context& context) {
  Json messages = Json::array();
  std::string system;
  for (const auto& e : context.entries) {
    if (e.what == "turn") continue;
    if (!system.empty()) system += "\n\n";
    system += e.text;
  }
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  for (const auto& e : context.entries)
    if (e.what == "turn") messages.push_back({{"role", e.role}, {"content", e.text}});
  return messages;
}

// Tells which entry a piece of content belongs to, in the order both have.
class Attribution {
 public:
  explicit Attribution(const home::Context& context) : entries_(context.entries) {}

  // Role names are read from messages too, and mean nothing to a person.
  bool is_role_name(std::string_view text) const {
    return next_ < entries_.size() && text == entries_[next_].role && text != entries_[next_].text;
  }
  const home::ContextEntry* of(std::string_view text) {
    const std::string_view words = trimmed(text);
    if (words.empty()) return nullptr;
    for (size_t i = next_; i < entries_.size(); ++i) {
      const std::string_view entry = trimmed(entries_[i].text);
      if (entry.find(words) == std::string_view::npos && words.find(entry) == std::string_view::npos) continue;
      next_ = std::min(i + 1, entries_.size());
      last_ = &entries_[i];
      return last_;
    }
    return last_ && last_->text.find(words) != std::string::npos ? last_ : nullptr;
  }

 private:
  const std::vector<home::ContextEntry>& entries_;
  size_t next_ = 0;
  const home::ContextEntry* last_ = nullptr;
};

Json span_json(const char* kind, std::string text) {
  return {{"kind", kind},     {"what", "turn"}, {"role", nullptr}, {"message", nullptr},     {"why", nullptr},
          {"score", nullptr}, {"n_tokens", 0},  {"cached", false}, {"text", std::move(text)}};
}

Json spans_of(const ServedModel& model, const ServedModel::Prompt& prompt, const home::Context& context) {
  Json spans = Json::array();
  Attribution attribution(context);
  const auto add_template = [&](const std::string& text) {
    if (!spans.empty() && spans.back().at("kind") == "template")
      spans.back()["text"].get_ref<std::string&>() += text;
    else
      spans.push_back(span_json("template", text));
  };
  for (const auto& s : prompt.spans) {
    if (!s.is_content || attribution.is_role_name(s.text)) {
      add_template(s.text);
      continue;
    }
    const home::ContextEntry* entry = attribution.of(s.text);
    // One system message may be persona and system words: shown apart.
    std::string rest = s.text;
    if (entry && entry->what == "persona" && rest.size() > entry->text.size() && rest.starts_with(entry->text)) {
      Json persona = span_json("content", entry->text);
      persona.update({{"what", "persona"}, {"role", "system"}, {"why", "persona"}});
      spans.push_back(std::move(persona));
      rest = rest.substr(entry->text.size());
      entry = attribution.of(rest);
    }
    Json span = span_json("content", rest);
    if (entry) {
      span["what"] = entry->what;
      span["role"] = entry->role;
      span["why"] = entry->why;
      if (entry->message && !entry->message->empty()) span["message"] = *entry->message;
    }
    spans.push_back(std::move(span));
  }
  for (size_t i = 0; i < spans.size(); ++i) {
    Json& s = spans[i];
    const bool is_template = s.at("kind") == "template";
    if (is_template) s["what"] = i + 1 < spans.size() ? spans[i + 1].at("what") : Json("generation");
    s["n_tokens"] = model.encode(s.at("text").get<std::string>(), false, is_template).size();
  }
  return spans;
}

Json context_json(const ServedModel& model, const home::Context& context, int64_t used, int64_t reserve) {
  return {{"n_ctx", model.n_ctx()},
          {"used_tokens", used},
          {"reserve_tokens", reserve},
          {"sees_from", context.sees_from && !context.sees_from->empty() ? Json(*context.sees_from) : Json(nullptr)}};
}

}  // namespace

TurnWords turn_words(home::Home& home, const std::vector<home::Message>& path, bool go_on) {
  TurnWords out;
  for (size_t i = 0; i < path.size(); ++i) {
    const home::Message& m = path[i];
    if (m.role == "assistant" && m.facts.is_object() && m.facts.contains("context")) {
      const Json& from = m.facts.at("context").at("sees_from");
      out.sees_from = from.is_null() ? std::nullopt : std::optional(from.get<std::string>());
    }
    if (m.state == "erased" || m.role == "tool") continue;
    std::string text = m.role == "assistant" ? m.text() : house_value(home.said(m));
    if (go_on && i + 1 == path.size()) {
      std::string thoughts;
      for (const Json& p : m.parts)
        if (p.at("type") == "reasoning") thoughts += p.at("text").get<std::string>();
      out.thinking = !thoughts.empty() && text.empty();
      if (!thoughts.empty()) text = with_thoughts(thoughts, text);
      out.go_on = !text.empty();
    }
    if (!text.empty()) out.turns.push_back({m.id, m.role, std::move(text)});
  }
  return out;
}

TurnPrompt make_turn_prompt(const ServedModel& model, const TurnWords& words, int64_t max_tokens) {
  if (words.turns.empty()) throw request_invalid("parts", "words to be answered");
  const int64_t reserve = home::reserve_for(model.n_ctx(), max_tokens);
  int64_t room = model.n_ctx();
  for (int i = 0;; ++i) {
    const home::Context context = choose(model, words, room, reserve);
    auto rendered = model.render(messages_of(context), nullptr, nullptr);
    const auto n = static_cast<int64_t>(rendered.ids.size());
    const int64_t over = n + reserve - model.n_ctx();
    const bool can_drop = context.entries.size() > 1 && context.entries[context.entries.size() - 2].what == "turn";
    if (over > 0 && i < kTries && can_drop) {  // the template itself took more than was thought
      room -= over + kSpareTokens;
      continue;
    }
    if (n >= model.n_ctx()) throw too_long(n, model);
    TurnPrompt out;
    out.reasoning_open = words.thinking || (!words.go_on && ends_in_reasoning(rendered.template_text()));
    out.context = context_json(model, context, n, reserve);
    Json dropped = Json::array();
    for (const auto& d : context.dropped)
      dropped.push_back({{"message", d.message}, {"n_tokens", d.n_tokens}, {"why", d.why}});
    out.record = {{"model", model.id()},
                  {"template", template_name(model)},
                  {"n_tokens", n},
                  {"n_ctx", model.n_ctx()},
                  {"n_cached", 0},
                  {"spans", spans_of(model, rendered, context)},
                  {"dropped", std::move(dropped)},
                  {"sampling", Json::object()},
                  {"seed", 0}};
    out.ids = std::move(rendered.ids);
    out.stop = std::move(rendered.stop);
    return out;
  }
}

Json context_of(const ServedModel& model, const TurnWords& words, int64_t max_tokens) {
  const int64_t reserve = home::reserve_for(model.n_ctx(), max_tokens);
  const home::Context context = choose(model, words, model.n_ctx(), reserve);
  return context_json(model, context, context.used_tokens, reserve);
}

int64_t n_beginning(const Json& record) {
  int64_t n = 0;
  for (const Json& span : record.at("spans")) {
    if (span.at("what") != "persona" && span.at("what") != "system") break;
    n += span.at("n_tokens").get<int64_t>();
  }
  return n;
}

void mark_cached(Json& record, int64_t n_cached) {
  record["n_cached"] = n_cached;
  int64_t at = 0;
  for (Json& span : record.at("spans")) {
    at += span.at("n_tokens").get<int64_t>();
    span["cached"] = at <= n_cached;
  }
}

std::string template_name(const ServedModel& model) {
  if (!model.has_template()) return "plain";
  static constexpr std::pair<std::string_view, const char*> kMarks[] = {
      {"<|im_start|>", "chatml"},   {"<|start_header_id|>", "llama3"},
      {"<start_of_turn>", "gemma"}, {"<|channel|>", "harmony"},
      {"[INST]", "mistral"},        {"<|user|>", "phi"}};
  for (const auto& [mark, name] : kMarks)
    if (model.template_source().find(mark) != std::string::npos) return name;
  return "own";
}

}  // namespace watra::server
