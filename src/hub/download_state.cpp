#include "hub/download_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace watra::hub {
namespace {

using nlohmann::json;

constexpr uint64_t kSmallestBlock = 256 << 10, kLargestBlock = 16 << 20;
constexpr uint64_t kMaxStateBytes = 64 << 20;

// Of any claim: rounding up must not overflow.
uint64_t n_blocks_of(uint64_t bytes, uint64_t block_bytes) { return bytes / block_bytes + (bytes % block_bytes != 0); }

}  // namespace

uint64_t DownloadState::block_bytes_for(uint64_t bytes) {
  return std::clamp(bytes / 16, kSmallestBlock, kLargestBlock);
}

DownloadState::DownloadState(std::string source, std::string identity, uint64_t bytes, uint64_t block_bytes)
    : source_(std::move(source)),
      identity_(std::move(identity)),
      bytes_(bytes),
      block_bytes_(block_bytes),
      done_(n_blocks_of(bytes, block_bytes)) {}

uint64_t DownloadState::done_bytes() const {
  uint64_t sum = 0;
  for (size_t b = 0; b < done_.size(); ++b)
    if (done_[b]) sum += block_end(b) - block_begin(b);
  return sum;
}

std::optional<DownloadState> DownloadState::load(const fs::path& path, const std::string& source,
                                                 const std::string& identity, uint64_t bytes) {
  if (identity.empty()) return std::nullopt;
  const auto text = read_text_file(path, kMaxStateBytes);
  if (!text) return std::nullopt;
  const json j = json::parse(*text, nullptr, false);
  if (!j.is_object() || j.value("kind", json()) != "ranges" || j.value("source", json()) != source ||
      j.value("identity", json()) != identity || j.value("bytes", json()) != bytes)
    return std::nullopt;
  const json block = j.value("block_bytes", json()), done = j.value("done", json());
  if (!block.is_number_unsigned() || !done.is_string()) return std::nullopt;
  const auto block_bytes = block.get<uint64_t>();
  if (block_bytes < kSmallestBlock || block_bytes > kLargestBlock) return std::nullopt;
  const auto& marks = done.get_ref<const std::string&>();
  if (marks.size() != n_blocks_of(bytes, block_bytes)) return std::nullopt;
  DownloadState state(source, identity, bytes, block_bytes);
  for (size_t b = 0; b < marks.size(); ++b) state.done_[b] = marks[b] == '1';
  return state;
}

Status DownloadState::save(const fs::path& path) const {
  std::string marks;
  for (const bool done : done_) marks += done ? '1' : '0';
  const json j = {{"kind", "ranges"}, {"source", source_},           {"identity", identity_},
                  {"bytes", bytes_},  {"block_bytes", block_bytes_}, {"done", marks}};
  return write_file_atomic(path, j.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace watra::hub
