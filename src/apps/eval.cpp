// watra eval: how good a model's predictions are on a text.
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/loading.h"
#include "base/file.h"
#include "base/terminal.h"
#include "workshop/needle.h"
#include "workshop/perplexity.h"

namespace watra::apps {
namespace {

struct EvalOptions {
  std::string model, reference, text_file, language = "en";
  int64_t chunks = -1;
  int n_needles = 10;
};

Result<engine::LoadedModel> load_for_eval(const Globals& g, const std::string& model, int64_t n_ctx) {
  Globals with = g;
  with.ctx = n_ctx;
  return load_for(with, model, n_ctx, 64);
}

workshop::PerplexityOptions eval_options(const EvalOptions& o, int64_t n_ctx, ProgressBar& bar, const char* what) {
  return {.n_ctx = n_ctx, .max_chunks = o.chunks, .progress = [&bar, what](int64_t done, int64_t total, double so_far) {
            bar.update(fmt::format("{} {:.4f}", what, so_far), static_cast<uint64_t>(done),
                       static_cast<uint64_t>(total));
          }};
}

Status run_perplexity(const Globals& g, const EvalOptions& o) {
  const int64_t n_ctx = g.ctx ? g.ctx : 512;
  WATRA_ASSIGN(const std::string text, read_text_file(o.text_file));
  WATRA_ASSIGN(const auto model, load_for_eval(g, o.model, n_ctx));
  ProgressBar bar(ProgressBar::Unit::items);
  WATRA_ASSIGN(const auto r, workshop::perplexity(model, text, eval_options(o, n_ctx, bar, "perplexity")));
  bar.clear();
  if (g.json)
    print_json({{"perplexity", r.perplexity},
                {"stderr", r.stderr_},
                {"n_chunks", r.n_chunks},
                {"n_tokens", r.n_tokens},
                {"tokens_per_s", r.tokens_per_s}});
  else
    fmt::print("perplexity {:.4f} +/- {:.4f}  ({} windows of {}, {} tokens scored, {:.1f} tokens/s)\n", r.perplexity,
               r.stderr_, r.n_chunks, n_ctx, r.n_tokens, r.tokens_per_s);
  return {};
}

Status run_kld(const Globals& g, const EvalOptions& o) {
  const int64_t n_ctx = g.ctx ? g.ctx : 512;
  WATRA_ASSIGN(const std::string text, read_text_file(o.text_file));
  WATRA_ASSIGN(const auto model, load_for_eval(g, o.model, n_ctx));
  Globals exact = g;
  exact.kv_type = "f32";  // --kv-type is what is measured
  WATRA_ASSIGN(const auto reference, load_for_eval(exact, o.reference, n_ctx));
  ProgressBar bar(ProgressBar::Unit::items);
  WATRA_ASSIGN(const auto r, workshop::divergence(model, reference, text, eval_options(o, n_ctx, bar, "loss")));
  bar.clear();
  if (g.json)
    print_json({{"mean_kld", r.mean_kld},
                {"stderr", r.stderr_},
                {"median_kld", r.median_kld},
                {"p99_kld", r.p99_kld},
                {"max_kld", r.max_kld},
                {"same_top", r.same_top},
                {"perplexity", r.perplexity},
                {"reference_perplexity", r.reference_perplexity},
                {"n_tokens", r.n_tokens}});
  else
    fmt::print(
        "mean KLD {:.6f} +/- {:.6f}, median {:.6f}, 99 % {:.6f}, largest {:.6f}\nsame first token {:.2f} %, perplexity "
        "{:.4f} (reference {:.4f}), {} tokens\n",
        r.mean_kld, r.stderr_, r.median_kld, r.p99_kld, r.max_kld, 100 * r.same_top, r.perplexity,
        r.reference_perplexity, r.n_tokens);
  return {};
}

Status run_needle(const Globals& g, const EvalOptions& o) {
  const int64_t n_ctx = g.ctx ? g.ctx : 4096;
  WATRA_ASSIGN(const std::string text, read_text_file(o.text_file));
  WATRA_ASSIGN(const auto model, load_for_eval(g, o.model, n_ctx));
  ProgressBar bar(ProgressBar::Unit::items);
  WATRA_ASSIGN(const auto r, workshop::find_needles(model, text,
                                                    {.n_ctx = n_ctx,
                                                     .n_needles = o.n_needles,
                                                     .is_polish = o.language == "pl",
                                                     .seed = static_cast<uint64_t>(g.seed.value_or(1)),
                                                     .progress = [&bar](int64_t done, int64_t total) {
                                                       bar.update("reading", static_cast<uint64_t>(done),
                                                                  static_cast<uint64_t>(total));
                                                     }}));
  bar.clear();
  if (g.json) {
    nlohmann::ordered_json needles = nlohmann::ordered_json::array();
    for (const auto& n : r.needles)
      needles.push_back({{"depth", n.depth}, {"found", n.found}, {"log_probability", n.log_probability}});
    print_json({{"n_tokens", r.n_tokens},
                {"n_needles", r.needles.size()},
                {"n_found", r.n_found},
                {"mean_log_probability", r.mean_log_probability},
                {"needles", needles}});
    return {};
  }
  for (const auto& n : r.needles)
    fmt::print("at {:3.0f} %  {}  (log probability of the answer {:.2f})\n", 100 * n.depth, n.found ? "found" : "lost ",
               n.log_probability);
  fmt::print("{} of {} found in {} tokens, mean log probability {:.3f}\n", r.n_found, r.needles.size(), r.n_tokens,
             r.mean_log_probability);
  return {};
}

}  // namespace

void add_eval(CLI::App& app, Globals& g, Handler& chosen) {
  auto* eval = app.add_subcommand("eval", "Measure a model's predictions on a text");
  eval->require_subcommand(1);
  const auto common = [&](CLI::App* c, const std::shared_ptr<EvalOptions>& o) {
    c->add_option("MODEL", o->model, "Model file or name")->required();
    c->add_option("--text", o->text_file, "Text to read")->required();
    c->add_option("--chunks", o->chunks, "Only the first N windows")->check(CLI::PositiveNumber);
  };
  auto p = std::make_shared<EvalOptions>();
  auto* perplexity = eval->add_subcommand("perplexity", "Perplexity, as llama.cpp's tool computes it");
  common(perplexity, p);
  perplexity->callback([&g, &chosen, p] { chosen = [&g, p] { return run_perplexity(g, *p); }; });

  auto k = std::make_shared<EvalOptions>();
  auto* kld = eval->add_subcommand("kld", "KL divergence to another file of the same model");
  common(kld, k);
  kld->add_option("--reference", k->reference, "The file that is taken as the truth")->required();
  kld->callback([&g, &chosen, k] { chosen = [&g, k] { return run_kld(g, *k); }; });

  auto n = std::make_shared<EvalOptions>();
  auto* needle = eval->add_subcommand("needle", "Facts hidden in a long text: which does the model find again?");
  needle->add_option("MODEL", n->model, "Model file or name")->required();
  needle->add_option("--text", n->text_file, "Text to hide them in, as long as the context at least")->required();
  needle->add_option("--needles", n->n_needles, "Facts, spread evenly")
      ->check(CLI::Range(1, workshop::kMostNeedles))
      ->capture_default_str();
  needle->add_option("--language", n->language, "Of the facts: en or pl")
      ->check(CLI::IsMember({"en", "pl"}))
      ->capture_default_str();
  needle->callback([&g, &chosen, n] { chosen = [&g, n] { return run_needle(g, *n); }; });
}

}  // namespace watra::apps
