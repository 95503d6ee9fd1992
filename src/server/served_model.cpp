#include "server/served_model.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "base/log.h"
#include "model/file_quant.h"
#include "server/reasoning.h"
#include "text/prompt_encode.h"

namespace watra::server {
namespace {

// For models that were not trained to chat: turns as a play has them.
constexpr std::string_view kPlainTemplate =
    "{%- if bos_token is defined %}{{ bos_token }}{% endif -%}"
    "{%- for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor -%}"
    "{%- if add_generation_prompt %}Assistant:{% endif -%}";
constexpr std::string_view kPlainStop = "\nUser:";

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Neighbours of one role become one message; tool results and calls stay apart.
Json merge_neighbours(const Json& messages) {
  Json merged = Json::array();
  for (const Json& m : messages) {
    const std::string role = m.at("role");
    const bool plain = (role == "user" || role == "assistant" || role == "system") && !m.contains("tool_calls");
    if (plain && !merged.empty() && merged.back().at("role") == role && !merged.back().contains("tool_calls"))
      merged.back()["content"] =
          merged.back().at("content").get<std::string>() + "\n\n" + m.at("content").get<std::string>();
    else
      merged.push_back(m);
  }
  return merged;
}

// System messages go in front of the first user message.
Json fold_system(const Json& messages) {
  std::string system;
  Json rest = Json::array();
  for (const Json& m : messages) {
    if (m.at("role") != "system")
      rest.push_back(m);
    else
      system += m.at("content").get<std::string>() + "\n\n";
  }
  for (Json& m : rest) {
    if (m.at("role") != "user") continue;
    m["content"] = system + m.at("content").get<std::string>();
    return rest;
  }
  rest.insert(rest.begin(), Json{{"role", "user"}, {"content", system}});
  return rest;
}

// What a template says of a conversation it was not made for, or of its own mistakes, in words for who sent it.
ApiError cannot_be_written(const Error& e) {
  constexpr const char* kTry =
      "a conversation every template takes has at most one system message, at the start, and then user and assistant "
      "in turns, the user first";
  if (e.code == "template.refused")
    return bad_field("messages", fmt::format("the model's chat template refuses this conversation with the words "
                                             "\"{}\"; {}",
                                             e.message, kTry));
  if (e.code.starts_with("template."))
    return bad_field("messages", fmt::format("the model's chat template cannot write this conversation ({}); {}, and "
                                             "--chat-template of llama-server puts another template in its place",
                                             e.message, kTry));
  return from_error(e, "messages");
}

bool has_tools(const Json& messages) {
  return std::ranges::any_of(messages,
                             [](const Json& m) { return m.at("role") == "tool" || m.contains("tool_calls"); });
}

// Some templates take ids of nine letters and digits alone; others are made into such, the same each time.
std::string short_id(const std::string& id) {
  const bool fits = id.size() == 9 && std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c); });
  if (fits) return id;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const unsigned char c : id) hash = (hash ^ c) * 1099511628211u;
  std::string out;
  for (int i = 0; i < 9; ++i, hash /= 36) out += "0123456789abcdefghijklmnopqrstuvwxyz"[hash % 36];
  return out;
}

void fit_to_template(Json& messages, const text::ToolFormat& format) {
  for (Json& m : messages) {
    if (format.short_ids && m.contains("tool_call_id")) m["tool_call_id"] = short_id(m["tool_call_id"]);
    if (!m.contains("tool_calls")) continue;
    for (Json& call : m["tool_calls"]) {
      if (format.short_ids) call["id"] = short_id(call["id"]);
      Json& arguments = call["function"]["arguments"];
      if (format.arguments_as_text && !arguments.is_string()) arguments = arguments.dump();
    }
  }
}

// How an answer begins that is gone on with: thoughts first, closed where words follow them.
std::string begun_answer(const Json& message, bool template_thinks) {
  std::string words = message.at("content").get<std::string>();
  const std::string thoughts = message.value("reasoning_content", "");
  if (thoughts.empty() || !template_thinks) return words;
  return with_thoughts(thoughts, words);
}

}  // namespace

Result<std::shared_ptr<ServedModel>> ServedModel::create(engine::LoadedModel model, Names names,
                                                         engine::SchedulerOptions schedule, Manner manner) {
  auto served = std::shared_ptr<ServedModel>(new ServedModel);
  const auto& file = model.model->file();
  served->quant_ = model::file_quant(file);
  served->manner_ = std::move(manner);
  served->template_source_ = served->manner_.chat_template;
  if (served->template_source_.empty())
    served->template_source_ = file.metadata().get_string("tokenizer.chat_template").value_or("");
  served->has_template_ = !served->template_source_.empty();
  served->created_s_ =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  served->names_ = std::move(names);
  served->n_parallel_ = schedule.max_batch;
  if (!served->has_template_ && !model.model->hparams().is_encoder)
    log::warn("{} has no chat template: conversations are written as \"User: ... Assistant: ...\"", served->id());
  const auto tokenizer = model.tokenizer;
  WATRA_ASSIGN(served->scheduler_, engine::Scheduler::create(std::move(model), std::move(schedule)));
  const std::string_view source = served->has_template_ ? std::string_view(served->template_source_) : kPlainTemplate;
  WATRA_ASSIGN(served->prompt_, text::ChatPrompt::create(source, tokenizer));
  std::vector<std::string> ends;
  for (const TokenId id : tokenizer->spec().end_of_generation) ends.push_back(tokenizer->token_bytes(id, true));
  served->tool_format_ = text::find_tool_format(*served->prompt_, ends);
  served->grammars_ = std::make_unique<GrammarDesk>(tokenizer, served->tool_format_.markers(*tokenizer),
                                                    served->scheduler_->model().budget);
  WATRA_TRY(served->scheduler_->start());
  return served;
}

Result<engine::RequestHandle> ServedModel::submit(engine::Request request) {
  request.events.finished = [speeds = speeds_, told = std::move(request.events.finished)](const engine::Finished& f) {
    speeds->note(f);
    if (told) told(f);
  };
  return scheduler_->submit(std::move(request));
}

bool ServedModel::answers_to(std::string_view name) const {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  return same_name(name, names_.id) ||
         std::ranges::any_of(names_.aliases, [&](const std::string& alias) { return same_name(name, alias); });
}

ServedModel::Prompt ServedModel::render(const Json& messages, const Json* tools, const Json* variables,
                                        bool generation_prompt) const {
  Json said = messages;
  if (tool_format_.native) {
    fit_to_template(said, tool_format_);
  } else if (tools || has_tools(said)) {
    said = text::plain_tool_messages(said, tools);
    tools = nullptr;
  }
  std::string begun;
  const bool continues = manner_.continues && generation_prompt && !said.empty() &&
                         said.back().at("role") == "assistant" && !said.back().contains("tool_calls");
  if (continues) {
    begun = begun_answer(said.back(), template_source_.find("<think>") != std::string::npos);
    said.erase(said.size() - 1);
  }
  const auto attempt = [&](const Json& list) {
    return prompt_->render(
        {.messages = &list, .tools = tools, .variables = variables, .add_generation_prompt = generation_prompt});
  };
  auto rendered = attempt(said);
  if (!rendered && continues && said.empty()) {  // an answer that nobody asked for: an empty question stands before it
    said.push_back({{"role", "user"}, {"content", ""}});
    rendered = attempt(said);
  }
  if (!rendered && rendered.error().code == "template.refused") {
    Json merged = merge_neighbours(said);
    auto again = attempt(merged);
    if (!again && again.error().code == "template.refused") {
      merged = merge_neighbours(fold_system(said));
      again = attempt(merged);
    }
    if (again) {
      log::info("the template refused these roles; messages were merged");
      rendered = std::move(again);
    }
  }
  if (!rendered) throw cannot_be_written(rendered.error());
  Prompt out{.spans = std::move(rendered->spans), .ids = std::move(rendered->ids), .stop = {}};
  if (!begun.empty()) {
    if (ends_in_reasoning(out.template_text()))
      if (std::string close = without_opening(begun); !close.empty()) out.spans.push_back({std::move(close), false});
    out.spans.push_back({std::move(begun), true});
    out.continues = true;
    out.ids = text::encode_spans(tokenizer(), out.spans);
  }
  if (!has_template_) out.stop.emplace_back(kPlainStop);
  return out;
}

const std::vector<std::string>& ServedModel::pieces() const {
  std::call_once(pieces_once_, [&] {
    pieces_.resize(static_cast<size_t>(n_vocab()));
    for (TokenId id = 0; id < n_vocab(); ++id) pieces_[static_cast<size_t>(id)] = tokenizer().token_bytes(id);
  });
  return pieces_;
}

}  // namespace watra::server
