// A random model small enough that a test can run thousands of passes: real weights (f32), a vocabulary whose words are
// bytes and made-up words, so that characters are often cut in two. The same weights each time.
#pragma once

#include "engine/loaded_model.h"

namespace watra::engine {

struct TalkingModelOptions {
  int64_t n_ctx = 256;
  int64_t kv_positions = 0;
  int64_t max_rows = 64, max_logit_rows = 8;
  int threads = 1;  // a team that waits for each other is slow on a busy machine
  int n_layers = 2;
  std::string isa;  // empty = the best here
  KvTypes kv_types;
  std::optional<KvStoreOptions> kv_store;
};

inline constexpr TokenId kTalkingEnd = 2;      // ends an answer
inline constexpr int64_t kTalkingVocab = 320;  // 3 control tokens, 256 bytes, words

LoadedModel talking_model(const TalkingModelOptions& options = {});

}  // namespace watra::engine
