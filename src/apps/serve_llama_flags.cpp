#include "apps/serve_llama_flags.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>

#include "base/file.h"

namespace watra::apps {
namespace {

using Value = const std::string&;

// One reading of all flags.
struct Reading {
  Globals& g;
  LlamaFlags flags;
  ServeOptions& serve = flags.serve;
  server::Manner& manner = flags.serve.manner;
};

// What a flag does with its value. False: this value means nothing here.
using Obey = std::function<Result<bool>(Reading&, const std::string& flag, Value)>;
struct Flag {
  std::vector<std::string_view> names;
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

Result<bool> read_key_file(Reading& r, const std::string&, Value value) {
  WATRA_ASSIGN(const std::string text, read_text_file(value, 1 << 16));
  r.serve.token = text.substr(0, text.find_first_of("\r\n"));
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
  const size_t comma = r.g.kv_type.find(',');
  std::string k = r.g.kv_type.substr(0, comma), v = comma == std::string::npos ? k : r.g.kv_type.substr(comma + 1);
  (key ? k : v) = value;
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

Result<bool> read_samplers(Reading& r, const std::string&, Value value) {
  WATRA_ASSIGN(r.manner.sampling.order, engine::parse_sampler_order(split(value, ';')));
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
      {{"-m", "--model"}, text([](Reading & r) -> auto& { return r.serve.model; })},
      {{"-a", "--alias"}, read_alias},
      {{"--host"}, text([](Reading & r) -> auto& { return r.serve.host; })},
      {{"--port"},
       number<int>(
           [](Reading & r) -> auto& { return r.serve.port; }, 0, 65535)},
      {{"--api-key"}, text([](Reading & r) -> auto& { return r.serve.token; })},
      {{"--api-key-file"}, read_key_file},
      {{"--api-prefix"}, read_prefix},
      {{"--ssl-cert-file"}, tls_file(0)},
      {{"--ssl-key-file"}, tls_file(1)},
      {{"--threads-http"},
       number<int>(
           [](Reading & r) -> auto& { return r.serve.http_threads; }, -1, 256)},
      {{"-c", "--ctx-size"}, number<int64_t>([](Reading & r) -> auto& { return r.g.ctx; })},
      {{"-t", "--threads"}, number<int>([](Reading & r) -> auto& { return r.g.threads; })},
      {{"-np", "--parallel"}, read_parallel},
      {{"-lv", "--verbosity", "--log-verbosity"}, number<int>([](Reading & r) -> auto& { return r.g.verbosity; })},
      {{"-md", "--model-draft"}, text([](Reading & r) -> auto& { return r.serve.draft.method; })},
      {{"--draft", "--draft-max", "--draft-n"}, read_draft_length},
      {{"-ctk", "--cache-type-k", "-ctv", "--cache-type-v"}, read_cache_type},
      {{"-n", "--predict", "--n-predict"}, number<int64_t>([](Reading & r) -> auto& { return r.manner.max_tokens; })},
      {{"--chat-template"}, read_template},
      {{"--chat-template-file"}, read_template_file},
      {{"--chat-template-kwargs"}, read_template_variables},
      {{"--pooling"}, read_pooling},
      {{"-s", "--seed"}, read_seed},
      {{"--samplers"}, read_samplers},
      {{"--temp", "--temperature"}, sampling(&P::temperature)},
      {{"--top-k"}, sampling(&P::top_k)},
      {{"--top-p"}, sampling(&P::top_p)},
      {{"--min-p"}, sampling(&P::min_p)},
      {{"--top-nsigma", "--top-n-sigma"}, sampling(&P::top_n_sigma)},
      {{"--typical", "--typical-p"}, sampling(&P::typical_p)},
      {{"--xtc-probability"}, sampling(&P::xtc_probability)},
      {{"--xtc-threshold"}, sampling(&P::xtc_threshold)},
      {{"--repeat-last-n"}, sampling(&P::repeat_last_n)},
      {{"--repeat-penalty"}, sampling(&P::repeat_penalty)},
      {{"--presence-penalty"}, sampling(&P::presence_penalty)},
      {{"--frequency-penalty"}, sampling(&P::frequency_penalty)},
      {{"--dry-multiplier"}, sampling(&P::dry_multiplier)},
      {{"--dry-base"}, sampling(&P::dry_base)},
      {{"--dry-allowed-length"}, sampling(&P::dry_allowed_length)},
      {{"--dry-penalty-last-n"}, sampling(&P::dry_penalty_last_n)},
      {{"--dynatemp-range"}, sampling(&P::dynatemp_range)},
      {{"--dynatemp-exp"}, sampling(&P::dynatemp_exponent)},
      {{"--mirostat"}, sampling(&P::mirostat)},
      {{"--mirostat-lr"}, sampling(&P::mirostat_eta)},
      {{"--mirostat-ent"}, sampling(&P::mirostat_tau)}};
  return all;
}

// Flags of llama-server without a value; every other one that is not known takes the word behind it.
constexpr std::string_view kSwitches[] = {"--no-webui",
                                          "--no-ui",
                                          "--jinja",
                                          "--no-jinja",
                                          "--mlock",
                                          "--no-mmap",
                                          "--mmap",
                                          "--metrics",
                                          "--props",
                                          "--slots",
                                          "--no-slots",
                                          "--cont-batching",
                                          "-cb",
                                          "--no-cont-batching",
                                          "-nocb",
                                          "--no-context-shift",
                                          "--context-shift",
                                          "--no-warmup",
                                          "--warmup",
                                          "--embedding",
                                          "--embeddings",
                                          "--verbose",
                                          "-v",
                                          "--log-disable",
                                          "--no-kv-offload",
                                          "-nkvo",
                                          "--flash-attn",
                                          "-fa",
                                          "--swa-full",
                                          "--kv-unified",
                                          "--no-perf",
                                          "--cache-prompt",
                                          "--no-cache-prompt",
                                          "--check-tensors",
                                          "--offline",
                                          "--log-colors",
                                          "--log-prefix",
                                          "--log-timestamps",
                                          "--special",
                                          "--no-op-offload",
                                          "--reranking",
                                          "--rerank",
                                          "--no-repack",
                                          "--streaming-llm",
                                          "--no-mmproj",
                                          "--perf",
                                          "--ignore-eos",
                                          "--no-escape",
                                          "-e",
                                          "--escape",
                                          "--prefill-assistant",
                                          "--no-prefill-assistant",
                                          "-cmoe",
                                          "--cpu-moe",
                                          "--no-host"};

// What a switch does; the others mean nothing here.
bool obey_switch(const std::string& flag, Reading& r) {
  if (flag == "-v" || flag == "--verbose") r.g.verbosity = 2;
  if (flag == "--no-cache-prompt") r.manner.reuse_prefix = false;
  return flag == "-v" || flag == "--verbose" || flag == "--no-cache-prompt" || flag == "--cache-prompt";
}

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1])) && word[1] != '.';
}

Result<bool> obey(const std::string& flag, Value value, Reading& r) {
  for (const Flag& known : flags_with_values())
    if (std::ranges::find(known.names, flag) != known.names.end()) return known.obey(r, flag, value);
  return false;
}

// What only the whole says.
Status settle(Reading& r) {
  ServeOptions& o = r.serve;
  r.g.threads = std::max(r.g.threads, 0);
  if (o.http_threads < 1) o.http_threads = ServeOptions().http_threads;
  if (!o.token.empty()) o.no_auth = false;
  if (!o.tls.empty() && (o.tls[0].empty() || o.tls[1].empty()))
    return fail("usage.tls", "--ssl-cert-file and --ssl-key-file are needed together");
  return r.manner.sampling.validate(std::numeric_limits<size_t>::max());
}

}  // namespace

Result<LlamaFlags> read_llama_flags(const std::vector<std::string>& words, Globals& g) {
  Reading r{.g = g, .flags = {}};
  r.serve.port = 8080;  // llama-server's
  r.serve.no_auth = true;
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
    if (std::ranges::find(kSwitches, flag) != std::end(kSwitches)) {
      if (!obey_switch(flag, r)) unused.push_back(flag);
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
  }
  WATRA_TRY(settle(r));
  return std::move(r.flags);
}

}  // namespace watra::apps
