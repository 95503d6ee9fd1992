#include "apps/bench_answers.h"

#include <algorithm>

#include "apps/chat.h"
#include "apps/draft_choice.h"
#include "apps/loading.h"
#include "base/file.h"
#include "base/home.h"
#include "base/terminal.h"
#include "engine/kept_experience.h"
#include "watra_version.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;

Result<std::vector<Json>> read_questions(const std::string& file) {
  WATRA_ASSIGN(const std::string content, read_text_file(file));
  const Json list = Json::parse(content, nullptr, false);
  if (!list.is_array() || list.empty())
    return fail("usage.answers", fmt::format("{} is not a JSON list of questions", file),
                R"([[{"role": "user", "content": "a question"}], "a text to continue"])");
  std::vector<Json> out;
  for (const Json& entry : list)
    out.push_back(entry.is_string() ? Json::array({{{"role", "user"}, {"content", entry}}}) : entry);
  return out;
}

double median(std::vector<double> v) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

}  // namespace

Status bench_answers(const Globals& g, const AnswersOptions& o) {
  WATRA_ASSIGN(const auto questions, read_questions(o.file));
  Later draft_room;
  std::vector<std::string> words;  // what each method means here
  for (const std::string& method : o.methods) {
    DraftOptions draft = o.draft;
    draft.method = method;
    WATRA_ASSIGN(const DraftChoice choice, choose_draft(g, draft, o.model));
    words.push_back(choice.word);
    draft_room.bytes += choice.room_bytes;
    draft_room.is_needed = draft_room.is_needed || choice.needs_room;
  }
  WATRA_ASSIGN(auto model, load_for(g, o.model, 0, logit_rows(o.draft), 1, 0, {}, draft_room));
  const uint64_t streamed_bytes = model.streamed_bytes;
  WATRA_ASSIGN(auto talk, Talk::create(g, std::move(model), false));
  engine::Session& session = talk->session();
  std::vector<std::shared_ptr<engine::Speculation>> speculations;
  for (size_t i = 0; i < o.methods.size(); ++i) {
    const std::string& method = o.methods[i];
    DraftOptions draft = o.draft;
    draft.method = words[i];
    std::shared_ptr<engine::DraftExperience> experience;
    if (o.learn) {
      WATRA_ASSIGN(const fs::path home, home_folder(g.home));
      experience = engine::keep_experience(home / "bench" / fs::path(method).filename(), session.model());
    }
    WATRA_ASSIGN(auto speculation, make_speculation(g, draft, session, nullptr, std::move(experience)));
    speculations.push_back(std::move(speculation));
  }
  Json out = {{"model", o.model},
              {"isa", session.forward().kernels().isa},
              {"threads", session.forward().n_threads()},
              {"commit", kCommit},
              {"methods", o.methods},
              {"answers", Json::array()},
              {"pass_seconds", Json::array()}};
  out["streamed_bytes"] = streamed_bytes;
  std::vector<std::vector<double>> rates(o.methods.size()), ratios(o.methods.size()), taus(o.methods.size());
  int64_t n_different = 0;
  uint64_t n_done = 0;
  ProgressBar bar(ProgressBar::Unit::items);
  const auto n_all = static_cast<uint64_t>(o.rounds) * questions.size() * o.methods.size();
  for (int round = 0; round < o.rounds; ++round)
    for (size_t q = 0; q < questions.size(); ++q) {
      // Whoever answers first after a question is read is slower: the order goes round.
      std::vector<Talk::Answer> by_method(o.methods.size());
      for (size_t k = 0; k < o.methods.size(); ++k) {
        const size_t m = (k + q + static_cast<size_t>(round)) % o.methods.size();
        bar.update("answering", n_done++, n_all);
        session.speculate(speculations[m]);
        WATRA_ASSIGN(by_method[m],
                     talk->answer(questions[q], o.sampling,
                                  {.max_tokens = o.max_tokens, .ignore_end = o.sampling.ignore_eos}, {}, nullptr));
        while (o.idle && session.use_idle_time()) {
        }
      }
      const engine::GenerateReport& first = by_method[0].generated;
      for (size_t m = 0; m < o.methods.size(); ++m) {
        const engine::GenerateReport& gen = by_method[m].generated;
        const double rate = gen.decode_tokens_per_s(), first_rate = first.decode_tokens_per_s();
        const bool same = gen.ids == first.ids;
        n_different += !same;
        rates[m].push_back(rate);
        taus[m].push_back(gen.speculation.tau());
        if (first_rate > 0) ratios[m].push_back(rate / first_rate);
        out["answers"].push_back({{"question", q},
                                  {"round", round},
                                  {"method", o.methods[m]},
                                  {"n_prompt", by_method[m].prefill.n_prompt},
                                  {"n_gen", gen.ids.size()},
                                  {"decode_tokens_per_s", rate},
                                  {"ratio", first_rate > 0 ? rate / first_rate : 0},
                                  {"same", same},
                                  {"speculation", speculation_json(gen)},
                                  {"ids", gen.ids}});
      }
    }
  bar.clear();
  for (int64_t n = 1; n <= logit_rows(o.draft); ++n) out["pass_seconds"].push_back(session.pass_times().seconds(n));
  out["n_different"] = n_different;
  if (g.json) {
    print_json(out);
    return {};
  }
  fmt::print("{}, {} kernels, {} threads: {} answers of up to {} tokens\n", o.model, session.forward().kernels().isa,
             session.forward().n_threads(), o.rounds * questions.size(), o.max_tokens);
  fmt::print("{:<24} {:>10} {:>16} {:>10}\n", "draft", "tokens/s", "to the first", "tau");
  for (size_t m = 0; m < o.methods.size(); ++m)
    fmt::print("{:<24} {:>10.2f} {:>16.3f} {:>10.2f}\n", o.methods[m], median(rates[m]), median(ratios[m]),
               median(taus[m]));

  if (n_different > 0)
    return fail("speculation.different",
                fmt::format("{} answers are not those of --draft {}", n_different, o.methods[0]));
  return {};
}

}  // namespace watra::apps
