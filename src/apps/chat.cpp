#include "apps/chat.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <ranges>
#include <utility>

#include "apps/drafting.h"
#include "apps/run_report.h"
#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"

namespace watra::apps {

// Positions that attention leans on whatever they say (Xiao et al. 2024).
constexpr int64_t kSinks = 4;

using Json = nlohmann::ordered_json;

namespace {

std::shared_ptr<engine::SuffixHistory> kept_history(const engine::LoadedModel& model) {
  auto history = std::make_shared<engine::SuffixHistory>(kHistoryBytes);
  if (!model.budget->take("conversation index", history->memory_bytes())) return nullptr;
  if (!model.kv_store) return history;
  const auto root = engine::root_key(model);
  if (!root) return history;
  if (const auto texts = model.kv_store->texts(*root, history->max_tokens()))
    for (const auto& text : *texts | std::views::reverse) history->add(text);  // the newest last
  return history;
}

}  // namespace

Talk::Talk(const Globals& g, engine::LoadedModel model)
    : globals_(g), session_(std::move(model)), history_(kept_history(session_.model())) {}

void Talk::remember() {
  if (history_) history_->add(session_.tokens());
}

Result<std::unique_ptr<Talk>> Talk::create(const Globals& g, engine::LoadedModel model, bool raw) {
  if (!model.tokenizer)
    return fail("model.no_vocabulary", "this file has no vocabulary, so it can neither read nor write text",
                "use a complete model file");
  const auto source = model.model->file().metadata().get_string("tokenizer.chat_template");
  auto talk = std::unique_ptr<Talk>(new Talk(g, std::move(model)));
  if (!raw && source && !source->empty()) {
    WATRA_ASSIGN(talk->prompt_, text::ChatPrompt::create(*source, talk->model().tokenizer));
  }
  return talk;
}

Result<std::vector<text::TokenId>> Talk::prompt_ids(const Json& messages) const {
  if (!prompt_)
    return model().tokenizer->encode(messages.back().at("content").get_ref<const std::string&>(),
                                     text::EncodeOptions{});
  WATRA_ASSIGN(auto rendered, prompt_->render({.messages = &messages}));
  return std::move(rendered.ids);
}

Status Talk::go_endless(const std::string& system) {
  const auto ids_before = [&](const char* message) {
    Json messages = Json::array();
    if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
    messages.push_back({{"role", "user"}, {"content", message}});
    return prompt_ids(messages);
  };
  // Two conversations part where the first message begins.
  WATRA_ASSIGN(const auto a, ids_before("A"));
  WATRA_ASSIGN(const auto b, ids_before("B"));
  const auto n = std::ranges::mismatch(a, b).in1 - a.begin();
  return session_.go_endless(std::max<int64_t>(n, kSinks));
}

Result<Talk::Answer> Talk::answer(const Json& messages, const SamplingOptions& sampling,
                                  const engine::GenerateOptions& options,
                                  const std::function<void(std::string_view)>& show, const std::atomic<bool>* cancel) {
  Answer a;
  WATRA_ASSIGN(const auto ids, prompt_ids(messages));
  WATRA_ASSIGN(const auto params, sampling_params(globals_, sampling, *model().tokenizer));
  WATRA_ASSIGN(auto sampler, engine::Sampler::create(params, static_cast<size_t>(model().model->hparams().n_vocab)));
  WATRA_TRY(sampler.accept_prompt(ids));
  {
    ProgressBar bar(ProgressBar::Unit::items);
    WATRA_ASSIGN(a.prefill, session_.prefill(ids, cancel, [&](int64_t done, int64_t total) {
      if (done < total) bar.update("reading", static_cast<uint64_t>(done), static_cast<uint64_t>(total));
    }));
  }
  a.clock_before = clock_rate();
  const MachineLoad before = machine_load();
  WATRA_ASSIGN(a.generated, session_.generate(sampler, options, show, cancel));
  a.during = machine_load() - before;
  if (const auto& store = model().kv_store; store && !told_of_store_)
    if (const auto trouble = store->trouble()) {
      told_of_store_ = true;
      log::warn("this conversation will be read again after a restart: {} ({}; or --kv-store off)", trouble->message,
                trouble->hint);
    }
  if (a.generated.finish == engine::FinishReason::cancelled) a.stopped_by = "stopped";
  if (a.generated.finish == engine::FinishReason::length)
    a.stopped_by =
        // The last token written is not among the session's: it was not run.
        !session_.endless() && static_cast<int64_t>(session_.tokens().size()) + 1 >= session_.forward().options().n_ctx
            ? "the context is full (--ctx)"
            : "the limit of -n is reached";
  return a;
}

namespace {

constexpr const char* kHelp =
    "  /system TEXT   set the system message (empty: none); the conversation begins anew\n"
    "  /clear         begin anew\n"
    "  /retry         answer the last message again\n"
    "  /params        show how tokens are chosen; /params NAME VALUE changes temperature, top_k, top_p, min_p, "
    "repeat_penalty, max_tokens\n"
    "  /save FILE     write the conversation as JSON; /load FILE reads it back\n"
    "  /help          this\n"
    "  /exit          leave (or Ctrl-D)\n"
    "  A line that ends with \\ goes on in the next one; \"\"\" begins and ends a longer text. Ctrl-C stops an "
    "answer.\n";

class Conversation {
 public:
  Conversation(Talk& talk, ChatOptions options) : talk_(talk), o_(std::move(options)) { clear(); }

  Status run() {
    InterruptFlag interrupt;
    interrupt_ = &interrupt;
    fmt::print(
        stderr, "{}. /help lists the commands, Ctrl-D leaves.\n\n",
        talk_.chats() ? "Write something" : "This model continues text; it was not trained to chat. Write a beginning");
    while (auto input = read_input()) {
      if (input->empty()) continue;
      if ((*input)[0] == '/' && input->find('\n') == std::string::npos) {
        if (!command(*input)) break;
        continue;
      }
      messages_.push_back({{"role", "user"}, {"content", *input}});
      respond();
    }
    fmt::print(stderr, "\n");
    return {};
  }

 private:
  void clear() {
    talk_.remember();
    messages_ = Json::array();
    if (!o_.system.empty()) messages_.push_back({{"role", "system"}, {"content", o_.system}});
  }

  void prompt(const char* sign) {
    if (stdin_is_terminal()) fmt::print(stderr, "{}", sign);
  }

  // While the person thinks and types, a draft model reads what was said.
  void use_idle_time() {
    constexpr std::chrono::milliseconds kNow{0};
    while (stdin_is_terminal() && !interrupt_->raised() && talk_.session().use_idle_time() && !stdin_is_ready(kNow)) {
    }
  }

  // One message, or nothing at the end of the input. Ctrl-C at the prompt drops the line; twice in a row it leaves.
  std::optional<std::string> read_input() {
    std::string text, line;
    bool block = false;
    prompt("> ");
    use_idle_time();
    for (;;) {
      interrupt_->clear();
      if (!std::getline(std::cin, line)) {
        if (!interrupt_->raised() || !stdin_is_terminal()) return text.empty() ? std::nullopt : std::optional(text);
        std::cin.clear();
        fmt::print(stderr, "\n");
        if (text.empty() && line.empty() && dropped_++ > 0) return std::nullopt;
        if (dropped_ == 1) fmt::print(stderr, "(once more, or Ctrl-D, to leave)\n");
        text.clear();
        block = false;
        prompt("> ");
        continue;
      }
      dropped_ = 0;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!block && text.empty() && line.starts_with("\"\"\"")) {
        block = true;
        line.erase(0, 3);
      }
      if (block) {
        if (const size_t end = line.find("\"\"\""); end != std::string::npos) return text + line.substr(0, end);
        text += line + "\n";
      } else if (!line.empty() && line.back() == '\\') {
        line.back() = '\n';
        text += line;
      } else {
        return text + line;
      }
      prompt(". ");
    }
  }

  void respond() {
    interrupt_->clear();
    bool written = false;
    auto answer = talk_.answer(
        messages_, o_.sampling, o_.generate,
        [&](std::string_view piece) {
          written = true;
          std::fwrite(piece.data(), 1, piece.size(), stdout);
          std::fflush(stdout);
        },
        interrupt_->flag());
    if (written) fmt::print("\n");
    std::fflush(stdout);
    if (!answer) {
      messages_.erase(messages_.size() - 1);
      fmt::print(stderr, "{}\n",
                 answer.error().code == "forward.cancelled" ? "(stopped while reading)" : answer.error().to_string());
      return;
    }
    messages_.push_back({{"role", "assistant"}, {"content", answer->generated.text}});
    const auto& gen = answer->generated;
    const auto predicted = predict_run(talk_.globals(), talk_.model(),
                                       answer->prefill.n_prompt + static_cast<int64_t>(gen.ids.size()) / 2, o_.drafts);
    if (!predicted && !std::exchange(told_of_measuring_, true))
      fmt::print(stderr, "(no prediction: {})\n", kNotMeasured);
    fmt::print(stderr, "({} tokens, {:.1f} tokens/s{}; read {} at {:.0f}/s{}{}{})\n\n", gen.ids.size(),
               gen.decode_tokens_per_s(), prediction_note(predicted, gen),
               answer->prefill.n_prompt - answer->prefill.n_cached, answer->prefill.tokens_per_s(),
               speculation_note(gen), answer->stopped_by.empty() ? "" : "; ", answer->stopped_by);
  }

  // False = leave.
  bool command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(1, space == std::string::npos ? std::string::npos : space - 1);
    const std::string rest =
        space == std::string::npos
            ? ""
            : line.substr(line.find_first_not_of(' ', space) == std::string::npos ? line.size()
                                                                                  : line.find_first_not_of(' ', space));
    if (name == "exit" || name == "quit" || name == "bye") return false;
    if (name == "help" || name == "?")
      fmt::print(stderr, "{}", kHelp);
    else if (name == "clear" || name == "new")
      clear();
    else if (name == "system") {
      o_.system = rest;
      clear();
      fmt::print(stderr, "{}\n", rest.empty() ? "(no system message)" : "(the conversation begins anew)");
    } else if (name == "retry") {
      if (!messages_.empty() && messages_.back()["role"] == "assistant") messages_.erase(messages_.size() - 1);
      if (messages_.empty() || messages_.back()["role"] != "user")
        fmt::print(stderr, "(there is nothing to answer yet)\n");
      else
        respond();
    } else if (name == "params")
      params(rest);
    else if (name == "save")
      report(save(rest), "saved");
    else if (name == "load")
      report(load(rest), "loaded");
    else
      fmt::print(stderr, "/{} is not a command; /help lists them\n", name);
    return true;
  }

  static void report(const Status& s, const char* done) {
    fmt::print(stderr, "{}\n", s ? fmt::format("({})", done) : s.error().to_string());
  }

  void params(const std::string& rest) {
    auto& p = o_.sampling.params;
    const size_t space = rest.find(' ');
    if (space != std::string::npos) {
      const std::string name = rest.substr(0, space);
      char* end = nullptr;
      const std::string value = rest.substr(space + 1);
      const double v = std::strtod(value.c_str(), &end);
      const engine::SamplingParams before = p;
      const bool number = end && *end == 0 && !value.empty();
      if (number && (name == "temperature" || name == "temp"))
        p.temperature = v;
      else if (number && name == "top_k")
        p.top_k = static_cast<int32_t>(v);
      else if (number && name == "top_p")
        p.top_p = v;
      else if (number && name == "min_p")
        p.min_p = v;
      else if (number && name == "repeat_penalty")
        p.repeat_penalty = v;
      else if (number && name == "max_tokens")
        o_.generate.max_tokens = static_cast<int64_t>(v);
      else {
        fmt::print(stderr, "'{}' is not a parameter with a number; /help lists them\n", rest);
        return;
      }
      if (auto ok = p.validate(static_cast<size_t>(talk_.model().model->hparams().n_vocab)); !ok) {
        p = before;
        fmt::print(stderr, "{}\n", ok.error().to_string());
        return;
      }
    }
    fmt::print(stderr, "  temperature {}  top_k {}  top_p {}  min_p {}  repeat_penalty {}  max_tokens {}\n",
               p.temperature, p.top_k, p.top_p, p.min_p, p.repeat_penalty, o_.generate.max_tokens);
  }

  Status save(const std::string& path) {
    if (path.empty()) return fail("usage.save", "/save wants a file name", "/save conversation.json");
    const Json out = {{"model", talk_.model().model->hparams().name}, {"messages", messages_}};
    return write_file_atomic(path, out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  Status load(const std::string& path) {
    if (path.empty()) return fail("usage.load", "/load wants a file name", "/load conversation.json");
    WATRA_ASSIGN(const std::string content, read_text_file(path));
    const Json in = Json::parse(content, nullptr, false);
    const Json* list = in.is_array() ? &in : in.is_object() && in.contains("messages") ? &in["messages"] : nullptr;
    if (!list || !list->is_array() || !std::all_of(list->begin(), list->end(), [](const Json& m) {
          return m.is_object() && m.contains("role") && m["role"].is_string() && m.contains("content") &&
                 m["content"].is_string();
        }))
      return fail("chat.bad_file",
                  fmt::format("{} is not a saved conversation: wanted a list of messages with role and content", path));
    messages_ = *list;
    o_.system =
        !messages_.empty() && messages_[0]["role"] == "system" ? messages_[0]["content"].get<std::string>() : "";
    for (const auto& m : messages_)
      fmt::print("{} {}\n\n",
                 m["role"] == "user"     ? ">"
                 : m["role"] == "system" ? "#"
                                         : "",
                 m["content"].get<std::string>());
    return {};
  }

  Talk& talk_;
  ChatOptions o_;
  Json messages_;
  InterruptFlag* interrupt_ = nullptr;
  int dropped_ = 0;
  bool told_of_measuring_ = false;
};

}  // namespace

Status converse(Talk& talk, ChatOptions options) { return Conversation(talk, std::move(options)).run(); }

}  // namespace watra::apps
