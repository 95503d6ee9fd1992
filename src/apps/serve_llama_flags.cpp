#include "apps/serve_llama_flags.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <limits>

#include "base/file.h"
#include "server/sampling_fields.h"

namespace watra::apps {
namespace {

using Value = const std::string&;

// One reading of all flags.
struct Reading {
  Globals& g;
  LlamaFlags flags;
  ServeOptions& serve = flags.serve;
  server::Manner& manner = flags.serve.manner;
  bool no_thoughts = false;
  std::vector<std::string> keys, keys_of_file;
  std::string repository, file;  // of a model that llama-server would fetch
};

// What a flag does with its value. False: this value means nothing here.
using Obey = std::function<Result<bool>(Reading&, const std::string& flag, Value)>;
struct Flag {
  std::vector<std::string_view> names;
  std::string_view value, what;  // for people
  Obey obey;
};

Error bad_value(const std::string& flag, std::string_view needs, Value found) {
  return {"usage.number", fmt::format("{} needs {}, found {}", flag, needs, found), ""};
}

template <class T>
Status read_number(const std::string& flag, Value word, T& to, T least = std::numeric_limits<T>::lowest(),
                   T most = std::numeric_limits<T>::max()) {
  T x{};
  const auto end = std::from_chars(word.data(), word.data() + word.size(), x);
  const bool is_number = end.ec == std::errc() && end.ptr == word.data() + word.size();
  if (!is_number || !(x >= least && x <= most)) {
    const bool is_bounded = least != std::numeric_limits<T>::lowest();
    const std::string needs = is_bounded && is_number       ? fmt::format("{} to {}", least, most)
                              : std::is_floating_point_v<T> ? "a number"
                                                            : "a whole number";
    return watra::fail(bad_value(flag, needs, word));
  }
  to = x;
  return {};
}

// Flags whose value is a number and goes to one place.
template <class T, class Place>
Obey number(Place place, T least = std::numeric_limits<T>::lowest(), T most = std::numeric_limits<T>::max()) {
  return [=](Reading& r, const std::string& flag, Value value) -> Result<bool> {
    WATRA_TRY(read_number<T>(flag, value, place(r), least, most));
    return true;
  };
}
template <class Place>
Obey text(Place place) {
  return [=](Reading& r, const std::string&, Value value) -> Result<bool> { return place(r) = value, true; };
}
template <class T>
Obey sampling(T engine::SamplingParams::*member) {
  return number<T>([member](Reading& r) -> T& { return r.manner.sampling.*member; });
}

std::vector<std::string> split(Value text, char at) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(at, begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

// The first name is the model's, the others are known too.
Result<bool> read_alias(Reading& r, const std::string&, Value value) {
  auto names = split(value, ',');
  if (names.empty()) return false;
  r.serve.alias = names.front();
  r.serve.aliases.assign(names.begin() + 1, names.end());
  return true;
}

// Each of several keys opens the door.
Result<bool> read_keys(Reading& r, const std::string&, Value value) { return r.keys = split(value, ','), true; }

Result<bool> read_key_file(Reading& r, const std::string& flag, Value value) {
  WATRA_ASSIGN(std::string text, read_text_file(value, 1 << 16));
  std::ranges::replace(text, '\r', '\n');
  auto lines = split(text, '\n');
  std::erase_if(lines, [](const std::string& line) { return line.starts_with('#'); });
  if (lines.empty()) return watra::fail(bad_value(flag, "a file with a key", value));  // never an open door instead
  r.keys_of_file = std::move(lines);
  return true;
}

Result<bool> read_parallel(Reading& r, const std::string& flag, Value value) {
  int64_t n = 0;
  WATRA_TRY(read_number<int64_t>(flag, value, n));
  if (n == -1) n = ServeOptions().n_parallel;
  if (n < 1 || n > 256) return watra::fail(bad_value(flag, "1 to 256", value));
  r.serve.n_parallel = n;
  return true;
}

Result<bool> read_draft_length(Reading& r, const std::string& flag, Value value) {
  WATRA_TRY(read_number(flag, value, r.serve.draft.max, 0, 1024));
  if (r.serve.draft.max == 0) r.serve.draft = {.method = "none"};
  return true;
}

Result<bool> read_cache_type(Reading& r, const std::string& flag, Value value) {
  const bool key = flag == "-ctk" || flag == "--cache-type-k";
  // Types that are not written here become the next finer one that is.
  static constexpr std::pair<std::string_view, const char*> kFiner[] = {
      {"bf16", "f16"}, {"q5_0", "q8_0"}, {"q5_1", "q8_0"}, {"q4_1", "q8_0"}, {"iq4_nl", "q8_0"}};
  const auto* finer = std::ranges::find(kFiner, value, &std::pair<std::string_view, const char*>::first);
  const bool is_near = finer != std::end(kFiner);
  if (is_near) r.flags.nearly.push_back(fmt::format("{} {} becomes {}", flag, value, finer->second));
  const size_t comma = r.g.kv_type.find(',');
  std::string k = r.g.kv_type.substr(0, comma), v = comma == std::string::npos ? k : r.g.kv_type.substr(comma + 1);
  (key ? k : v) = is_near ? finer->second : value;
  r.g.kv_type = k + "," + v;
  return true;
}

Result<bool> read_seed(Reading& r, const std::string& flag, Value value) {
  constexpr int64_t kRandom = 0xFFFFFFFF;  // as llama.cpp writes -1
  int64_t seed = -1;
  WATRA_TRY(read_number<int64_t>(flag, value, seed, -1, kRandom));
  r.manner.sampling.seed = seed == -1 || seed == kRandom ? std::nullopt : std::optional(static_cast<uint64_t>(seed));
  return true;
}

// Two of its samplers do not exist here: one that is off unless a flag switches it on, and one for /infill.
Result<bool> read_samplers(Reading& r, const std::string& flag, Value value) {
  auto names = split(value, ';');
  for (const char* absent : {"adaptive_p", "infill"})
    if (std::erase(names, absent) > 0) r.flags.nearly.push_back(fmt::format("{} is taken without {}", flag, absent));
  WATRA_ASSIGN(r.manner.sampling.order, engine::parse_sampler_order(names));
  return true;
}

Result<bool> read_sampler_letters(Reading& r, const std::string& flag, Value value) {
  std::string letters = value;
  if (std::erase_if(letters, [](char c) { return c == 'a' || c == 'i'; }) > 0)
    r.flags.nearly.push_back(fmt::format("{} is taken without a (adaptive_p) and i (infill)", flag));
  const auto names = server::sampler_names_of_letters(letters);
  if (!names) return watra::fail(bad_value(flag, "letters out of edskypmxt", value));
  WATRA_ASSIGN(r.manner.sampling.order, engine::parse_sampler_order(*names));
  return true;
}

// "none" alone: no text breaks a repetition. What is typed is read as C would: \n.
Result<bool> read_breaker(Reading& r, const std::string&, Value value) {
  auto& breakers = r.manner.dry_breakers;
  if (!breakers) breakers.emplace();
  static constexpr std::pair<std::string_view, const char*> kEscapes[] = {{"\\n", "\n"}, {"\\t", "\t"}, {"\\r", "\r"}};
  const auto* escape = std::ranges::find(kEscapes, value, &std::pair<std::string_view, const char*>::first);
  if (value != "none") breakers->push_back(escape != std::end(kEscapes) ? escape->second : value);
  return true;
}

Result<bool> read_temperature(Reading& r, const std::string& flag, Value value) {
  WATRA_TRY(read_number(flag, value, r.manner.sampling.temperature));
  if (r.manner.sampling.temperature < 0) r.manner.sampling.temperature = 0;  // greedy, as 0 is
  return true;
}

Result<bool> read_mirostat(Reading& r, const std::string& flag, Value value) {
  WATRA_TRY(read_number(flag, value, r.manner.sampling.mirostat));
  if (r.manner.sampling.mirostat != 1) return true;
  r.manner.sampling.mirostat = 2;
  r.flags.nearly.push_back(fmt::format("{} 1 becomes 2, which aims at the same", flag));
  return true;
}

Result<bool> read_stop(Reading& r, const std::string&, Value value) {
  r.manner.stop.push_back(value);
  return true;
}

Result<bool> read_grammar(Reading& r, const std::string& flag, Value value) {
  const bool is_file = flag == "--grammar-file";
  std::string grammar = value;
  if (is_file) {
    WATRA_ASSIGN(grammar, read_text_file(value, 1 << 20));
  }
  WATRA_ASSIGN(r.manner.shape, text::Shape::gbnf(grammar));
  return true;
}

Result<bool> read_schema(Reading& r, const std::string& flag, Value value) {
  const bool is_file = flag == "-jf" || flag == "--json-schema-file";
  std::string schema = value;
  if (is_file) {
    WATRA_ASSIGN(schema, read_text_file(value, 1 << 20));
  }
  const auto json = server::Json::parse(schema, nullptr, false);
  if (!json.is_object() && !json.is_boolean()) return watra::fail(bad_value(flag, "a JSON schema", value));
  WATRA_ASSIGN(r.manner.shape, text::Shape::json_schema(json));
  return true;
}

void set_variable(Reading& r, const char* name, const server::Json& value) {
  auto& variables = r.manner.template_variables;
  if (!variables.is_object()) variables = server::Json::object();
  variables[name] = value;
}

Result<bool> read_thinks(Reading& r, const std::string& flag, Value value) {
  if (value != "on" && value != "off" && value != "auto") return watra::fail(bad_value(flag, "on, off or auto", value));
  if (value != "auto") set_variable(r, "enable_thinking", value == "on");
  return true;
}

Result<bool> read_effort(Reading& r, const std::string&, Value value) {
  if (value != "default") set_variable(r, "reasoning_effort", value);
  return true;
}

// Of several kinds of drafting the one that needs no second model is what this says; a model comes by its own flag.
Result<bool> read_spec_type(Reading& r, const std::string&, Value value) {
  if (value == "none") return r.serve.draft = {.method = "none"}, true;
  if (value.find("draft-") != std::string::npos || value.find("ngram") == std::string::npos) return false;
  r.serve.draft.method = "ngram";
  return true;
}

Result<bool> read_keep(Reading& r, const std::string& flag, Value value) {
  int64_t n = 0;
  WATRA_TRY(read_number<int64_t>(flag, value, n, -1, std::numeric_limits<int32_t>::max()));
  r.manner.n_keep = n;
  return true;
}

// A template by its text, or the one name that most others derive from; other names keep the model's own.
constexpr const char* kChatMl =
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor -%}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}";

Result<bool> read_template(Reading& r, const std::string&, Value value) {
  const bool is_template = value.find("{{") != std::string::npos || value.find("{%") != std::string::npos;
  if (!is_template && value != "chatml") return false;
  r.manner.chat_template = is_template ? value : kChatMl;
  return true;
}

Result<bool> read_template_file(Reading& r, const std::string&, Value value) {
  WATRA_ASSIGN(r.manner.chat_template, read_text_file(value, 1 << 20));
  return true;
}

Result<bool> read_template_variables(Reading& r, const std::string& flag, Value value) {
  r.manner.template_variables = server::Json::parse(value, nullptr, false);
  if (!r.manner.template_variables.is_object()) return watra::fail(bad_value(flag, "a JSON object", value));
  return true;
}

Result<bool> read_pooling(Reading& r, const std::string&, Value value) {
  if (value != "mean" && value != "cls" && value != "last") return false;
  r.manner.pooling = value;
  return true;
}

Result<bool> read_prefix(Reading& r, const std::string& flag, Value value) {
  if (!value.empty() && (value.front() != '/' || value.back() == '/'))
    return watra::fail(bad_value(flag, "a path that begins with / and does not end with it", value));
  r.serve.path_prefix = value;
  return true;
}

Result<bool> read_reasoning(Reading& r, const std::string& flag, Value value) {
  if (!server::is_reasoning_format(value)) return watra::fail(bad_value(flag, server::kReasoningFormats, value));
  r.manner.reasoning_format = value;
  return true;
}

Result<bool> read_budget(Reading& r, const std::string& flag, Value value) {
  int64_t n = -1;
  WATRA_TRY(read_number<int64_t>(flag, value, n, -1, std::numeric_limits<int32_t>::max()));
  if (n == 0) r.no_thoughts = true;
  return n <= 0;  // a number of tokens is not held to
}

constexpr float kCertain = 1e30F;  // nothing a model says comes near

// "15043+1", "15043-1.5", "15043-inf"
Result<bool> read_bias(Reading& r, const std::string& flag, Value value) {
  const size_t sign = value.find_first_of("+-");
  engine::LogitBias bias{};
  if (sign == std::string::npos) return watra::fail(bad_value(flag, "a token id, + or -, and a number", value));
  WATRA_TRY(read_number<text::TokenId>(flag, value.substr(0, sign), bias.token, 0));
  const std::string amount = value.substr(sign + (value[sign] == '+' ? 1 : 0));
  constexpr float kMost = std::numeric_limits<float>::infinity();
  WATRA_TRY(read_number<float>(flag, amount, bias.bias, -kMost, kMost));
  bias.bias = std::min(bias.bias, kCertain);
  r.manner.sampling.logit_bias.push_back(bias);
  return true;
}

Result<bool> read_allowed_host(Reading& r, const std::string&, Value value) {
  r.serve.allow_hosts.push_back(value);
  return true;
}

Obey tls_file(size_t place) {
  return [place](Reading& r, const std::string&, Value value) -> Result<bool> {
    r.serve.tls.resize(2);
    r.serve.tls[place] = value;
    return true;
  };
}

const std::vector<Flag>& flags_with_values() {
  using P = engine::SamplingParams;
  static const std::vector<Flag> all = {
      {{"-m", "--model"}, "FILE", "the model: a path, or a name on the shelf", text([](Reading & r) -> auto& {
         return r.serve.model;
       })},
      {{"-hf", "-hfr", "--hf-repo"}, "REPOSITORY", "with --hf-file, in place of -m: what `watra pull` brought", text([
       ](Reading & r) -> auto& { return r.repository; })},
      {{"-hff", "--hf-file"}, "FILE", "of it", text([](Reading & r) -> auto& { return r.file; })},
      {{"-a", "--alias"}, "NAMES", "what it is called, and further names, with commas", read_alias},
      {{"--host"}, "ADDRESS", "to listen on; other than loopback it needs --api-key", text([](Reading & r) -> auto& {
         return r.serve.host;
       })},
      {{"--port"},
       "N",
       "0 = any that is free (8080)",
       number<int>(
           [](Reading & r) -> auto& { return r.serve.port; }, 0, 65535)},
      {{"--api-key"},
       "KEY",
       "requests need it, as Authorization: Bearer or x-api-key; several, with commas",
       read_keys},
      {{"--api-key-file"}, "FILE", "a key a line", read_key_file},
      {{"--api-prefix"}, "PATH", "of every route", read_prefix},
      {{"--ssl-cert-file"}, "FILE", "certificate, PEM", tls_file(0)},
      {{"--ssl-key-file"}, "FILE", "its key, PEM", tls_file(1)},
      {{"--threads-http"},
       "N",
       "threads for HTTP",
       number<int>(
           [](Reading & r) -> auto& { return r.serve.http_threads; }, -1, 256)},
      {{"-c", "--ctx-size"}, "N", "tokens of context; 0 = the default: the model's, at most 4096", number<int64_t>([
       ](Reading & r) -> auto& { return r.g.ctx; })},
      {{"-t", "--threads"}, "N", "threads that compute", number<int>([](Reading & r) -> auto& { return r.g.threads; })},
      {{"-np", "--parallel"}, "N", "answers written at the same time; more wait", read_parallel},
      {{"-lv", "--verbosity", "--log-verbosity"}, "N", "how much is logged", number<int>([](Reading & r) -> auto& {
         return r.g.verbosity;
       })},
      {{"-md", "--model-draft", "--spec-draft-model"}, "FILE", "a smaller model that drafts", text([
       ](Reading & r) -> auto& { return r.serve.draft.method; })},
      {{"--draft", "--draft-max", "--draft-n", "--spec-draft-n-max"},
       "N",
       "tokens drafted at most; 0 = none",
       read_draft_length},
      {{"-ctk", "--cache-type-k", "-ctv", "--cache-type-v"},
       "TYPE",
       "how keys (-ctk) and values (-ctv) are cached: f16, q8_0, q4_0",
       read_cache_type},
      {{"-n", "--predict", "--n-predict"}, "N", "tokens of an answer at most", number<int64_t>([
       ](Reading & r) -> auto& { return r.manner.max_tokens; })},
      {{"--keep"}, "N", "tokens of the beginning that --context-shift never forgets; -1 = the prompt", read_keep},
      {{"--chat-template"}, "TEXT", "in place of the model's own (Jinja, or the name chatml)", read_template},
      {{"--chat-template-file"}, "FILE", "the same", read_template_file},
      {{"--chat-template-kwargs"}, "JSON", "variables of the template", read_template_variables},
      {{"--pooling"}, "KIND", "of embeddings: mean, cls, last", read_pooling},
      {{"-s", "--seed"}, "N", "seed", read_seed},
      {{"--samplers"}, "NAMES", "the order of the samplers, with semicolons", read_samplers},
      {{"--sampler-seq", "--sampling-seq"}, "LETTERS", "the same by letters: edskypmxt", read_sampler_letters},
      {{"-r", "--reverse-prompt"}, "TEXT", "ends an answer whose request has no stop (repeatable)", read_stop},
      {{"--grammar", "--grammar-file"}, "GBNF", "holds answers whose request asks for nothing", read_grammar},
      {{"-j", "--json-schema", "-jf", "--json-schema-file"}, "SCHEMA", "the same", read_schema},
      {{"--temp", "--temperature"}, "X", "for requests that say nothing of it", read_temperature},
      {{"--top-k"}, "X", "for requests that say nothing of it", sampling(&P::top_k)},
      {{"--top-p"}, "X", "for requests that say nothing of it", sampling(&P::top_p)},
      {{"--min-p"}, "X", "for requests that say nothing of it", sampling(&P::min_p)},
      {{"--top-nsigma", "--top-n-sigma"}, "X", "for requests that say nothing of it", sampling(&P::top_n_sigma)},
      {{"--typical", "--typical-p"}, "X", "for requests that say nothing of it", sampling(&P::typical_p)},
      {{"--xtc-probability"}, "X", "for requests that say nothing of it", sampling(&P::xtc_probability)},
      {{"--xtc-threshold"}, "X", "for requests that say nothing of it", sampling(&P::xtc_threshold)},
      {{"--repeat-last-n"}, "X", "for requests that say nothing of it", sampling(&P::repeat_last_n)},
      {{"--repeat-penalty"}, "X", "for requests that say nothing of it", sampling(&P::repeat_penalty)},
      {{"--presence-penalty"}, "X", "for requests that say nothing of it", sampling(&P::presence_penalty)},
      {{"--frequency-penalty"}, "X", "for requests that say nothing of it", sampling(&P::frequency_penalty)},
      {{"--dry-multiplier"}, "X", "for requests that say nothing of it", sampling(&P::dry_multiplier)},
      {{"--dry-base"}, "X", "for requests that say nothing of it", sampling(&P::dry_base)},
      {{"--dry-allowed-length"}, "X", "for requests that say nothing of it", sampling(&P::dry_allowed_length)},
      {{"--dry-penalty-last-n"}, "X", "for requests that say nothing of it", sampling(&P::dry_penalty_last_n)},
      {{"--dry-sequence-breaker"}, "TEXT", "in place of the usual ones (repeatable); none: no text", read_breaker},
      {{"--dynatemp-range"}, "X", "for requests that say nothing of it", sampling(&P::dynatemp_range)},
      {{"--dynatemp-exp"}, "X", "for requests that say nothing of it", sampling(&P::dynatemp_exponent)},
      {{"--mirostat"}, "N", "0 or 2", read_mirostat},
      {{"--mirostat-lr"}, "X", "its eta", sampling(&P::mirostat_eta)},
      {{"--mirostat-ent"}, "X", "its tau", sampling(&P::mirostat_tau)},
      {{"--reasoning-format"},
       "KIND",
       "thoughts: none (left in the text), deepseek or auto (told apart), deepseek-legacy (both)",
       read_reasoning},
      {{"--reasoning-budget"},
       "N",
       "0 = the model shall not think, where its template has a switch for it",
       read_budget},
      {{"-rea", "--reasoning"},
       "on|off|auto",
       "whether the model shall think, where its template can say so",
       read_thinks},
      {{"--reasoning-effort"}, "LEVEL", "for templates that know it; default: the template's", read_effort},
      {{"--spec-type"}, "KIND", "none, or one of the ngram kinds: drafts from the text itself", read_spec_type},
      {{"--embd-normalize"},
       "N",
       "of /embedding: -1 not at all, 0 largest, 1 sum, 2 Euclidean (2), more: that norm",
       number<int>(
           [](Reading & r) -> auto& { return r.manner.embedding_norm; }, -1, 1000)},
      {{"-l", "--logit-bias"}, "TOKEN+X", "makes a token likelier (repeatable)", read_bias},
      {{"--allow-host"}, "NAME", "a further name this server answers to (Watra's own; repeatable)", read_allowed_host}};
  return all;
}

// Switches. Null: it asks for what is so in any case.
struct Switch {
  std::vector<std::string_view> names;
  std::string_view what;
  void (*obey)(Reading&);
};
const std::vector<Switch>& switches() {
  static const std::vector<Switch> all = {
      {{"-v", "--verbose"}, "log more", [](Reading& r) { r.g.verbosity = 2; }},
      {{"--log-disable"}, "log nothing but errors", [](Reading& r) { r.g.verbosity = -1; }},
      {{"--no-cache-prompt"}, "read every prompt anew", [](Reading& r) { r.manner.reuse_prefix = false; }},
      {{"--ignore-eos"}, "answers end by their limit alone", [](Reading& r) { r.manner.ignore_end = true; }},
      {{"--no-prefill-assistant"},
       "a last message of the assistant is answered, not continued",
       [](Reading& r) { r.manner.continues = false; }},
      {{"--context-shift"},
       "where its context is full an answer forgets an earlier part of the text and goes on",
       [](Reading& r) { r.manner.endless = true; }},
      {{"--no-context-shift"}, "it ends there (the default)", [](Reading& r) { r.manner.endless = false; }},
      {{"--no-slots"}, "no GET /slots", [](Reading& r) { r.serve.tells_slots = false; }},
      {{"--slots", "--metrics", "--props", "--jinja", "--embedding", "--embeddings", "--cache-prompt"}, "", nullptr},
      {{"-cb", "--cont-batching", "--no-mmap", "--prefill-assistant"}, "", nullptr},
      {{"--no-webui", "--no-ui", "--offline", "-kvu", "--kv-unified", "-e", "--escape"}, "", nullptr}};
  return all;
}

// Flags of llama-server without a value that mean nothing here; every one that is not known takes the word behind it.
constexpr std::string_view kIdleSwitches[] = {"--webui",         "--ui",
                                              "--no-jinja",      "--mlock",
                                              "--mmap",          "--no-cont-batching",
                                              "-nocb",           "--no-warmup",
                                              "--warmup",        "--no-metrics",
                                              "--no-kv-offload", "-nkvo",
                                              "--flash-attn",    "-fa",
                                              "--swa-full",      "--no-perf",
                                              "--check-tensors", "--log-colors",
                                              "--log-prefix",    "--log-timestamps",
                                              "--special",       "--no-op-offload",
                                              "--reranking",     "--rerank",
                                              "--no-repack",     "--streaming-llm",
                                              "--no-mmproj",     "--perf",
                                              "--no-escape",     "-cmoe",
                                              "--cpu-moe",       "--no-host",
                                              "--no-kv-unified"};

constexpr std::string_view kWithTwoValues[] = {"--control-vector-layer-range", "--spec-replace"};

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1])) && word[1] != '.';
}

Result<bool> obey(const std::string& flag, Value value, Reading& r) {
  for (const Flag& known : flags_with_values())
    if (std::ranges::find(known.names, flag) != known.names.end()) return known.obey(r, flag, value);
  return false;
}

// LLAMA_API_KEY, and LLAMA_ARG_CTX_SIZE for --ctx-size: as --flag=value.
std::vector<std::string> words_of_environment() {
  std::vector<std::string> words;
  const auto take = [&](const std::string& variable, std::string_view flag) {
    const char* value = std::getenv(variable.c_str());
    if (value && *value != '\0') words.push_back(fmt::format("{}={}", flag, value));
  };
  take("LLAMA_API_KEY", "--api-key");
  take("LLAMA_ARG_N_PARALLEL", "--parallel");  // those whose variable has another name
  take("LLAMA_ARG_THINK", "--reasoning-format");
  take("LLAMA_ARG_THINK_BUDGET", "--reasoning-budget");
  for (const Flag& known : flags_with_values())
    for (const std::string_view name : known.names) {
      if (!name.starts_with("--") || name == "--api-key") continue;
      std::string variable = "LLAMA_ARG_";
      for (const char c : name.substr(2)) variable += c == '-' ? '_' : static_cast<char>(std::toupper(c));
      take(variable, name);
    }
  return words;
}

// What only the whole says.
Status settle(Reading& r) {
  ServeOptions& o = r.serve;
  r.g.threads = std::max(r.g.threads, 0);
  if (o.http_threads < 1) o.http_threads = ServeOptions().http_threads;
  o.more_tokens = std::move(r.keys);
  o.more_tokens.insert(o.more_tokens.end(), r.keys_of_file.begin(), r.keys_of_file.end());
  if (!o.more_tokens.empty()) {
    o.token = std::move(o.more_tokens.back());
    o.more_tokens.pop_back();
    o.no_auth = false;
  }
  // It fetches nothing by itself: a server without the model that was asked for would be no answer.
  if (o.model.empty() && !r.repository.empty()) {
    const std::string repository = r.repository.substr(0, r.repository.find(':'));  // without the quantization
    if (r.file.empty())
      return fail("usage.hf",
                  fmt::format("--hf-repo {} needs --hf-file: nothing is fetched here at the start", r.repository),
                  fmt::format("`watra pull hf:{}/FILE.gguf`, then --hf-file FILE.gguf", repository));
    o.model = fmt::format("hf:{}/{}", repository, r.file);
  }
  if (r.no_thoughts) set_variable(r, "enable_thinking", false);
  if (!o.tls.empty() && (o.tls[0].empty() || o.tls[1].empty()))
    return fail("usage.tls", "--ssl-cert-file and --ssl-key-file are needed together");
  return r.manner.sampling.validate(std::numeric_limits<size_t>::max());
}

}  // namespace

Result<LlamaFlags> read_llama_flags(const std::vector<std::string>& typed, Globals& g) {
  Reading r{.g = g, .flags = {}};
  std::vector<std::string> words = words_of_environment();
  words.insert(words.end(), typed.begin(), typed.end());  // what is typed comes later, and counts
  r.serve.port = 8080;                                    // llama-server's
  r.serve.no_auth = true;
  r.serve.one_model = true;
  auto& unused = r.flags.unused;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string flag = words[i], value;
    bool has_value = false;
    if (const size_t eq = flag.find('='); eq != std::string::npos && flag.starts_with("--")) {
      value = flag.substr(eq + 1);
      flag.resize(eq);
      has_value = true;
    } else if (i + 1 < words.size() && !is_flag(words[i + 1])) {
      value = words[i + 1];
      has_value = true;
    }
    const bool inline_value = flag.size() < words[i].size();
    if (flag == "--list-devices") {
      r.flags.asks = LlamaFlags::Asks::devices;
      return std::move(r.flags);
    }
    if (flag == "-h" || flag == "--help" || flag == "--usage" || flag == "--version") {
      r.flags.asks = flag == "--version" ? LlamaFlags::Asks::version : LlamaFlags::Asks::help;
      return std::move(r.flags);
    }
    const auto known_switch = std::ranges::find_if(
        switches(), [&](const Switch& s) { return std::ranges::find(s.names, flag) != s.names.end(); });
    const bool is_idle = std::ranges::find(kIdleSwitches, flag) != std::end(kIdleSwitches);
    if (known_switch != switches().end() || is_idle) {
      if (is_idle) unused.push_back(flag);
      if (!is_idle && known_switch->obey) known_switch->obey(r);
      // Some of them took on/off/auto in newer versions.
      if (!inline_value && has_value && (value == "on" || value == "off" || value == "auto")) ++i;
      continue;
    }
    if (!is_flag(flag)) return fail("usage.word", fmt::format("{} is not a flag of llama-server", flag));
    if (!has_value) {
      unused.push_back(flag);
      continue;
    }
    WATRA_ASSIGN(const bool known, obey(flag, value, r));
    if (!known) unused.push_back(flag);
    if (!inline_value) ++i;
    const bool has_two = std::ranges::find(kWithTwoValues, flag) != std::end(kWithTwoValues);
    if (has_two && i + 1 < words.size() && !is_flag(words[i + 1])) ++i;
  }
  WATRA_TRY(settle(r));
  return std::move(r.flags);
}

std::string llama_flags_help() {
  std::string out = "watra llama-server: serves one model, with the flags of llama.cpp's program of that name\n\n";
  const auto line = [&](const std::vector<std::string_view>& names, std::string_view value, std::string_view what) {
    std::string left = fmt::format("  {}", fmt::join(names, ", "));
    if (!value.empty()) left += fmt::format(" {}", value);
    if (left.size() > 42) left += "\n" + std::string(44, ' ');
    out += fmt::format("{:<44}{}\n", left, what);
  };
  for (const Flag& f : flags_with_values()) line(f.names, f.value, f.what);
  for (const Switch& s : switches())
    if (s.obey) line(s.names, "", s.what);
  out += "\nWhat these ask for is so in any case:\n";
  for (const Switch& s : switches())
    if (!s.obey) out += fmt::format("  {}\n", fmt::join(s.names, ", "));
  out += "\nWhat takes a value may also stand in the environment: LLAMA_ARG_CTX_SIZE=4096; the key in LLAMA_API_KEY.\n";
  out += "\nEvery other flag of that program is taken, means nothing here, and is named in the log.\n";
  return out;
}

}  // namespace watra::apps
