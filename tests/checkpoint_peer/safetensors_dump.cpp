// safetensors_dump PATH: what Safetensors sees in a file or folder, as JSON, for the comparison with the safetensors
// package.
#include "checkpoint/safetensors.h"
#include "peer_json.h"

using namespace watra;
using nlohmann::json;

namespace {

Result<json> dump(const fs::path& path) {
  WATRA_ASSIGN(const checkpoint::Safetensors s, checkpoint::Safetensors::open(path));
  WATRA_ASSIGN(json tensors, peer::tensors_json(s));
  json metadata = json::object(), foreign = json::array();
  for (const auto& [key, value] : s.metadata()) metadata[key] = value;
  for (const checkpoint::ForeignTensor& t : s.foreign())
    foreign.push_back({{"name", t.name}, {"dtype", t.dtype}, {"shape", t.dims}});
  return json{{"metadata", metadata}, {"foreign", foreign}, {"tensors", tensors}};
}

}  // namespace

int main(int argc, char** argv) {
  return peer::print_result(argc == 2 ? dump(argv[1]) : fail("usage", "safetensors_dump PATH"));
}
