// How often a draft model is right. Output never depends on drafts, so the target writes its answers once, all of them
// together, and each draft is then held against the same tokens: no verification is run, unless --timed asks for it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "engine/model_proposer.h"
#include "text/chat_prompt.h"
#include "workshop/self_draft.h"

namespace watra {
namespace {

using Json = nlohmann::ordered_json;
using text::TokenId;

struct Options {
  std::string target, draft, self, home, prompts, answers;
  double temperature = 0;
  int64_t n_tokens = 96;
  int32_t nodes = 5, depth = 16;
  float min_path = 0;
  double token_ms = 0;
  bool tree = false, share = false, uncoupled = false, calibration = false, timed = false;
};

struct Talk {
  std::string kind, prompt;
  std::vector<TokenId> ids;  // prompt and answer
  size_t n_prompt = 0;
};

constexpr int64_t kSeed = 7;

engine::SamplingParams params_of(const Options& o) {
  engine::SamplingParams p;
  p.temperature = o.temperature;
  p.seed = kSeed;
  return p;
}

// "### kind" begins a prompt; everything up to the next such line is what is asked.
Result<std::vector<Talk>> read_prompts(const fs::path& path) {
  WATRA_ASSIGN(const std::string text, read_text_file(path));
  std::vector<Talk> talks;
  for (size_t at = text.find("### "); at != std::string::npos;) {
    const size_t line = text.find('\n', at), next = text.find("\n### ", line);
    talks.push_back({text.substr(at + 4, line - at - 4), text.substr(line + 1, next - line - 1), {}, 0});
    at = next == std::string::npos ? next : next + 1;
  }
  return talks;
}

Status tokenize(const engine::LoadedModel& m, std::vector<Talk>& talks) {
  const auto source = m.model->file().metadata().get_string("tokenizer.chat_template");
  if (!m.tokenizer || !source) return fail("bench.no_template", "the target has no chat template");
  WATRA_ASSIGN(const auto prompt, text::ChatPrompt::create(*source, m.tokenizer));
  for (Talk& t : talks) {
    const Json messages = Json::array({{{"role", "user"}, {"content", t.prompt}}});
    WATRA_ASSIGN(auto rendered, prompt.render({.messages = &messages}));
    t.ids = std::move(rendered.ids);
    t.n_prompt = t.ids.size();
  }
  return {};
}

Status read_into(engine::Forward& f, engine::SequenceId s, std::span<const TokenId> ids) {
  engine::Batch batch;
  for (size_t at = 0; at < ids.size();) {
    const size_t n = std::min<size_t>(ids.size() - at, static_cast<size_t>(f.options().max_rows));
    batch.clear();
    batch.add_chain(s, ids.data() + at, static_cast<int64_t>(n), at + n == ids.size());
    WATRA_TRY(f.run(batch));
    at += n;
  }
  return {};
}

// Plain decoding of all talks in one batch.
Status write_answers(const engine::LoadedModel& m, const Options& o, std::vector<Talk>& talks) {
  engine::Forward& f = *m.forward;
  struct Live {
    engine::SequenceId id;
    engine::Sampler sampler;
    bool done = false;
  };
  std::vector<Live> live;
  const auto n_vocab = static_cast<size_t>(m.model->hparams().n_vocab);
  const auto take = [&](size_t i, std::span<const float> logits) -> Status {
    Talk& t = talks[i];
    WATRA_ASSIGN(const auto sampled, live[i].sampler.sample(logits, t.ids.size() - t.n_prompt));
    t.ids.push_back(sampled.token);
    const auto& ends = m.tokenizer->spec().end_of_generation;
    live[i].done = std::find(ends.begin(), ends.end(), sampled.token) != ends.end() ||
                   static_cast<int64_t>(t.ids.size() - t.n_prompt) >= o.n_tokens;
    return {};
  };
  for (size_t i = 0; i < talks.size(); ++i) {
    WATRA_ASSIGN(auto sampler, engine::Sampler::create(params_of(o), n_vocab));
    live.push_back({f.kv().add(), std::move(sampler)});
    WATRA_TRY(read_into(f, live[i].id, talks[i].ids));
    WATRA_TRY(take(i, f.logits(0)));
  }
  for (bool going = true; going;) {
    engine::Batch batch;
    std::vector<size_t> who;
    for (size_t i = 0; i < talks.size(); ++i)
      if (!live[i].done) {
        batch.add_chain(live[i].id, &talks[i].ids.back(), 1, true);
        who.push_back(i);
      }
    going = !who.empty();
    if (!going) break;
    WATRA_TRY(f.run(batch));
    for (size_t r = 0; r < who.size(); ++r) WATRA_TRY(take(who[r], f.logits(static_cast<int64_t>(r))));
  }
  for (const Live& l : live) f.kv().remove(l.id);
  return {};
}

// The answers of FILE at this temperature, or new ones that are added to it.
Status find_answers(const engine::LoadedModel& m, const Options& o, std::vector<Talk>& talks) {
  const std::string key = fmt::format("{} {} {}", fs::path(o.target).filename().string(), o.temperature, o.n_tokens);
  Json all = Json::object();
  if (const auto text = o.answers.empty() ? fail("", "") : read_text_file(o.answers); text) all = Json::parse(*text);
  if (all.contains(key)) {
    for (size_t i = 0; i < talks.size(); ++i) talks[i].ids = all[key][i].get<std::vector<TokenId>>();
    return {};
  }
  WATRA_TRY(write_answers(m, o, talks));
  if (o.answers.empty()) return {};
  for (const Talk& t : talks) all[key].push_back(t.ids);
  return write_file_atomic(o.answers, all.dump());
}

struct Tally {
  int64_t n_tokens = 0, n_passes = 0, n_drafted = 0, n_accepted = 0;
  double plain_s = 0, drafted_s = 0;
  engine::DraftStats draft;
  std::vector<int64_t> by_belief_tried = std::vector<int64_t>(10), by_belief_right = std::vector<int64_t>(10);
};

Status hold_against(const engine::LoadedModel& m, const std::shared_ptr<engine::DraftModel>& model, const Options& o,
                    const Talk& t, Tally& tally) {
  engine::ModelProposer proposer(model);
  const engine::SamplingParams params = params_of(o);
  engine::KvCache& kv = m.forward->kv();
  engine::SequenceId whole = -1;
  if (o.share) {
    whole = kv.add();
    WATRA_TRY(read_into(*m.forward, whole, t.ids));
  }
  engine::Draft draft;
  // As decoding goes: a first token from the prompt, then drafts that continue what is there.
  for (size_t at = t.n_prompt + 1; at < t.ids.size();) {
    engine::DraftLimits limits{.max_nodes = o.nodes,
                               .max_depth = o.depth,
                               .tree = o.tree,
                               .min_path_probability = o.min_path,
                               .token_seconds = o.token_ms / 1e3,
                               .sampling = o.uncoupled ? nullptr : &params,
                               .seed = static_cast<uint64_t>(kSeed),
                               .position = at - t.n_prompt};
    if (o.share) {
      WATRA_ASSIGN(limits.sequence, kv.fork(whole, static_cast<int64_t>(at) - 1));
    }
    WATRA_TRY(proposer.propose(std::span(t.ids).first(at), limits, draft));
    if (o.share) kv.remove(limits.sequence);
    ++tally.n_passes;
    tally.n_drafted += static_cast<int64_t>(draft.nodes.size());
    for (int32_t node = -1; at < t.ids.size();) {
      const TokenId token = t.ids[at++];
      int32_t next = -1;
      for (size_t i = 0; i < draft.nodes.size(); ++i)
        if (draft.nodes[i].parent == node) {
          const auto bin = static_cast<size_t>(std::clamp(draft.nodes[i].probability * 10, 0.0f, 9.0f));
          ++tally.by_belief_tried[bin];
          if (draft.nodes[i].token != token) continue;
          ++tally.by_belief_right[bin];
          next = static_cast<int32_t>(i);
        }
      ++tally.n_tokens;
      if (next < 0) break;
      ++tally.n_accepted;
      node = next;
    }
  }
  if (o.share) kv.remove(whole);
  const engine::DraftStats& s = proposer.stats();
  tally.draft.n_read += s.n_read;
  tally.draft.read_s += s.read_s;
  tally.draft.n_passes += s.n_passes;
  tally.draft.n_rows += s.n_rows;
  tally.draft.draft_s += s.draft_s;
  return {};
}

// Writes an answer once more with real passes, plain (no proposer) or with drafts, and returns the seconds after the
// first token. The tokens must be those of plain decoding.
Result<double> write_again(const engine::LoadedModel& m, engine::ModelProposer* proposer, const Options& o,
                           const Talk& t, Tally& tally) {
  engine::Forward& f = *m.forward;
  const engine::SamplingParams params = params_of(o);
  WATRA_ASSIGN(auto sampler, engine::Sampler::create(params, static_cast<size_t>(m.model->hparams().n_vocab)));
  const engine::SequenceId s = f.kv().add();
  std::vector<TokenId> ids(t.ids.begin(), t.ids.begin() + static_cast<ptrdiff_t>(t.n_prompt));
  WATRA_TRY(read_into(f, s, ids));
  const auto take = [&](int64_t row) -> Status {
    WATRA_ASSIGN(const auto sampled, sampler.sample(f.logits(row), ids.size() - t.n_prompt));
    ids.push_back(sampled.token);
    return {};
  };
  WATRA_TRY(take(0));
  const auto begin = std::chrono::steady_clock::now();
  engine::Batch batch;
  engine::Draft draft;
  std::vector<int32_t> path;
  while (ids.size() < t.ids.size()) {
    draft.clear();
    if (proposer)
      WATRA_TRY(proposer->propose(ids,
                                  {.max_nodes = o.nodes,
                                   .max_depth = o.depth,
                                   .tree = o.tree,
                                   .min_path_probability = o.min_path,
                                   .token_seconds = o.token_ms / 1e3,
                                   .sampling = o.uncoupled ? nullptr : &params,
                                   .seed = static_cast<uint64_t>(kSeed),
                                   .position = ids.size() - t.n_prompt,
                                   .sequence = s},
                                  draft));
    batch.clear();
    batch.rows.push_back({.token = ids.back(), .sequence = s, .parent = engine::kFromCache, .wants_logits = true});
    for (const auto& n : draft.nodes)
      batch.rows.push_back({.token = n.token, .sequence = s, .parent = n.parent + 1, .wants_logits = true});
    WATRA_TRY(f.run(batch));
    path.assign(1, 0);
    for (int32_t node = -1; ids.size() < t.ids.size();) {
      WATRA_TRY(take(node + 1));
      const auto next = std::find_if(draft.nodes.begin(), draft.nodes.end(), [&](const engine::Draft::Node& n) {
        return n.parent == node && n.token == ids.back();
      });
      if (next == draft.nodes.end()) break;
      node = static_cast<int32_t>(next - draft.nodes.begin());
      path.push_back(node + 1);
    }
    f.kv().keep_path(s, path);
    if (proposer) {
      ++tally.n_passes;
      tally.n_drafted += static_cast<int64_t>(draft.nodes.size());
      tally.n_accepted += static_cast<int64_t>(path.size()) - 1;
    }
  }
  f.kv().remove(s);
  if (proposer) tally.n_tokens += static_cast<int64_t>(ids.size() - t.n_prompt) - 1;
  if (ids != t.ids) return fail("bench.different", fmt::format("an answer of kind {} has other tokens", t.kind));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Result<std::string> draft_file(const Options& o) {
  if (o.self.empty()) return o.draft;
  const auto type = tensor::dtype_from_name(o.self);
  if (!type) return fail("bench.type", fmt::format("{} is no type", o.self));
  WATRA_ASSIGN(const auto made, workshop::self_draft(o.target, {.home = o.home, .type = *type}));
  if (made.was_made) std::fprintf(stderr, "%s made in %.1f s\n", made.path.c_str(), made.seconds);
  return made.path.string();
}

Status measure(const Options& o) {
  WATRA_ASSIGN(const std::string draft_path, draft_file(o));
  WATRA_ASSIGN(auto talks, read_prompts(o.prompts));
  engine::LoadOptions load;
  load.n_ctx = 2048;
  load.kv_positions = 2048 + 512 * static_cast<int64_t>(talks.size());
  load.max_logit_rows = std::max<int64_t>(static_cast<int64_t>(talks.size()), o.nodes + 1);
  WATRA_ASSIGN(const auto target, engine::load_model(o.target, load));
  WATRA_TRY(tokenize(target, talks));
  WATRA_TRY(find_answers(target, o, talks));
  if (draft_path.empty()) return {};
  WATRA_ASSIGN(const auto draft,
               engine::load_draft(target, draft_path, {.share_cache = o.share, .kv_positions = 2048}));
  std::map<std::string, Tally> tallies;
  for (const Talk& t : talks) {
    Tally& tally = tallies[t.kind];
    if (!o.timed) {
      WATRA_TRY(hold_against(target, draft, o, t, tally));
      continue;
    }
    engine::ModelProposer proposer(draft);
    WATRA_ASSIGN(const double plain_s, write_again(target, nullptr, o, t, tally));
    WATRA_ASSIGN(const double drafted_s, write_again(target, &proposer, o, t, tally));
    tally.plain_s += plain_s;
    tally.drafted_s += drafted_s;
    tally.draft.draft_s += proposer.stats().draft_s;
    tally.draft.n_passes += proposer.stats().n_passes;
    tally.draft.read_s += proposer.stats().read_s;
  }
  for (const auto& [kind, t] : tallies) {
    Json out = {
        {"kind", kind},
        {"draft", o.self.empty() ? fs::path(draft_path).filename().string() : "self " + o.self},
        {"shape", o.tree ? "tree" : "chain"},
        {"nodes", o.nodes},
        {"temperature", o.temperature},
        {"shared_cache", o.share},
        {"coupled", !o.uncoupled && o.temperature > 0},
        {"n_tokens", t.n_tokens},
        {"accept_rate", t.n_drafted ? static_cast<double>(t.n_accepted) / static_cast<double>(t.n_drafted) : 0},
        {"tau", static_cast<double>(t.n_tokens) / static_cast<double>(t.n_passes)},
        {"nodes_per_pass", static_cast<double>(t.n_drafted) / static_cast<double>(t.n_passes)},
        {"draft_passes", t.draft.n_passes},
        {"draft_ms_per_pass", 1e3 * t.draft.draft_s / static_cast<double>(std::max<int64_t>(1, t.draft.n_passes))},
        {"draft_ms_per_token", 1e3 * t.draft.draft_s / static_cast<double>(std::max<int64_t>(1, t.n_tokens))},
        {"prompt_s", t.draft.read_s}};
    if (o.timed) {
      out["plain_tokens_per_s"] = static_cast<double>(t.n_tokens) / t.plain_s;
      out["drafted_tokens_per_s"] = static_cast<double>(t.n_tokens) / t.drafted_s;
      out["times_faster"] = t.plain_s / t.drafted_s;
    }
    if (o.calibration) {
      out["belief_tried"] = t.by_belief_tried;
      out["belief_right"] = t.by_belief_right;
    }
    std::printf("%s\n", out.dump().c_str());
  }
  return {};
}

}  // namespace
}  // namespace watra

int main(int argc, char** argv) {
  watra::Options o;
  CLI::App app("How often a draft model is right");
  app.add_option("TARGET", o.target, "The target's GGUF file")->required();
  app.add_option("--draft", o.draft, "The draft's; without it only answers are written");
  app.add_option("--self", o.self, "A copy of the target in this type drafts");
  app.add_option("--home", o.home, "Where such copies are kept");
  app.add_option("--prompts", o.prompts, "Prompts by kind")->required();
  app.add_option("--answers", o.answers, "Keeps the target's answers");
  app.add_option("--temp", o.temperature, "Temperature of the target");
  app.add_option("-n", o.n_tokens, "Tokens of an answer at most");
  app.add_option("--nodes", o.nodes, "Nodes of a draft at most");
  app.add_option("--depth", o.depth, "Its depth at most");
  app.add_option("--min-path", o.min_path, "Least path probability of a node");
  app.add_option("--token-ms", o.token_ms, "Milliseconds that a token saves");
  app.add_flag("--tree", o.tree, "Branches");
  app.add_flag("--share", o.share, "The draft reads the target's cache");
  app.add_flag("--uncoupled", o.uncoupled, "The draft takes the likeliest token at any temperature");
  app.add_flag("--timed", o.timed, "Also with real passes, plain and drafted in turn: speed, and the same tokens");
  app.add_flag("--calibration", o.calibration, "How often nodes of each tenth of probability were right");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = watra::measure(o); !done) {
    std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
    return 1;
  }
  return 0;
}
