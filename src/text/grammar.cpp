#include "text/grammar.h"

#include <fmt/format.h>
#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <limits>
#include <list>
#include <mutex>
#include <unordered_map>

#include "base/log.h"
#include "text/gbnf.h"
#include "text/internal/grammar_budget.h"
#include "text/internal/string_limits.h"
#include "text/schema_rules.h"

namespace xgrammar {

// What XGrammar logs comes here. While compiling, warnings say what it leaves out.
namespace {
thread_local std::string* tl_warnings = nullptr;
}

[[noreturn]] void LogFatalImpl(const std::string&, int, const std::string& message) {
  throw std::runtime_error(message);
}

void LogMessageImpl(const std::string&, int, int level, const std::string& message) {
  constexpr int kWarning = 2;
  if (level < kWarning || !tl_warnings) return;
  if (!tl_warnings->empty()) *tl_warnings += "; ";
  *tl_warnings += message;
}

}  // namespace xgrammar

namespace watra::text {

using Json = Shape::Json;

namespace {

constexpr int kMostWhitespace = 8;  // between two parts of JSON: without a limit small models write it until the end
constexpr uint64_t kMostShapeBytes = 4u << 20;
// What following an answer may cost at one position: far more than it ever takes.
constexpr double kMostStepSeconds = 2;
constexpr uint64_t kMostStepBytes = 512u << 20;
constexpr double kNoLimit = 1e9;  // seconds

class Warnings {
 public:
  Warnings() { xgrammar::tl_warnings = &text_; }
  ~Warnings() { xgrammar::tl_warnings = nullptr; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::vector<Json> jsons(std::vector<Shape> shapes, bool& strict) {
  std::vector<Json> out;
  for (Shape& s : shapes) {
    strict = strict || s.strict();
    out.push_back(s.json());
  }
  return out;
}

}  // namespace

Shape Shape::literal(std::string_view text) { return Shape({{"type", "const_string"}, {"value", text}}); }

Shape Shape::json_object() {
  return Shape({{"type", "json_schema"},
                {"json_schema", {{"type", "object"}, {"additionalProperties", true}}},
                {"max_whitespace_cnt", kMostWhitespace}});
}

Result<Shape> Shape::json_schema(const Json& schema, SchemaRule rule) {
  WATRA_ASSIGN(Json ready, ready_schema(schema, rule));
  Shape s({{"type", "json_schema"}, {"json_schema", std::move(ready)}, {"max_whitespace_cnt", kMostWhitespace}});
  s.strict_ = rule == SchemaRule::strict;
  return s;
}

Result<Shape> Shape::gbnf(std::string_view grammar) {
  WATRA_ASSIGN(std::string ebnf, gbnf_to_ebnf(grammar));
  return Shape({{"type", "grammar"}, {"grammar", std::move(ebnf)}});
}

Shape Shape::regex(std::string_view pattern) {
  Shape s({{"type", "regex"}, {"pattern", pattern}});
  s.strict_ = true;
  return s;
}

Shape Shape::any_text(std::vector<std::string> excludes) {
  return Shape({{"type", "any_text"}, {"excludes", std::move(excludes)}});
}

Shape Shape::sequence(std::vector<Shape> parts) {
  if (parts.size() == 1) return parts[0];
  bool strict = false;
  auto elements = jsons(std::move(parts), strict);
  Shape s({{"type", "sequence"}, {"elements", std::move(elements)}});
  s.strict_ = strict;
  return s;
}

Shape Shape::one_of(std::vector<Shape> choices) {
  if (choices.size() == 1) return choices[0];
  bool strict = false;
  auto elements = jsons(std::move(choices), strict);
  Shape s({{"type", "or"}, {"elements", std::move(elements)}});
  s.strict_ = strict;
  return s;
}

Shape Shape::repeat(Shape part, int64_t least, int64_t most) {
  Shape s({{"type", "repeat"}, {"min", least}, {"max", most}, {"content", part.json_}});
  s.strict_ = part.strict_;
  return s;
}

Shape Shape::triggered(std::string_view trigger, Shape rest) {
  Shape s(
      {{"type", "triggered_tags"},
       {"triggers", Json::array({trigger})},
       {"tags", Json::array({{{"type", "tag"}, {"begin", trigger}, {"content", std::move(rest.json_)}, {"end", ""}}})},
       {"stop_after_first", true}});
  s.strict_ = rest.strict_;
  return s;
}

namespace {

constexpr const char* kMemoryTag = "grammars";

// Bytes that a budget counts as long as this lives.
class CountedBytes {
 public:
  CountedBytes() = default;
  CountedBytes(const CountedBytes&) = delete;
  ~CountedBytes() {
    if (memory_) memory_->give(kMemoryTag, bytes_);
  }
  Status take(const std::shared_ptr<MemoryBudget>& memory, uint64_t bytes) {
    if (!memory) return {};
    WATRA_TRY(memory->take(kMemoryTag, bytes));
    memory_ = memory;
    bytes_ = bytes;
    return {};
  }

 private:
  std::shared_ptr<MemoryBudget> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace

class Grammar {
 public:
  explicit Grammar(xgrammar::CompiledGrammar c) : compiled(std::move(c)), bytes(compiled.MemorySizeBytes()) {}
  xgrammar::CompiledGrammar compiled;
  uint64_t bytes;
  CountedBytes counted;
  std::vector<int64_t> string_limits;           // characters, upwards; empty = no string's length is counted
  std::shared_ptr<const StringPieces> strings;  // where one is
};

uint64_t grammar_bytes(const Grammar& grammar) { return grammar.bytes; }

struct GrammarCompiler::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<TokenId> visible;
  GrammarLimits limits;

  std::shared_ptr<MemoryBudget> memory;

  std::mutex compiling;  // one at a time; guards the next two
  std::optional<xgrammar::TokenizerInfo> vocab;
  CountedBytes vocab_bytes;
  std::shared_ptr<const StringPieces> strings;  // made when a grammar first needs them

  struct Entry {
    std::string key;
    std::shared_ptr<const Grammar> grammar;
  };
  std::mutex cache_mutex;  // guards the cache
  std::list<Entry> cache;  // the last used in front
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key;
  uint64_t cached_bytes = 0;

  // What is made must have room: the oldest of the cache make it, where nobody else holds them.
  Status count(CountedBytes& counted, uint64_t bytes) {
    for (;;) {
      const Status taken = counted.take(memory, bytes);
      if (taken || !drop_oldest()) return taken;
    }
  }

  bool drop_oldest() {
    const std::lock_guard lock(cache_mutex);
    return drop_oldest_locked();
  }
  bool drop_oldest_locked() {
    if (cache.empty()) return false;
    cached_bytes -= cache.back().grammar->bytes + cache.back().key.size();
    by_key.erase(cache.back().key);
    cache.pop_back();
    return true;
  }

  Result<const xgrammar::TokenizerInfo*> vocabulary() {
    if (vocab) return &*vocab;
    const auto& spec = tokenizer->spec();
    std::vector<std::string> pieces(static_cast<size_t>(tokenizer->n_vocab()));
    for (TokenId id = 0; id < tokenizer->n_vocab(); ++id) {
      const bool shown = std::ranges::find(visible, id) != visible.end();
      pieces[static_cast<size_t>(id)] = tokenizer->token_bytes(id, shown);
    }
    for (const TokenId id : spec.end_of_generation) pieces[static_cast<size_t>(id)].clear();
    const GrammarBudget all(kNoLimit, std::numeric_limits<int64_t>::max());
    xgrammar::TokenizerInfo made(pieces, xgrammar::VocabType::RAW, std::nullopt,
                                 std::vector<int32_t>(spec.end_of_generation.begin(), spec.end_of_generation.end()),
                                 false);
    WATRA_TRY(count(vocab_bytes, static_cast<uint64_t>(std::max<int64_t>(0, all.held_bytes()))));
    vocab = std::move(made);
    return &*vocab;
  }

  std::shared_ptr<const Grammar> find(const std::string& key) {
    const std::lock_guard lock(cache_mutex);
    const auto it = by_key.find(key);
    if (it == by_key.end()) return nullptr;
    cache.splice(cache.begin(), cache, it->second);
    return it->second->grammar;
  }

  void keep(std::string key, std::shared_ptr<const Grammar> grammar) {
    const std::lock_guard lock(cache_mutex);
    cached_bytes += grammar->bytes + key.size();
    cache.push_front({std::move(key), std::move(grammar)});
    by_key[cache.front().key] = cache.begin();
    while (cached_bytes > limits.cache_bytes && cache.size() > 1) drop_oldest_locked();
  }
};

GrammarCompiler::GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer, std::vector<TokenId> visible,
                                 GrammarLimits limits, std::shared_ptr<MemoryBudget> memory)
    : impl_(std::make_unique<Impl>()) {
  impl_->tokenizer = std::move(tokenizer);
  impl_->visible = std::move(visible);
  impl_->limits = limits;
  impl_->memory = std::move(memory);
}

GrammarCompiler::~GrammarCompiler() = default;

namespace {

std::string cache_key(const Shape& shape) {
  return shape.json().dump(-1, ' ', false, Json::error_handler_t::replace) + (shape.strict() ? "!" : "");
}

// XGrammar's words without its place in the source.
std::string reason(std::string message) {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' ')) message.pop_back();
  return message;
}

}  // namespace

std::shared_ptr<const Grammar> GrammarCompiler::find(const Shape& shape) { return impl_->find(cache_key(shape)); }

double GrammarCompiler::seconds() const { return impl_->limits.seconds; }

Result<std::shared_ptr<const Grammar>> GrammarCompiler::compile(const Shape& shape, double seconds) {
  const std::string key = cache_key(shape);
  const auto too_large = [&](std::string_view what) {
    return fail("grammar.too_large",
                fmt::format("the grammar {}: at most {} s and {} MiB are given to making one", what, seconds,
                            impl_->limits.bytes >> 20),
                "a smaller schema, or smaller numbers of repetitions");
  };
  const auto no_room = [](const Error& e) {
    return fail("grammar.too_large", "the grammar has no room in memory: " + e.message,
                "more --ram, or a smaller schema");
  };
  if (key.size() > kMostShapeBytes) return too_large("is too long");
  if (auto found = impl_->find(key)) return found;
  const std::lock_guard lock(impl_->compiling);
  if (auto found = impl_->find(key)) return found;  // made while we waited
  try {
    const auto vocab = impl_->vocabulary();
    if (!vocab) return no_room(vocab.error());
    const Warnings warnings;
    std::shared_ptr<Grammar> grammar;
    {
      const GrammarBudget budget(seconds, impl_->limits.bytes);
      xgrammar::GrammarCompiler compiler(**vocab, 1, false);
      grammar = std::make_shared<Grammar>(
          compiler.CompileStructuralTag(Json{{"type", "structural_tag"}, {"format", shape.json()}}.dump()));
    }
    grammar->string_limits = string_limits(shape.json());
    if (!grammar->string_limits.empty()) {
      if (!impl_->strings) impl_->strings = std::make_shared<StringPieces>((*vocab)->GetDecodedVocab());
      grammar->strings = impl_->strings;
    }
    if (shape.strict() && !warnings.text().empty())
      return fail("grammar.unsupported_schema", fmt::format("a part cannot be held to: {}", reason(warnings.text())));
    if (grammar->bytes > impl_->limits.bytes) return too_large("takes too much memory");
    if (const Status counted = impl_->count(grammar->counted, grammar->bytes); !counted)
      return no_room(counted.error());
    impl_->keep(key, grammar);
    return grammar;
  } catch (const GrammarBudget::Spent& e) {
    return too_large(e.what());
  } catch (const std::bad_alloc&) {
    return too_large("takes too much memory");
  } catch (const std::exception& e) {
    return fail("grammar.bad_grammar", fmt::format("the grammar cannot be made: {}", reason(e.what())));
  }
}

struct GrammarMatcher::Impl {
  std::shared_ptr<const Grammar> grammar;
  xgrammar::GrammarMatcher matcher;
  std::vector<StringPlace> places = {};  // behind each token, in front the beginning; empty where nothing is counted

  bool takes(const std::string& text) {
    const bool taken = matcher.AcceptString(text);
    if (taken) matcher.Rollback(1);
    return taken;
  }
  void hold_strings(std::span<uint32_t> bits) {
    places.back().hold(bits, *grammar->strings, grammar->string_limits, [&](const auto& text) { return takes(text); });
  }
  bool advance(TokenId token) {
    if (places.empty() || token < 0) return matcher.AcceptToken(token);
    const std::string& bytes = grammar->compiled.GetTokenizerInfo().GetDecodedVocab().at(static_cast<size_t>(token));
    if (!places.back().has_room(bytes, grammar->string_limits, [&](const auto& text) { return takes(text); }))
      return false;
    if (!matcher.AcceptToken(token)) return false;
    places.push_back(places.back());
    places.back().read(bytes);
    return true;
  }
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar)
    : impl_(std::make_unique<Impl>(Impl{grammar, xgrammar::GrammarMatcher(grammar->compiled)})) {
  if (grammar->strings) impl_->places.emplace_back();
}
GrammarMatcher::GrammarMatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrammarMatcher::GrammarMatcher(GrammarMatcher&&) noexcept = default;
GrammarMatcher::~GrammarMatcher() = default;

bool GrammarMatcher::fill(std::span<uint32_t> bits) {
  const int n_vocab = impl_->grammar->compiled.GetTokenizerInfo().GetVocabSize();
  const auto n_words = static_cast<size_t>(xgrammar::GetBitmaskSize(n_vocab));
  std::fill(bits.begin() + static_cast<std::ptrdiff_t>(std::min(n_words, bits.size())), bits.end(), 0u);
  int64_t shape = static_cast<int64_t>(n_words);
  DLTensor tensor{};
  tensor.data = bits.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &shape;
  try {
    const GrammarBudget budget(kMostStepSeconds, kMostStepBytes);
    const bool is_held = impl_->matcher.FillNextTokenBitmask(&tensor);
    if (is_held && !impl_->places.empty()) impl_->hold_strings(bits);
    return is_held;
  } catch (const std::exception& e) {  // the answer ends with an error: no token may come
    log::warn("a grammar could not be followed: {}", e.what());
    std::ranges::fill(bits, 0u);
    return true;
  }
}

bool GrammarMatcher::advance(TokenId token) {
  try {
    const GrammarBudget budget(kMostStepSeconds, kMostStepBytes);
    return impl_->advance(token);
  } catch (const std::exception& e) {
    log::warn("a grammar could not be followed: {}", e.what());
    return false;
  }
}

void GrammarMatcher::rollback(size_t n) {
  if (n > 0) impl_->matcher.Rollback(static_cast<int>(n));
  if (!impl_->places.empty()) impl_->places.resize(impl_->places.size() - n);
}

GrammarMatcher GrammarMatcher::fork() const {
  return GrammarMatcher(std::make_unique<Impl>(Impl{impl_->grammar, impl_->matcher.Fork(), impl_->places}));
}

bool GrammarMatcher::complete() const { return impl_->matcher.IsCompleted(); }

}  // namespace watra::text
