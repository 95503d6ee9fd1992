// Any bytes as a GBNF grammar: translating must answer, and what is translated must be made into a grammar or refused
// within limits; of a grammar, whatever its mask allows is taken, and taken back.
#include <cstdint>
#include <cstdlib>

#include "text/grammar.h"
#include "text/spm_bytes_test.h"

namespace watra::text {
namespace {

std::shared_ptr<const Tokenizer> bytes_and_words() {
  return std::move(*Tokenizer::create(spm_of_bytes({"</s>"}, {"ab", "12", "{\"", "ąć", "\n\n"})));
}

void follow(GrammarMatcher& matcher, TokenId n_vocab) {
  constexpr int kSteps = 8;
  std::vector<uint32_t> bits(static_cast<size_t>(n_vocab + 31) / 32);
  for (int step = 0; step < kSteps; ++step) {
    const bool held = matcher.fill(bits);
    TokenId allowed = -1;
    for (TokenId id = n_vocab - 1; id > 0 && allowed < 0; --id)
      if (!held || (bits[static_cast<size_t>(id) / 32] >> (id % 32) & 1)) allowed = id;
    if (allowed < 0 || !matcher.advance(allowed)) return;
    matcher.rollback(1);
    if (!matcher.advance(allowed)) std::abort();
  }
}

}  // namespace
}  // namespace watra::text

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace watra::text;
  static const auto tokenizer = bytes_and_words();
  static GrammarCompiler compiler(tokenizer, {}, {.seconds = 0.2, .bytes = 64u << 20, .cache_bytes = 1});
  const auto shape = Shape::gbnf({reinterpret_cast<const char*>(data), size});
  if (!shape) {
    if (shape.error().code != "grammar.bad_grammar") std::abort();
    return 0;
  }
  if (const auto grammar = compiler.compile(*shape)) {
    GrammarMatcher matcher(*grammar);
    follow(matcher, tokenizer->n_vocab());
  }
  return 0;
}
