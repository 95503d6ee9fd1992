// GET /health, /props, /slots, /metrics
#include "server/llamacpp.h"
#include "watra_version.h"

namespace watra::server {

Json sampling_json(const engine::SamplingParams& p) {
  Json samplers = Json::array();
  for (const auto kind : p.order) samplers.push_back(engine::sampler_name(kind));
  return {{"seed", p.seed ? Json(*p.seed) : Json(-1)},
          {"temperature", p.temperature},
          {"dynatemp_range", p.dynatemp_range},
          {"dynatemp_exponent", p.dynatemp_exponent},
          {"top_k", p.top_k},
          {"top_p", p.top_p},
          {"min_p", p.min_p},
          {"typical_p", p.typical_p},
          {"top_n_sigma", p.top_n_sigma},
          {"xtc_probability", p.xtc_probability},
          {"xtc_threshold", p.xtc_threshold},
          {"min_keep", p.min_keep},
          {"repeat_last_n", p.repeat_last_n},
          {"repeat_penalty", p.repeat_penalty},
          {"presence_penalty", p.presence_penalty},
          {"frequency_penalty", p.frequency_penalty},
          {"dry_multiplier", p.dry_multiplier},
          {"dry_base", p.dry_base},
          {"dry_allowed_length", p.dry_allowed_length},
          {"dry_penalty_last_n", p.dry_penalty_last_n},
          {"mirostat", p.mirostat},
          {"mirostat_tau", p.mirostat_tau},
          {"mirostat_eta", p.mirostat_eta},
          {"samplers", std::move(samplers)}};
}

namespace {

// What /completion does where a request says nothing.
Json default_settings(const Manner& manner) {
  Json out = sampling_json(manner.sampling);
  out.update({{"n_predict", manner.max_tokens},
              {"max_tokens", manner.max_tokens},
              {"n_probs", 0},
              {"post_sampling_probs", false},
              {"stop", manner.stop},
              {"ignore_eos", manner.ignore_end},
              {"context_shift", manner.endless},
              {"n_keep", manner.n_keep.value_or(0)},
              {"n_discard", 0},
              {"stream", false},
              {"timings_per_token", false}});
  return out;
}

Json props_json(const ServedModel& m) {
  const auto& spec = m.tokenizer().spec();
  const auto piece = [&](TokenId id) { return id >= 0 ? m.shown(id) : std::string(); };
  return {{"default_generation_settings", {{"n_ctx", m.n_ctx()}, {"params", default_settings(m.manner())}}},
          {"total_slots", m.n_parallel()},
          {"model_alias", m.id()},
          {"model_path", m.names().path.filename().string()},
          {"chat_template", m.template_source()},
          {"bos_token", piece(spec.bos)},
          {"eos_token", piece(spec.eos)},
          {"modalities", {{"vision", false}, {"audio", false}}},
          {"is_sleeping", false},
          {"build_info", fmt::format("watra {} ({})", kVersion, kCommit)}};
}

// Prometheus' text format.
class Metrics {
 public:
  void add(std::string_view kind, std::string_view name, std::string_view help, double value) {
    text_ +=
        fmt::format("# HELP llamacpp:{0} {1}\n# TYPE llamacpp:{0} {2}\nllamacpp:{0} {3}\n", name, help, kind, value);
  }
  std::string text_;
};

// `s`: of all models; `m`: of the loaded one, whose averages they are.
std::string metrics_text(const engine::SchedulerStats& s, const engine::SchedulerStats& m) {
  const auto count = [](int64_t n) { return static_cast<double>(n); };
  Metrics out;
  const auto per = [](double x, double y) { return y > 0 ? x / y : 0.0; };
  out.add("counter", "prompt_tokens_total", "Prompt tokens read.", count(s.n_read));
  out.add("counter", "prompt_seconds_total", "Seconds from the start of a request to its first token.", s.reading_s);
  out.add("counter", "prompt_tokens_cache_total", "Prompt tokens found in the cache.", count(s.n_from_cache));
  out.add("counter", "tokens_predicted_total", "Tokens written.", count(s.n_decoded + s.n_accepted));
  out.add("counter", "draft_tokens_total", "Tokens drafted.", count(s.n_drafted));
  out.add("counter", "draft_tokens_accepted_total", "Drafted tokens that came true.", count(s.n_accepted));
  out.add("counter", "spec_decode_num_draft_tokens_total", "Tokens drafted, by llama.cpp's newer name.",
          count(s.n_drafted));
  out.add("counter", "spec_decode_num_accepted_tokens_total", "Drafted tokens that came true, by its newer name.",
          count(s.n_accepted));
  out.add("counter", "tokens_predicted_seconds_total", "Seconds from the first token of an answer to its last.",
          s.writing_s);
  out.add("counter", "n_decode_total", "Passes of the model.", count(s.n_passes));
  out.add("counter", "pass_seconds_total", "Seconds inside passes.", s.pass_s);
  out.add("counter", "requests_total", "Requests accepted.", count(s.n_requests));
  out.add("counter", "n_tokens_max", "Tokens of the longest request, prompt and answer.", count(s.n_tokens_most));
  out.add("gauge", "n_busy_slots_per_decode", "Answers written with one pass, on average.",
          per(count(m.n_decoded), count(m.n_passes)));
  out.add("gauge", "prompt_tokens_seconds", "Prompt tokens read in a second, on average.",
          per(count(m.n_read), m.reading_s));
  out.add("gauge", "predicted_tokens_seconds", "Tokens of one answer written in a second, on average.",
          per(count(m.n_decoded + m.n_accepted), m.writing_s));
  out.add("gauge", "prompt_cache_hit_ratio", "Prompt tokens found in the cache, of all.",
          per(count(s.n_from_cache), count(s.n_from_cache + s.n_read)));
  out.add("gauge", "draft_acceptance_rate", "Drafted tokens that came true, of all.",
          per(count(s.n_accepted), count(s.n_drafted)));
  out.add("gauge", "requests_processing", "Requests that are read or written.", count(s.n_running));
  out.add("gauge", "requests_deferred", "Requests that wait.", count(s.n_waiting));
  out.add("gauge", "kv_cache_usage_ratio", "Pages of the cache in use, prefixes included.",
          s.kv_pages > 0 ? 1.0 - count(s.kv_pages_free) / count(s.kv_pages) : 0.0);
  out.add("gauge", "kv_cache_tokens", "Tokens the cache in use can hold, in whole pages.",
          count((s.kv_pages - s.kv_pages_free) * kernels::kKvPage));
  return out.text_;
}

}  // namespace

void add_llamacpp_state(Router& router, House& house) {
  const auto health = [&house](Exchange& x) -> Awaitable<void> {
    const auto view = house.room.view();
    Json reply = {{"status", "ok"}};
    int status = 200;
    if (view.state == RoomState::loading) {
      status = 503;
      reply = {{"error", {{"code", 503}, {"message", "Loading model"}, {"type", "unavailable_error"}}},
               {"status", "loading model"},
               {"progress", view.progress}};
    } else if (view.state != RoomState::ready) {
      reply = {{"status", "ok"}, {"state", room_state_name(view.state)}};
    }
    co_await x.reply_json(std::move(reply), status);
  };
  for (const char* path : {"/health", "/v1/health"})
    router.add({.method = "GET", .pattern = path, .handler = health, .access = Access::open});

  const auto props = [&house](Exchange& x) -> Awaitable<void> {
    const auto model = co_await house.room.acquire(x, "");
    co_await x.reply_json(props_json(*model));
  };
  router.add({.method = "GET", .pattern = "/props", .handler = props});

  // How busy each place in the batch is; never what is said there.
  const auto slots = [&house](Exchange& x) -> Awaitable<void> {
    if (!house.tells_slots)
      throw ApiError{.status = 501, .code = "no_slots", .message = "this server was started with --no-slots"};
    const auto model = co_await house.room.acquire(x, "");
    const int64_t n_running = model->stats().n_running;
    if (n_running >= model->n_parallel() && x.query.find("fail_on_no_slot=1") != std::string::npos)
      throw ApiError{.status = 503, .code = "no_slot", .message = "every place is in use", .retry_after_s = 1};
    Json list = Json::array();
    for (int64_t i = 0; i < model->n_parallel(); ++i)
      list.push_back({{"id", i}, {"n_ctx", model->n_ctx()}, {"is_processing", i < n_running}});
    co_await x.reply_json(std::move(list));
  };
  router.add({.method = "GET", .pattern = "/slots", .handler = slots});
  router.add({.method = "POST", .pattern = "/slots/{id}", .handler = [](Exchange&) -> Awaitable<void> {
                throw ApiError{.status = 501,
                               .code = "no_slot_actions",
                               .message =
                                   "what a place has read is kept by itself, across restarts too: there is "
                                   "nothing to save, restore or erase"};
                co_return;
              }});

  // What clients look for and this server does not do: an answer they know.
  const auto adapters = [](Exchange& x) -> Awaitable<void> { co_await x.reply_json(Json::array()); };
  router.add({.method = "GET", .pattern = "/lora-adapters", .handler = adapters});
  const auto set_adapters = [](Exchange& x) -> Awaitable<void> {
    if (const Json given = parse_json(x.body); !given.is_array() || !given.empty())
      throw unsupported("lora", "no adapters are loaded here: an empty list is all that can be set");
    Json reply = {{"success", true}};
    co_await x.reply_json(std::move(reply));
  };
  router.add({.method = "POST", .pattern = "/lora-adapters", .handler = set_adapters});
  for (const char* path : {"/rerank", "/reranking", "/v1/rerank", "/v1/reranking"})
    router.add({.method = "POST", .pattern = path, .handler = [](Exchange&) -> Awaitable<void> {
                  throw ApiError{.status = 501,
                                 .code = "no_reranking",
                                 .message = "texts are not ranked here; embeddings can be compared"};
                  co_return;
                }});

  const auto metrics = [&house](Exchange& x) -> Awaitable<void> {
    const auto model = house.room.current();
    const engine::SchedulerStats now = model ? model->stats() : engine::SchedulerStats{};
    const std::string text = metrics_text(house.room.totals(), now);
    co_await x.reply(200, "text/plain; version=0.0.4", text);
  };
  router.add({.method = "GET", .pattern = "/metrics", .handler = metrics});
}

}  // namespace watra::server
