// gguf_dump FILE: what Checkpoint sees in a GGUF file, as JSON on standard output, for the comparison with gguf-py.
//
// Strings are given as hex (they need not be UTF-8), floats as the hex of their 64-bit pattern (NaN and infinity
// survive), tensors with an FNV-1a hash of their bytes. Exit 1 with {"error": code} when the file is refused.
#include <bit>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "peer_json.h"

using namespace watra;
using namespace watra::checkpoint;
using nlohmann::json;

namespace {

json number_json(double v) { return fmt::format("{:016x}", std::bit_cast<uint64_t>(v)); }

json value_json(const MetaValue& v);

json array_json(const MetaArray& a) {
  json values = json::array();
  for (const uint64_t x : a.u64) values.push_back(x);
  for (const int64_t x : a.i64) values.push_back(x);
  for (const double x : a.f64) values.push_back(number_json(x));
  for (const std::string& x : a.strings) values.push_back(peer::hex(x));
  for (const MetaValue& x : a.nested) values.push_back(value_json(x));
  return {{"type", "array"}, {"of", meta_type_name(a.element_type)}, {"value", std::move(values)}};
}

json value_json(const MetaValue& v) {
  if (v.type == MetaType::array) return array_json(*std::get<std::shared_ptr<const MetaArray>>(v.value));
  json out = {{"type", meta_type_name(v.type)}};
  if (const auto* u = std::get_if<uint64_t>(&v.value)) out["value"] = *u;
  if (const auto* i = std::get_if<int64_t>(&v.value)) out["value"] = *i;
  if (const auto* d = std::get_if<double>(&v.value)) out["value"] = number_json(*d);
  if (const auto* b = std::get_if<bool>(&v.value)) out["value"] = *b;
  if (const auto* s = std::get_if<std::string>(&v.value)) out["value"] = peer::hex(*s);
  return out;
}

Result<json> dump(const fs::path& path) {
  WATRA_ASSIGN(const Checkpoint c, Checkpoint::open(path));
  json metadata = json::array(), files = json::array();
  for (const auto& [key, value] : c.metadata().entries()) metadata.push_back({key, value_json(value)});
  for (const fs::path& p : c.paths()) files.push_back(p.filename().string());
  WATRA_ASSIGN(json tensors, peer::tensors_json(c));
  return json{{"version", c.gguf_version()},
              {"files", files},
              {"file_bytes", c.file_bytes()},
              {"metadata", metadata},
              {"tensors", tensors}};
}

}  // namespace

int main(int argc, char** argv) {
  return peer::print_result(argc == 2 ? dump(argv[1]) : fail("usage", "gguf_dump FILE"));
}
