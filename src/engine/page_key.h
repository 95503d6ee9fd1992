// PageKey: the name of a page of cached keys and values, the same in RAM and on disk: a hash chain over everything its
// content depends on. Equal keys, equal bits (DESIGN, Cache keys and Exactness).
//
//   root = H(model, KV types of each layer, rope settings, kernels)     page = H(parent, number of tokens, tokens)
//
// 128 bits of MurmurHash3 (x64): fast, and wide enough that chance never makes two pages one. It does not withstand
// somebody who looks for collisions: whoever finds a page by its key compares the tokens too.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/kv_cache.h"
#include "model/model.h"

namespace watra::engine {

struct PageKey {
  uint64_t a = 0, b = 0;
  bool operator==(const PageKey&) const = default;
};

// The model is known by its metadata, its tensor directory and, of every tensor, its first bytes: reading all of them
// would take as long as loading. n_ctx counts where rope depends on it, the ISA because each has its own order of
// operations, and the version of Watra because it decides both. Errors: those of reading the file.
Result<PageKey> root_key(const model::Model& model, const KvTypes& types, int64_t n_ctx, std::string_view isa);

PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens);

// Appends the keys of those whole pages of `tokens` that `keys` does not name yet.
void append_page_keys(const PageKey& root, std::span<const TokenId> tokens, std::vector<PageKey>& keys);

// MurmurHash3_x64_128 (Appleby), seeded with a key; little-endian.
PageKey hash_bytes(std::span<const std::byte> bytes, const PageKey& seed = {});

}  // namespace watra::engine
