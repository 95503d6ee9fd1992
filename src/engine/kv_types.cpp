#include "engine/kv_types.h"

#include <fmt/format.h>

#include <charconv>

namespace watra::engine {
namespace {

constexpr std::string_view kHint = "--kv-type q8_0, --kv-type q8_0,q4_0 or --kv-type q4_0/0-1:q8_0";

Result<KvType> parse_type(std::string_view text) {
  for (const KvType type : kernels::kKvTypes)
    if (text == kernels::kv_type_name(type)) return type;
  return fail("usage.kv_type",
              fmt::format("--kv-type has '{}', wanted f16, f32, q8_0 or q4_0 (one for keys and values, or K,V)", text),
              std::string(kHint));
}

Result<KvPair> parse_pair(std::string_view text) {
  const size_t comma = text.find(',');
  WATRA_ASSIGN(const KvType k, parse_type(text.substr(0, comma)));
  if (comma == std::string_view::npos) return KvPair{k, k};
  WATRA_ASSIGN(const KvType v, parse_type(text.substr(comma + 1)));
  return KvPair{k, v};
}

// "3" or "0-1".
bool parse_layers(std::string_view text, int& first, int& last) {
  const char *at = text.data(), *end = at + text.size();
  auto read = std::from_chars(at, end, first);
  if (read.ec != std::errc{} || first < 0) return false;
  last = first;
  if (read.ptr == end) return true;
  if (*read.ptr != '-') return false;
  read = std::from_chars(read.ptr + 1, end, last);
  return read.ec == std::errc{} && read.ptr == end && last >= first;
}

std::string text_of(KvPair p) {
  std::string text(kernels::kv_type_name(p.k));
  if (p.v != p.k) text += fmt::format(",{}", kernels::kv_type_name(p.v));
  return text;
}

}  // namespace

Result<KvTypes> KvTypes::parse(std::string_view text) {
  KvTypes types;
  size_t slash = text.find('/');
  WATRA_ASSIGN(types.all_, parse_pair(text.substr(0, slash)));
  while (slash != std::string_view::npos) {
    text.remove_prefix(slash + 1);
    slash = text.find('/');
    const std::string_view entry = text.substr(0, slash);
    const size_t colon = entry.find(':');
    Others others{};
    if (colon == std::string_view::npos || !parse_layers(entry.substr(0, colon), others.first, others.last))
      return fail("usage.kv_type",
                  fmt::format("--kv-type has '{}', wanted LAYERS:K[,V] with LAYERS = N or N-M, counted from 0", entry),
                  std::string(kHint));
    WATRA_ASSIGN(others.types, parse_pair(entry.substr(colon + 1)));
    types.others_.push_back(others);
  }
  return types;
}

KvPair KvTypes::of(int layer) const {
  for (auto o = others_.rbegin(); o != others_.rend(); ++o)
    if (layer >= o->first && layer <= o->last) return o->types;
  return all_;
}

Status KvTypes::check(int n_layers) const {
  for (const Others& o : others_)
    if (o.last >= n_layers)
      return fail("usage.kv_type",
                  fmt::format("--kv-type names layer {}, the model has layers 0-{}", o.last, n_layers - 1),
                  fmt::format("--kv-type {}/{}:{}", text_of(all_), n_layers - 1, text_of(o.types)));
  return {};
}

int64_t KvTypes::bytes_per_position(const model::HParams& hp) const {
  int64_t bytes = 0;
  for (int layer = 0; const auto& l : hp.layers) {
    const KvPair types = of(layer++);
    bytes += l.n_kv_heads * (kernels::kv_row_bytes(types.k, l.d_head) + kernels::kv_row_bytes(types.v, l.d_head));
  }
  return bytes;
}

std::string KvTypes::text() const {
  std::string text = text_of(all_);
  for (const Others& o : others_)
    text += o.first == o.last ? fmt::format("/{}:{}", o.first, text_of(o.types))
                              : fmt::format("/{}-{}:{}", o.first, o.last, text_of(o.types));
  return text;
}

}  // namespace watra::engine
