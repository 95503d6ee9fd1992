// Grammars: answers that are held to a shape. A Shape says what may be written, a GrammarCompiler makes a Grammar of it
// for one model's vocabulary, and a GrammarMatcher follows one answer and tells which tokens may come next.
//
// XGrammar does the work and stays behind this header. Shapes and compiled grammars are immutable; the compiler may be
// asked from any thread; a matcher belongs to one thread at a time. Compiling takes milliseconds to seconds of one
// core: never on the thread that decodes.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "text/tokenizer.h"

namespace watra::text {

// How a schema is read that has keywords no grammar can hold.
enum class SchemaRule : uint8_t {
  strict,   // such a schema is an error that names the keyword
  relaxed,  // such keywords are left to the model
};

// What an answer may look like. Pieces can be put together.
class Shape {
 public:
  using Json = nlohmann::ordered_json;

  static Shape literal(std::string_view text);  // not empty
  static Shape json_object();                   // any JSON object
  // Errors: "grammar.unsupported_schema" (names keyword and place), "grammar.bad_schema".
  static Result<Shape> json_schema(const Json& schema, SchemaRule rule = SchemaRule::strict);
  // llama.cpp's GBNF, with a rule "root". Error "grammar.bad_grammar" with line and column.
  static Result<Shape> gbnf(std::string_view grammar);
  // The whole answer matches. Anchors at the ends may be written. What is wrong with it is found by compile().
  static Shape regex(std::string_view pattern);
  // Anything, up to but without these texts; nothing that is excluded = anything at all.
  static Shape any_text(std::vector<std::string> excludes = {});

  static Shape sequence(std::vector<Shape> parts);
  static Shape one_of(std::vector<Shape> choices);
  static Shape repeat(Shape part, int64_t least, int64_t most);  // most -1 = without end
  static Shape optional(Shape part) { return repeat(std::move(part), 0, 1); }

  // Free text; once `trigger` is written, `rest` comes after it and then nothing.
  static Shape triggered(std::string_view trigger, Shape rest);

  const Json& json() const { return json_; }  // XGrammar's structural tag
  bool strict() const { return strict_; }

 private:
  explicit Shape(Json json) : json_(std::move(json)) {}
  Json json_;
  bool strict_ = false;  // what would be left out when compiling is an error
};

class Grammar;  // compiled for one vocabulary

struct GrammarLimits {
  double seconds = 2;  // of processor time
  uint64_t bytes = 256u << 20;
  uint64_t cache_bytes = 256u << 20;  // compiled grammars kept, least recently used leave
};

class GrammarCompiler {
 public:
  // `visible`: control tokens that may appear in answers by their spelling (markers of tool calls); all others never
  // do. `memory`, which may be null, counts the compiled grammars as long as anybody holds them, and the vocabulary as
  // XGrammar needs it, under the tag "grammars".
  explicit GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer, std::vector<TokenId> visible = {},
                           GrammarLimits limits = {}, std::shared_ptr<MemoryBudget> memory = nullptr);
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  // From the cache, or made now; one at a time. Where the memory is at its limit, grammars of the cache leave first.
  // Errors: "grammar.too_large" (limits, memory), "grammar.unsupported_schema",
  // "grammar.bad_schema", "grammar.bad_grammar".
  Result<std::shared_ptr<const Grammar>> compile(const Shape& shape) { return compile(shape, seconds()); }
  // The same with another limit of processor time.
  Result<std::shared_ptr<const Grammar>> compile(const Shape& shape, double seconds);
  double seconds() const;  // of the limits
  // The same, if it is in the cache; null if not. Takes no time.
  std::shared_ptr<const Grammar> find(const Shape& shape);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Bytes a compiled grammar takes, and what its matchers share.
uint64_t grammar_bytes(const Grammar& grammar);

class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const Grammar> grammar);
  GrammarMatcher(GrammarMatcher&&) noexcept;
  ~GrammarMatcher();

  // Bit (id % 32) of bits[id / 32] := 1 where token `id` may come next; words beyond the vocabulary become 0. End
  // tokens may come where the grammar is complete. False: nothing is forbidden, the bits are not to be looked at.
  bool fill(std::span<uint32_t> bits);
  // False: not allowed here, and nothing changed.
  bool advance(TokenId token);
  // Undoes the last n calls of advance that returned true.
  void rollback(size_t n);
  GrammarMatcher fork() const;
  bool complete() const;  // the answer may end here

 private:
  struct Impl;
  explicit GrammarMatcher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watra::text
