// watra run: one answer, or a conversation in the terminal.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/chat.h"
#include "apps/draft_choice.h"
#include "apps/loading.h"
#include "apps/run_report.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/terminal.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

struct RunOptions {
  std::string model, prompt, prompt_file, system, kv_store;
  std::vector<std::string> stop;
  SamplingOptions sampling;
  DraftOptions draft;
  int64_t n = -1;
  bool raw = false, has_prompt = false, interactive = false, endless = false;
};

// Beside a PROMPT a pipe may bring a text or stay open and silent for ever (a script's, ssh's): after this long it is
// taken for silent.
constexpr std::chrono::milliseconds kSilentAfter{2000};

// What the model is asked, nothing = a conversation.
//
//   watra run M "question"               the question
//   echo question | watra run M          all of standard input, one question
//   cat text | watra run M "question"    the text, an empty line, the question
Result<std::optional<std::string>> question(const Globals& g, const RunOptions& o) {
  if (o.interactive) return std::nullopt;
  if (!o.prompt_file.empty()) return read_text_file(o.prompt_file);
  const bool piped = !stdin_is_terminal();
  if (!o.has_prompt && !piped && !g.json) return std::nullopt;
  std::string text;
  if (piped && (!o.has_prompt || stdin_is_ready(kSilentAfter))) {
    WATRA_ASSIGN(text, read_standard_input());
    if (text.ends_with('\n')) text.pop_back();
  } else if (piped) {
    log::warn("nothing came on standard input: the question stands alone");
  }
  if (!o.has_prompt) return text;
  return text.empty() ? o.prompt : text + "\n\n" + o.prompt;
}

// How long an answer is taken to be before it is there.
int64_t planned_answer(int64_t max_tokens) { return max_tokens > 0 ? std::min<int64_t>(max_tokens, 256) : 256; }

Status run_once(const Globals& g, const RunOptions& o, Talk& talk, const std::string& prompt,
                const engine::DraftsInUse& drafts) {
  Json messages = Json::array();
  if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  InterruptFlag interrupt;
  const auto show = [&](std::string_view piece) {
    if (g.json) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  WATRA_ASSIGN(const auto a, talk.answer(messages, o.sampling,
                                         {.max_tokens = o.n, .stop = o.stop, .ignore_end = o.sampling.ignore_eos}, show,
                                         interrupt.flag()));
  const auto& gen = a.generated;
  const auto predicted = predict_run(g, talk.model(), a.prefill.n_prompt + planned_answer(o.n) / 2, drafts);
  record_run(g, o.model, talk.model(), a, predicted);
  if (g.json) {
    print_json({{"text", gen.text},
                {"ids", gen.ids},
                {"n_prompt", a.prefill.n_prompt},
                {"n_restored", a.prefill.n_restored},
                {"n_gen", gen.ids.size()},
                {"finish_reason", engine::finish_reason_name(gen.finish)},
                {"ttft_ms", 1e3 * (a.prefill.seconds + gen.first_token_s)},
                {"restore_ms", 1e3 * a.prefill.restore_s},
                {"prefill_tokens_per_s", a.prefill.tokens_per_s()},
                {"decode_tokens_per_s", gen.decode_tokens_per_s()},
                {"speculation", speculation_json(gen)},
                {"predicted", prediction_json(predicted, gen)},
                {"memory", {{"peak_bytes", peak_resident_bytes()}, {"streamed_bytes", talk.model().streamed_bytes}}}});
    return {};
  }
  if (gen.text.empty() || gen.text.back() != '\n') fmt::print("\n");
  std::fflush(stdout);
  if (stderr_is_terminal() || g.verbosity > 0)
    fmt::print(
        stderr, "\n({} tokens at {:.1f} tokens/s{}; read {} tokens at {:.0f}/s{}; first word after {:.2f} s{}{}{})\n",
        gen.ids.size(), gen.decode_tokens_per_s(), prediction_note(predicted, gen),
        a.prefill.n_prompt - a.prefill.n_cached, a.prefill.tokens_per_s(),
        a.prefill.n_restored > 0
            ? fmt::format(", {} from the disk in {:.2f} s", a.prefill.n_restored, a.prefill.restore_s)
            : "",
        a.prefill.seconds + gen.first_token_s, speculation_note(gen), a.stopped_by.empty() ? "" : "; ", a.stopped_by);
  if (!predicted && (stderr_is_terminal() || g.verbosity > 0))
    fmt::print(stderr, "(no prediction: {})\n", kNotMeasured);
  return {};
}

Status run(const Globals& g, const RunOptions& o) {
  if (o.interactive && g.json)
    return fail("usage.prompt", "a conversation is not one JSON object", "watra run MODEL \"a question\" --json");
  WATRA_ASSIGN(const auto prompt, question(g, o));
  if (prompt && prompt->empty()) return fail("usage.prompt", "the prompt is empty", "watra run MODEL \"a question\"");
  WATRA_ASSIGN(const auto kv_store, kv_store_options(g, o.kv_store));
  WATRA_ASSIGN(const DraftChoice choice, choose_draft(g, o.draft, o.model));
  DraftOptions draft = o.draft;
  draft.method = choice.word;
  WATRA_ASSIGN(auto model,
               load_for(g, o.model, 0, logit_rows(draft), 1, 0, kv_store, {choice.room_bytes, choice.needs_room}));
  WATRA_ASSIGN(auto talk, Talk::create(g, std::move(model), o.raw));
  if (o.endless) WATRA_TRY(talk->go_endless(o.system));
  WATRA_ASSIGN(auto speculation,
               make_speculation(g, draft, talk->session(), talk->history(),
                                draft.method == "none" ? nullptr : kept_experience(g, talk->model())));
  talk->session().speculate(std::move(speculation));
  if (prompt) return run_once(g, o, *talk, *prompt, choice.in_use);
  return converse(*talk, {.system = o.system,
                          .sampling = o.sampling,
                          .generate = {.max_tokens = o.n, .stop = o.stop, .ignore_end = o.sampling.ignore_eos},
                          .drafts = choice.in_use});
}

}  // namespace

void add_run(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<RunOptions>();
  auto* c = app.add_subcommand("run", "Ask a model something, or talk with it");
  c->add_option("MODEL", o->model, "Model file or name")->required();
  auto* prompt = c->add_option(
      "PROMPT", o->prompt,
      "What to say; a text on standard input goes in front of it. Without it standard input is what to say, "
      "and on a terminal a conversation begins");
  auto* file = c->add_option("--prompt-file", o->prompt_file, "Read the prompt from a file")->excludes(prompt);
  c->add_flag("-i,--interactive", o->interactive, "A conversation, also when its lines come through a pipe")
      ->excludes(prompt)
      ->excludes(file);
  c->add_option("--system", o->system, "System message");
  c->add_flag("--raw", o->raw, "Continue the text as it is, without the chat template");
  c->add_option("-n,--max-tokens", o->n, "Tokens to write at most (-1: until the model ends)")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 40));
  c->add_option("--stop", o->stop, "End the answer before this text (repeatable)")->allow_extra_args(false);
  c->add_flag("--endless", o->endless,
              "Go on when the context is full: the beginning (the system message) and the newest text stay in sight");
  c->add_option("--kv-store", o->kv_store,
                "What conversations may take on disk, e.g. 4GiB, so that they go on after a restart without being read "
                "again; off: nothing is kept or looked for (default: 4GiB)");
  add_draft_options(*c, o->draft);
  add_sampling_options(*c, o->sampling);
  c->callback([&g, &chosen, o, prompt] {
    o->has_prompt = prompt->count() > 0;
    chosen = [&g, o] { return run(g, *o); };
  });
}

}  // namespace watra::apps
