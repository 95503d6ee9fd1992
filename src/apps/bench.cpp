// watra bench: how fast a model reads and writes on this machine, beside what the machine's memory and arithmetic can
// do.
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/bench_answers.h"
#include "apps/loading.h"
#include "base/log.h"
#include "base/terminal.h"
#include "engine/hardware.h"
#include "watra_version.h"

namespace watra::apps {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

// --verify: so many rounds for each of -r, as of at least so many: one pass is short.
constexpr int kVerifyRounds = 3, kLeastVerifyRepeats = 3;

struct BenchOptions {
  std::string model;
  std::vector<int64_t> prompt{512}, gen{128}, depth{0}, batch{1}, verify;
  int repeats = 5;
  AnswersOptions answers;
};

double since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

struct Spread {
  double median, min, max;
};
Spread spread(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  const size_t n = v.size();
  return {n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2, v.front(), v.back()};
}
Json spread_json(const std::vector<double>& runs) {
  const Spread s = spread(runs);
  return {{"median", s.median}, {"min", s.min}, {"max", s.max}, {"runs", runs}};
}

// Runs passes; token ids are a fixed pseudo-random walk (which ids does not matter for dense
// models).
class Bench {
 public:
  // Filling a deep cache takes minutes: `filling` is told how many of how many tokens are there.
  using Filling = std::function<void(int64_t done, int64_t n)>;
  Bench(const engine::LoadedModel& model, Filling filling)
      : forward_(*model.forward), n_vocab_(model.model->hparams().n_vocab), filling_(std::move(filling)) {}

  Status prefill(engine::SequenceId s, int64_t n) {
    for (int64_t done = 0; done < n;) {
      const int64_t rows = std::min(n - done, forward_.options().max_rows);
      batch_.clear();
      for (int64_t i = 0; i < rows; ++i) batch_.rows.push_back({.token = next_token(), .sequence = s});
      batch_.rows.back().wants_logits = done + rows == n;
      WATRA_TRY(forward_.run(batch_));
      done += rows;
    }
    return {};
  }

  // One step of all sequences, m tokens each.
  Status step(const std::vector<engine::SequenceId>& sequences, int64_t m = 1) {
    batch_.clear();
    for (engine::SequenceId s : sequences)
      for (int64_t i = 0; i < m; ++i)
        batch_.rows.push_back({.token = next_token(), .sequence = s, .wants_logits = true});
    return forward_.run(batch_);
  }

  // Sequences with `depth` tokens in their cache. The time_ functions leave them as they were.
  Result<std::vector<engine::SequenceId>> begin(int64_t n_sequences, int64_t depth) {
    std::vector<engine::SequenceId> sequences;
    for (int64_t i = 0; i < n_sequences; ++i) {
      sequences.push_back(forward_.kv().add());
      for (int64_t done = 0; done < depth;) {
        filling_(i * depth + done, n_sequences * depth);
        const int64_t n = std::min(depth - done, kFillingStep);
        WATRA_TRY(prefill(sequences.back(), n));
        done += n;
      }
    }
    return sequences;
  }
  void end(const std::vector<engine::SequenceId>& sequences) {
    for (auto s : sequences) forward_.kv().remove(s);
  }

  Result<double> time_prefill(engine::SequenceId s, int64_t n, int64_t depth) {
    const auto t = Clock::now();
    WATRA_TRY(prefill(s, n));
    const double seconds = since(t);
    forward_.kv().truncate(s, depth);
    return seconds;
  }

  Result<double> time_decode(const std::vector<engine::SequenceId>& sequences, int64_t n, int64_t depth) {
    WATRA_TRY(step(sequences));
    const auto t = Clock::now();
    for (int64_t i = 0; i < n; ++i) WATRA_TRY(step(sequences));
    const double seconds = since(t);
    for (auto s : sequences) forward_.kv().truncate(s, depth);
    return seconds;
  }

  Result<double> time_verify(engine::SequenceId s, int64_t m, int64_t depth) {
    const auto t = Clock::now();
    WATRA_TRY(step({s}, m));
    const double seconds = since(t);
    forward_.kv().truncate(s, depth);
    return seconds;
  }

  engine::Forward& forward() { return forward_; }

 private:
  static constexpr int64_t kFillingStep = 2048;  // tokens between two words about it

  text::TokenId next_token() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<text::TokenId>((state_ >> 33) % static_cast<uint64_t>(n_vocab_));
  }
  engine::Forward& forward_;
  const int64_t n_vocab_;
  const Filling filling_;
  engine::Batch batch_;
  uint64_t state_ = 1;
};

// Multiply-accumulates of a token of a prompt that is not its last one: nobody asks for its logits, so the output
// matrix (which may be the embedding table) is not multiplied. An encoder has none.
int64_t prefill_macs(const model::Model& m) {
  const auto* output = m.globals()[static_cast<size_t>(model::Role::output)].tensor;
  return m.pass_macs() - (output ? output->shape.elements() : 0);
}

struct Peaks {
  double read_gb_s = 0, disk_gb_s = 0;
};

// Measuring memory and disk takes memory: under a limit it is done while the model is not there yet.
Result<Peaks> measure_before_loading(const Globals& g, const std::string& model) {
  WATRA_ASSIGN(const uint64_t limit, parse_bytes(g.ram));
  WATRA_ASSIGN(const std::vector<int> cpus, chosen_cpus(g));
  const int n_threads = g.threads > 0   ? g.threads
                        : !cpus.empty() ? static_cast<int>(cpus.size())
                                        : default_thread_count();
  ThreadTeam team(n_threads);
  engine::MeasureOptions options;
  options.buffer_bytes = std::min(options.buffer_bytes, limit - limit / 4);
  Peaks peaks;
  WATRA_ASSIGN(peaks.read_gb_s, engine::measure_read_gb_s(team, options));
  WATRA_ASSIGN(const std::string path, resolve_model(g, model));
  if (const auto rate = engine::measure_direct_read_gb_s(fs::path(path).parent_path())) peaks.disk_gb_s = *rate;
  return peaks;
}

Status bench(const Globals& g, const BenchOptions& o) {
  const auto most = [](const std::vector<int64_t>& v) { return v.empty() ? 0 : *std::max_element(v.begin(), v.end()); };
  constexpr int64_t kMostTokens = 1 << 24, kMostSequences = 512;
  const struct {
    const char* flag;
    const std::vector<int64_t>& values;
    int64_t least, most;
  } lists[] = {{"-p", o.prompt, 0, kMostTokens},
               {"-n", o.gen, 0, kMostTokens},
               {"-d", o.depth, 0, kMostTokens},
               {"-b", o.batch, 1, kMostSequences},
               {"--verify", o.verify, 1, kMostSequences}};
  for (const auto& list : lists)
    for (int64_t v : list.values)
      if (v < list.least || v > list.most)
        return fail("usage.bench", fmt::format("{} {} is outside {}..{}", list.flag, v, list.least, list.most),
                    fmt::format("{} takes numbers with commas between them: {} {}", list.flag, list.flag,
                                list.least == 0 ? "0,512" : "1,2,4,8"));
  const int64_t per_sequence = most(o.depth) + std::max(most(o.prompt), most(o.gen) + 1) + most(o.verify) + 1;
  const int64_t n_ctx = (per_sequence + kernels::kKvPage) * std::max<int64_t>(1, most(o.batch));
  Globals with = g;
  if (g.ctx > 0 && g.ctx < n_ctx)
    return fail("usage.bench",
                fmt::format("--ctx {} holds fewer tokens than the {} that these tests need", g.ctx, n_ctx),
                fmt::format("--ctx {}, or leave it out; or smaller -d, -p, -n, -b", n_ctx));
  with.ctx = std::max(g.ctx, n_ctx);
  WATRA_ASSIGN(const Peaks peaks, g.ram.empty() ? Peaks{} : measure_before_loading(g, o.model));
  WATRA_ASSIGN(const auto model,
               load_for(with, o.model, n_ctx, std::max<int64_t>({16, most(o.batch), most(o.verify)}), most(o.batch)));
  ProgressBar bar(ProgressBar::Unit::items);
  Bench b(model, [&bar](int64_t done, int64_t n) {
    bar.update("filling the cache", static_cast<uint64_t>(done), static_cast<uint64_t>(n));
  });
  if (const int64_t known = model.model->hparams().n_ctx_train; per_sequence > known)
    log::warn("{} was trained for {} tokens and these tests hold {} in a sequence: speeds hold, its words would not",
              o.model, known, per_sequence);

  double read_gb_s = peaks.read_gb_s;
  if (g.ram.empty()) {
    engine::MeasureOptions measure;
    measure.buffer_bytes = std::min<uint64_t>(measure.buffer_bytes, available_memory_bytes() / 4);
    WATRA_ASSIGN(read_gb_s, engine::measure_read_gb_s(*model.team, measure));
  }
  const double int8_gop_s = engine::measure_int8_gop_s(*model.team, b.forward().kernels());
  const auto pass_bytes = static_cast<double>(model.model->pass_bytes());

  Json out = {{"model", o.model},
              {"n_params", model.model->n_params()},
              {"weight_bytes", model.model->weight_bytes()},
              {"pass_bytes", model.model->pass_bytes()},
              {"pass_macs", model.model->pass_macs()},
              {"prefill_macs", prefill_macs(*model.model)},
              {"streamed_bytes", model.streamed_bytes},
              {"disk_direct_gb_s", peaks.disk_gb_s > 0 ? Json(peaks.disk_gb_s) : Json()},
              {"isa", b.forward().kernels().isa},
              {"threads", model.team->size()},
              {"commit", kCommit},
              {"peak_read_gb_s", read_gb_s},
              {"peak_int8_gop_s", int8_gop_s},
              {"peak_int8_gmac_s", int8_gop_s / 2},
              {"load", {{"seconds", model.weights->report().seconds}, {"gb_s", model.weights->report().gb_s()}}},
              {"memory", Json::object()},
              {"tests", Json::array()}};
  const auto test = [&](const std::string& name, const char* kind, int64_t n_prompt, int64_t n_gen, int64_t depth,
                        int64_t batch) -> Status {
    std::vector<double> rates, seconds;
    const auto n_tokens = static_cast<double>(n_prompt + n_gen * batch);
    WATRA_ASSIGN(const auto sequences, b.begin(batch, depth));
    const auto time = [&] {
      return n_gen > 0 ? b.time_decode(sequences, n_gen, depth) : b.time_prefill(sequences[0], n_prompt, depth);
    };
    WATRA_TRY(time());  // warm-up
    for (int r = 0; r < o.repeats; ++r) {
      bar.update(name, static_cast<uint64_t>(r), static_cast<uint64_t>(o.repeats));
      WATRA_ASSIGN(const double s, time());
      seconds.push_back(s);
      rates.push_back(n_tokens / s);
    }
    b.end(sequences);
    Json row = {{"name", name},
                {"kind", kind},
                {"n_prompt", n_prompt},
                {"n_gen", n_gen},
                {"depth", depth},
                {"batch", batch},
                {"tokens_per_s", spread_json(rates)}};
    if (n_gen > 0) row["weight_gb_s"] = pass_bytes * static_cast<double>(n_gen) / spread(seconds).median / 1e9;
    if (n_gen > 0 && model.streamed_bytes > 0)
      row["disk_gb_s"] =
          static_cast<double>(model.streamed_bytes) * static_cast<double>(n_gen) / spread(seconds).median / 1e9;
    out["tests"].push_back(std::move(row));
    return {};
  };
  for (int64_t depth : o.depth) {
    const std::string at = depth ? fmt::format("@d{}", depth) : "";
    for (int64_t n : o.prompt)
      if (n > 0) WATRA_TRY(test(fmt::format("pp{}{}", n, at), "prefill", n, 0, depth, 1));
    for (int64_t n : o.gen)
      for (int64_t batch : o.batch)
        if (n > 0) {
          const std::string name = fmt::format("tg{}{}{}", n, at, batch > 1 ? fmt::format("@b{}", batch) : "");
          WATRA_TRY(test(name, "decode", 0, n, depth, batch));
        }
  }
  if (!o.verify.empty()) {
    // All widths in turn, round after round, so that a machine that changes its speed changes it for all.
    const int64_t base = most(o.depth);
    const int verify_rounds = kVerifyRounds * std::max(o.repeats, kLeastVerifyRepeats);
    WATRA_ASSIGN(const auto sequences, b.begin(1, base));
    const engine::SequenceId s = sequences[0];
    std::vector<std::vector<double>> seconds(o.verify.size());
    std::vector<double> one;
    for (int r = -1; r < verify_rounds; ++r) {
      WATRA_ASSIGN(const double t1, b.time_verify(s, 1, base));
      if (r >= 0) one.push_back(t1);
      for (size_t i = 0; i < o.verify.size(); ++i) {
        double t = t1;
        if (o.verify[i] != 1) {
          WATRA_ASSIGN(t, b.time_verify(s, o.verify[i], base));
        }
        if (r >= 0) seconds[i].push_back(t);
      }
    }
    out["verify"] = Json::array();
    for (size_t i = 0; i < o.verify.size(); ++i)
      out["verify"].push_back({{"m", o.verify[i]},
                               {"depth", base},
                               {"seconds", spread_json(seconds[i])},
                               {"ratio_to_one", spread(seconds[i]).median / spread(one).median}});
  }
  bar.clear();
  out["memory"]["peak_bytes"] = peak_resident_bytes();

  if (g.json) {
    print_json(out);
    return {};
  }
  fmt::print("{}: {:.3f} billion parameters, {}; {} kernels, {} threads, commit {}\n", o.model,
             static_cast<double>(model.model->n_params()) / 1e9, format_bytes(model.model->weight_bytes()),
             kernels::name_of(b.forward().kernels()), model.team->size(), kCommit);
  fmt::print("this machine now: reads {:.1f} GB/s, {:.0f} billion 8-bit operations a second; loaded at {:.1f} GB/s\n\n",
             read_gb_s, int8_gop_s, model.weights->report().gb_s());
  fmt::print("{:<16} {:>10} {:>19} {:>14} {:>8}\n", "test", "tokens/s", "min .. max", "weights GB/s", "of peak");
  for (const auto& t : out["tests"]) {
    const auto& r = t["tokens_per_s"];
    fmt::print("{:<16} {:>10.2f} {:>8.2f} .. {:>7.2f}", t["name"].get<std::string>(), r["median"].get<double>(),
               r["min"].get<double>(), r["max"].get<double>());
    if (t.contains("weight_gb_s"))
      fmt::print(" {:>14.2f} {:>6.0f} %", t["weight_gb_s"].get<double>(),
                 100 * t["weight_gb_s"].get<double>() / read_gb_s);
    if (t.contains("disk_gb_s"))
      fmt::print("   {:.2f} GB/s from disk{}", t["disk_gb_s"].get<double>(),
                 peaks.disk_gb_s > 0 ? fmt::format(", which gives {:.2f}", peaks.disk_gb_s) : "");
    fmt::print("\n");
  }
  if (out.contains("verify"))
    for (const auto& v : out["verify"]) {
      const auto depth = v["depth"].get<int64_t>();
      fmt::print("pass over {:>3} tokens{}: {:>8.2f} ms, {:.2f} x one\n", v["m"].get<int64_t>(),
                 depth > 0 ? fmt::format(" behind {}", depth) : "", 1e3 * v["seconds"]["median"].get<double>(),
                 v["ratio_to_one"].get<double>());
    }
  return {};
}

}  // namespace

void add_bench(CLI::App& app, Globals& g, Handler& chosen) {
  auto o = std::make_shared<BenchOptions>();
  auto* c = app.add_subcommand("bench", "Measure a model's speed");
  c->add_option("MODEL", o->model, "Model file or name")->required();
  c->add_option("-p", o->prompt, "Tokens to read (list; 0 = skip)")->delimiter(',')->allow_extra_args(false);
  c->add_option("-n", o->gen, "Tokens to write (list; 0 = skip)")->delimiter(',')->allow_extra_args(false);
  c->add_option("-d", o->depth, "Tokens already in the cache (list)")->delimiter(',')->allow_extra_args(false);
  c->add_option("-b", o->batch, "Sequences decoded together (list)")->delimiter(',')->allow_extra_args(false);
  c->add_option("-r", o->repeats, "Runs of each test")->check(CLI::Range(1, 1000));
  c->add_option(
       "--verify", o->verify,
       "Also one pass over so many tokens of one sequence (list), behind the most tokens that -d names; three rounds "
       "for each of -r, at least nine")
      ->delimiter(',')
      ->allow_extra_args(false);
  auto* answers = c->add_option("--answers", o->answers.file,
                                "Instead: answer the questions of a JSON file with each --draft in turn (-n tokens, -r "
                                "rounds) and compare speed and tokens");
  c->add_option("--draft", o->answers.methods, "Ways of drafting to compare (list; the first is compared with)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->needs(answers);
  c->add_option("--draft-max", o->answers.draft.max, "Tokens drafted at most")
      ->check(CLI::Range(1, 1024))
      ->needs(answers);
  c->add_option("--draft-shape", o->answers.draft.shape, "chain, tree or auto")
      ->check(CLI::IsMember({"chain", "tree", "auto"}))
      ->needs(answers);
  c->add_flag("--idle", o->answers.idle, "Between answers drafts read the conversation, as while a person types")
      ->needs(answers);
  c->add_flag("--learn", o->answers.learn, "Keep what drafts taught for the next such bench, each way for itself")
      ->needs(answers);
  add_sampling_options(*c, o->answers.sampling);
  c->callback([&g, &chosen, o] {
    chosen = [&g, o]() -> Status {
      if (o->answers.file.empty()) return bench(g, *o);
      o->answers.model = o->model;
      o->answers.max_tokens = o->gen.empty() ? 128 : o->gen[0];
      o->answers.rounds = o->repeats;
      return bench_answers(g, o->answers);
    };
  });
}

}  // namespace watra::apps
