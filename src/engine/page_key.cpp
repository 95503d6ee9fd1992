#include "engine/page_key.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "watra_version.h"

namespace watra::engine {
namespace {

// Everything a key depends on, as bytes.
class Recipe {
 public:
  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void add(T value) { add_bytes(&value, sizeof value); }
  void add(std::string_view text) {
    add(text.size());
    add_bytes(text.data(), text.size());
  }
  void add_bytes(const void* data, size_t n) {
    const auto* bytes = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + n);
  }
  PageKey key() const { return hash_bytes(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

uint64_t load(const std::byte* at, size_t n = 8) {
  uint64_t v = 0;
  std::memcpy(&v, at, n);
  return v;
}

uint64_t mix(uint64_t k) {
  k = (k ^ (k >> 33)) * 0xff51afd7ed558ccdu;
  k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53u;
  return k ^ (k >> 33);
}

}  // namespace

PageKey hash_bytes(std::span<const std::byte> bytes, const PageKey& seed) {
  constexpr uint64_t c1 = 0x87c37b91114253d5u, c2 = 0x4cf5ad432745937fu;
  const auto first = [&](uint64_t k) { return std::rotl(k * c1, 31) * c2; };
  const auto second = [&](uint64_t k) { return std::rotl(k * c2, 33) * c1; };
  uint64_t h1 = seed.a, h2 = seed.b;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 16; at += 16, left -= 16) {
    h1 = (std::rotl(h1 ^ first(load(at)), 27) + h2) * 5 + 0x52dce729;
    h2 = (std::rotl(h2 ^ second(load(at + 8)), 31) + h1) * 5 + 0x38495ab5;
  }
  if (left > 8) h2 ^= second(load(at + 8, left - 8));
  if (left > 0) h1 ^= first(load(at, std::min<size_t>(left, 8)));
  h1 ^= bytes.size();
  h2 ^= bytes.size();
  h1 += h2;
  h2 += h1;
  h1 = mix(h1);
  h2 = mix(h2);
  h1 += h2;
  return {h1, h2 + h1};
}

PageKey page_key(const PageKey& parent, std::span<const TokenId> tokens) {
  return hash_bytes(std::as_bytes(tokens), parent);
}

void append_page_keys(const PageKey& root, std::span<const TokenId> tokens, std::vector<PageKey>& keys) {
  constexpr auto kPage = static_cast<size_t>(kernels::kKvPage);
  for (size_t i = keys.size(); (i + 1) * kPage <= tokens.size(); ++i)
    keys.push_back(page_key(i > 0 ? keys[i - 1] : root, tokens.subspan(i * kPage, kPage)));
}

Result<PageKey> root_key(const model::Model& model, const KvTypes& types, int64_t n_ctx, std::string_view isa) {
  constexpr size_t kSampleBytes = 256;                            // of each tensor
  constexpr std::string_view kFirstPageIsExact = "page 0 exact";  // how pages are read (docs/decisions/0013)
  const auto& hp = model.hparams();
  Recipe recipe;
  recipe.add(kFirstPageIsExact);
  recipe.add(hp.architecture);
  recipe.add(hp.name);
  recipe.add(hp.d_model);
  recipe.add(hp.norm_eps);
  recipe.add(hp.attention_scale);
  recipe.add(hp.attention_softcap);
  recipe.add(hp.embedding_scale);
  for (int layer = 0; const auto& l : hp.layers) {
    for (const int64_t n : {int64_t{l.n_heads}, int64_t{l.n_kv_heads}, int64_t{l.d_head}, l.d_ff, l.window})
      recipe.add(n);
    recipe.add(l.rope);
    const KvPair stored = types.of(layer++);
    recipe.add(stored.k);
    recipe.add(stored.v);
  }
  for (const auto& rope : hp.ropes) {
    const auto table = rope.table(n_ctx);
    recipe.add(rope.style);
    recipe.add(table.magnitude);
    recipe.add_bytes(table.inv_freq.data(), table.inv_freq.size() * sizeof(double));
  }
  std::byte sample[kSampleBytes];
  for (const auto& t : model.file().tensors()) {
    recipe.add(t.name);
    recipe.add(t.dtype);
    recipe.add(t.size_bytes);
    if (!model.file().has_files()) continue;  // made in memory: the name says how
    const std::span<std::byte> bytes(sample, std::min<uint64_t>(t.size_bytes, kSampleBytes));
    WATRA_TRY(model.file().read(t, bytes));
    recipe.add_bytes(bytes.data(), bytes.size());
  }
  recipe.add(isa);
  // Another version may lay pages out differently, or add in another order.
  recipe.add(kVersion);
  recipe.add(kCommit);
  return recipe.key();
}

}  // namespace watra::engine
