// checkpoint_rewrite gguf|safetensors FROM TO [MAX_BYTES [ALIGNMENT]]: reads a model and writes it again with our
// writers, for the reference packages to read. MAX_BYTES > 0 splits.
#include <cstdlib>
#include <cstring>

#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors.h"
#include "peer_json.h"

using namespace watra;
using namespace watra::checkpoint;
using nlohmann::json;

namespace {

Result<json> rewrite_gguf(const fs::path& from, const fs::path& to, GgufWriterOptions options) {
  WATRA_ASSIGN(const Checkpoint c, Checkpoint::open(from));
  options.version = c.gguf_version();
  WATRA_ASSIGN(GgufWriter w, GgufWriter::create(to, c.metadata(), options));
  for (const TensorInfo& t : c.tensors()) WATRA_TRY(w.declare(t.name, t.dtype, t.shape));
  std::vector<std::byte> bytes;
  for (const TensorInfo& t : c.tensors()) {
    bytes.resize(t.size_bytes);
    WATRA_TRY(c.read(t, bytes));
    WATRA_TRY(w.write(bytes));
  }
  WATRA_ASSIGN(const auto paths, w.finish());
  json out = json::array();
  for (const fs::path& p : paths) out.push_back(p.string());
  return out;
}

Result<json> rewrite_safetensors(const fs::path& from, const fs::path& to, uint64_t max_shard_bytes) {
  WATRA_ASSIGN(const Safetensors s, Safetensors::open(from));
  std::vector<std::vector<std::byte>> data;
  std::vector<SafetensorsEntry> entries;
  for (const TensorInfo& t : s.tensors()) {
    WATRA_TRY(s.read(t, data.emplace_back(t.size_bytes)));
    entries.push_back({t.name, t.dtype, t.shape, data.back()});
  }
  WATRA_TRY(write_safetensors(to, entries, s.metadata(), max_shard_bytes));
  return json::array({to.string()});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4)
    return peer::print_result(fail("usage", "checkpoint_rewrite gguf|safetensors FROM TO [MAX_BYTES [ALIGNMENT]]"));
  const uint64_t max_bytes = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
  if (std::strcmp(argv[1], "safetensors") == 0)
    return peer::print_result(rewrite_safetensors(argv[2], argv[3], max_bytes));
  GgufWriterOptions options{.max_split_bytes = max_bytes};
  if (argc > 5) options.alignment = static_cast<uint32_t>(std::strtoul(argv[5], nullptr, 10));
  return peer::print_result(rewrite_gguf(argv[2], argv[3], options));
}
