// The flags of llama.cpp's llama-server, read into what `watra serve` knows.
#pragma once

#include "apps/serve.h"

namespace watra::apps {

struct LlamaFlags {
  ServeOptions serve;
  std::vector<std::string> unused;  // given, and without a meaning here
  std::vector<std::string> nearly;  // given, and obeyed as near as can be: a sentence for each
  enum class Asks : uint8_t { to_serve, help, version, devices };
  Asks asks = Asks::to_serve;
};

// `typed`: what stands behind the program's name; before it counts what the environment says (LLAMA_ARG_CTX_SIZE=512).
// Fills what of `g` they speak of. Errors: "usage.word" for what is no
// flag, "usage.number" and others for a value that cannot be.
Result<LlamaFlags> read_llama_flags(const std::vector<std::string>& typed, Globals& g);

// What is obeyed, for people.
std::string llama_flags_help();

}  // namespace watra::apps
