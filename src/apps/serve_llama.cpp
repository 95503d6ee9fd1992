// watra llama-server: takes the flags of llama.cpp's program of that name, for programs that start it as a child. What
// means something here is obeyed, the rest is named in the log.
#include <algorithm>
#include <charconv>
#include <memory>

#include "apps/serve.h"
#include "base/log.h"

namespace watra::apps {
namespace {

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
                                          "--no-mmproj"};

struct Flags {
  ServeOptions serve;
  std::vector<std::string> unknown;
};

bool is_flag(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !std::isdigit(static_cast<unsigned char>(word[1]));
}

template <class T>
Status read_number(const std::string& flag, const std::string& word, T& to) {
  const auto end = std::from_chars(word.data(), word.data() + word.size(), to);
  if (end.ec != std::errc() || end.ptr != word.data() + word.size())
    return fail("usage.number", fmt::format("{} needs a whole number, found {}", flag, word));
  return {};
}

// One flag with its value. False: not one of those that mean something here.
Result<bool> obey(const std::string& flag, const std::string& value, Globals& g, Flags& f) {
  ServeOptions& o = f.serve;
  if (flag == "-m" || flag == "--model") return o.model = value, true;
  if (flag == "-a" || flag == "--alias") return o.alias = value, true;
  if (flag == "--host") return o.host = value, true;
  if (flag == "--api-key") return o.token = value, true;
  if (flag == "--port") {
    WATRA_TRY(read_number(flag, value, o.port));
    return true;
  }
  if (flag == "-c" || flag == "--ctx-size") {
    WATRA_TRY(read_number(flag, value, g.ctx));
    return true;
  }
  if (flag == "-t" || flag == "--threads") {
    WATRA_TRY(read_number(flag, value, g.threads));
    g.threads = std::max(g.threads, 0);
    return true;
  }
  if (flag == "-np" || flag == "--parallel") {
    WATRA_TRY(read_number(flag, value, o.n_parallel));
    if (o.n_parallel == -1) o.n_parallel = ServeOptions().n_parallel;
    if (o.n_parallel < 1 || o.n_parallel > 256)
      return fail("usage.number", fmt::format("{} needs 1 to 256, found {}", flag, value));
    return true;
  }
  if (flag == "-md" || flag == "--model-draft") return o.draft.method = value, true;
  if (flag == "--draft" || flag == "--draft-max" || flag == "--draft-n") {
    WATRA_TRY(read_number(flag, value, o.draft.max));
    if (o.draft.max < 0 || o.draft.max > 1024)
      return fail("usage.number", fmt::format("{} needs 0 to 1024, found {}", flag, value));
    if (o.draft.max == 0) o.draft = {.method = "none"};
    return true;
  }
  if (flag == "-ctk" || flag == "--cache-type-k" || flag == "-ctv" || flag == "--cache-type-v") {
    const bool key = flag == "-ctk" || flag == "--cache-type-k";
    const size_t comma = g.kv_type.find(',');
    std::string k = g.kv_type.substr(0, comma), v = comma == std::string::npos ? k : g.kv_type.substr(comma + 1);
    (key ? k : v) = value;
    g.kv_type = k + "," + v;
    return true;
  }
  return false;
}

Result<Flags> read_flags(const std::vector<std::string>& words, Globals& g) {
  Flags f;
  f.serve.port = 8080;  // llama-server's
  f.serve.no_auth = true;
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
      if (flag == "-v" || flag == "--verbose") g.verbosity = 2;
      f.unknown.push_back(flag);
      // Some of them took on/off/auto in newer versions.
      if (!inline_value && has_value && (value == "on" || value == "off" || value == "auto")) ++i;
      continue;
    }
    if (!is_flag(flag)) return fail("usage.word", fmt::format("{} is not a flag of llama-server", flag));
    if (!has_value) {
      f.unknown.push_back(flag);
      continue;
    }
    WATRA_ASSIGN(const bool known, obey(flag, value, g, f));
    if (!known) f.unknown.push_back(flag);
    if (!inline_value) ++i;
  }
  if (!f.serve.token.empty()) f.serve.no_auth = false;
  return f;
}

}  // namespace

void add_llama_server(CLI::App& app, Globals& g, Handler& chosen) {
  auto* c = app.add_subcommand("llama-server", "serve, with the flags of llama.cpp's program of that name");
  c->prefix_command();
  c->fallthrough(false);
  c->callback([&g, &chosen, c] {
    chosen = [&g, words = c->remaining()]() -> Status {
      WATRA_ASSIGN(const Flags flags, read_flags(words, g));
      for (const std::string& flag : flags.unknown) log::warn("llama-server's {} means nothing here", flag);
      return serve(g, flags.serve);
    };
  });
}

}  // namespace watra::apps
