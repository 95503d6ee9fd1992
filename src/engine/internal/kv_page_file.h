// KvPageFile: how one page of cached keys and values lies in a file. docs/formats/kv_page.md is the format.
//
// The file is a header of 4096 bytes and the page's bytes as they lie in RAM, the whole padded to 4096: it is written
// by one call and read directly to an aligned address. Everything that decides what the bytes mean is in the header,
// and both header and bytes have a checksum, so that a file that was cut, swapped or damaged is never taken for a page.
//
// Pure functions over memory; no files are touched here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/page_key.h"

namespace watra::engine::internal {

// Which page: the n-th of the conversations that begin with the tokens behind `key`.
struct KvPageName {
  PageKey root, key, parent;  // page_key.h; the parent of page 0 is the root
  int64_t index = 0;
  std::span<const TokenId> tokens;  // kKvPage of them
};

inline constexpr uint64_t kKvPageHeaderBytes = 4096;
uint64_t kv_page_file_bytes(uint64_t page_bytes);

// Makes `file` (kv_page_file_bytes() of them, the page's bytes already behind the header) whole: header, checksums,
// zeros at the end.
void seal_kv_page(const KvPageName& name, uint64_t page_bytes, std::span<std::byte> file);

// The page's bytes inside `file` when it is exactly this page, whole and unchanged.
std::optional<std::span<const std::byte>> open_kv_page(const KvPageName& name, uint64_t page_bytes,
                                                       std::span<const std::byte> file);

// What a header says of its page; nothing when it is damaged or of another version. For listing and erasing: says
// nothing about the page's bytes.
struct KvPageHeader {
  PageKey root, key, parent;
  int64_t index;
  uint64_t page_bytes;
  std::array<TokenId, kernels::kKvPage> tokens;
};
std::optional<KvPageHeader> read_kv_page_header(std::span<const std::byte> header);

}  // namespace watra::engine::internal
