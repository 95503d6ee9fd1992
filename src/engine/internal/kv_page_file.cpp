#include "engine/internal/kv_page_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"

namespace watra::engine::internal {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and read in place");

constexpr char kMagic[8] = {'W', 'A', 'T', 'R', 'A', 'K', 'V', '2'};

// Field for field docs/formats/kv_page.md.
struct Header {
  char magic[8];
  uint32_t header_bytes;
  uint32_t n_tokens;
  PageKey root, key, parent;
  int64_t index;
  uint64_t page_bytes;
  PageKey page_checksum;
  TokenId tokens[kernels::kKvPage];
  PageKey checksum;  // of everything before
};
static_assert(sizeof(TokenId) == 4 && sizeof(Header) == 8 + 8 + 3 * 16 + 16 + 16 + 64 * 4 + 16);
static_assert(sizeof(Header) <= kKvPageHeaderBytes);

PageKey checksum_of(const Header& h) {
  return hash_bytes(std::as_bytes(std::span(&h, 1)).first(offsetof(Header, checksum)));
}

std::optional<Header> read_header(std::span<const std::byte> bytes) {
  Header h;
  if (bytes.size() < sizeof h) return {};
  std::memcpy(&h, bytes.data(), sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0 || h.header_bytes != kKvPageHeaderBytes ||
      h.n_tokens != kernels::kKvPage || h.checksum != checksum_of(h))
    return {};
  return h;
}

}  // namespace

uint64_t kv_page_file_bytes(uint64_t page_bytes) {
  return ceil_div<uint64_t>(kKvPageHeaderBytes + page_bytes, 4096) * 4096;
}

void seal_kv_page(const KvPageName& name, uint64_t page_bytes, std::span<std::byte> file) {
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.header_bytes = kKvPageHeaderBytes;
  h.n_tokens = kernels::kKvPage;
  h.root = name.root;
  h.key = name.key;
  h.parent = name.parent;
  h.index = name.index;
  h.page_bytes = page_bytes;
  // Seeded with the key: bytes of another page do not fit under this header.
  h.page_checksum = hash_bytes(file.subspan(kKvPageHeaderBytes, page_bytes), name.key);
  std::ranges::copy(name.tokens.first(kernels::kKvPage), h.tokens);
  h.checksum = checksum_of(h);
  std::memset(file.data(), 0, kKvPageHeaderBytes);
  std::memcpy(file.data(), &h, sizeof h);
  const auto rest = file.subspan(kKvPageHeaderBytes + page_bytes);
  std::ranges::fill(rest, std::byte{0});
}

std::optional<std::span<const std::byte>> open_kv_page(const KvPageName& name, uint64_t page_bytes,
                                                       std::span<const std::byte> file) {
  if (file.size() < kv_page_file_bytes(page_bytes)) return {};
  const auto h = read_header(file);
  if (!h || h->root != name.root || h->key != name.key || h->parent != name.parent || h->index != name.index ||
      h->page_bytes != page_bytes || !std::ranges::equal(h->tokens, name.tokens))
    return {};
  const auto page = file.subspan(kKvPageHeaderBytes, page_bytes);
  if (hash_bytes(page, name.key) != h->page_checksum) return {};
  return page;
}

std::optional<KvPageHeader> read_kv_page_header(std::span<const std::byte> header) {
  const auto h = read_header(header);
  if (!h) return {};
  KvPageHeader out{h->root, h->key, h->parent, h->index, h->page_bytes, {}};
  std::ranges::copy(h->tokens, out.tokens.begin());
  return out;
}

}  // namespace watra::engine::internal
