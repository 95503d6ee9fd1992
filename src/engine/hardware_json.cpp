// Hardware files: reading with errors that name the field, writing.
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/hardware_profile.h"
#include "engine/internal/known_hardware.h"

namespace watra::engine {
namespace {

using Json = nlohmann::ordered_json;

// Reads fields of one JSON object; keeps the first error, so that a whole object is read before anyone looks.
class Reader {
 public:
  explicit Reader(Status& error) : error_(error) {}

  // A number in [least, most]; nothing when the field is missing and not required.
  bool number(const Json& object, const std::string& where, const char* key, bool required, double least, double most,
              double& out) {
    const auto* field = find(object, where, key, required);
    if (!field) return false;
    if (!field->is_number() || !std::isfinite(field->get<double>()) || field->get<double>() < least ||
        field->get<double>() > most) {
      refuse(where, key, fmt::format("a number from {:g} to {:g}", least, most), *field);
      return false;
    }
    out = field->get<double>();
    return true;
  }
  template <class Integer>
  void integer(const Json& object, const std::string& where, const char* key, bool required, double least, double most,
               Integer& out) {
    double value = 0;  // "118e9" is how people write bytes
    if (number(object, where, key, required, least, most, value)) out = static_cast<Integer>(value);
  }
  void text(const Json& object, const std::string& where, const char* key, bool required, std::string& out) {
    const auto* field = find(object, where, key, required);
    if (!field) return;
    if (!field->is_string()) return refuse(where, key, "a text", *field);
    out = field->get<std::string>();
  }
  const Json* object(const Json& in, const std::string& where, const char* key, bool required) {
    const auto* field = find(in, where, key, required);
    if (!field) return nullptr;
    if (!field->is_object()) return refuse(where, key, "an object {...}", *field), nullptr;
    return field;
  }
  const Json* list(const Json& in, const std::string& where, const char* key) {
    const auto* field = find(in, where, key, false);
    if (!field) return nullptr;
    const bool objects =
        field->is_array() && std::all_of(field->begin(), field->end(), [](const Json& j) { return j.is_object(); });
    if (!objects) return refuse(where, key, "a list of objects", *field), nullptr;
    return field;
  }
  void refuse(const std::string& where, const char* key, const std::string& wanted, const Json& found) {
    if (!error_) return;
    std::string shown = found.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    error_ = fail("hardware.bad_value", fmt::format("{}{}: wanted {}, found {}", where, key, wanted, shown),
                  "the form of a hardware file: watra plan --hardware reference-pc --table shows one that works");
  }

 private:
  const Json* find(const Json& object, const std::string& where, const char* key, bool required) {
    const auto it = object.find(key);
    if (it != object.end() && !it->is_null()) return &*it;
    if (required && error_)
      error_ = fail("hardware.missing", fmt::format("a hardware file needs {}{}", where, key),
                    R"(the least one: {"name": "my PC", "ram": {"bytes": 48e9, "gb_s": 50}, "cpu": {"cores": 8, )"
                    R"("int8_gop_s": 2000}})");
    return nullptr;
  }
  Status& error_;
};

constexpr double kMostBytes = 1e16, kMostRate = 1e6;

Json with_source(Json object, const std::string& source) {
  if (!source.empty()) object["source"] = source;
  return object;
}

}  // namespace

Result<Hardware> parse_hardware(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& e) {
    return fail("hardware.bad_json", fmt::format("the hardware file is not JSON: {}", e.what()),
                "check it with any JSON tool");
  }
  if (!json.is_object())
    return fail("hardware.bad_json", "a hardware file is one JSON object", R"({"name": ..., "ram": ..., "cpu": ...})");
  Hardware hw;
  Status error;
  Reader read(error);
  read.text(json, "", "name", false, hw.name);
  read.text(json, "", "about", false, hw.about);
  read.text(json, "", "measured_at", false, hw.measured_at);
  read.text(json, "", "machine_id", false, hw.machine_id);
  read.text(json, "", "pcie_source", false, hw.pcie_source);
  read.number(json, "", "pcie_gb_s", false, 0, kMostRate, hw.pcie_gb_s);
  if (const Json* v = read.object(json, "", "vram", false)) {
    read.integer(*v, "vram.", "bytes", true, 0, kMostBytes, hw.vram.bytes);
    read.integer(*v, "vram.", "work_bytes", false, 0, kMostBytes, hw.vram.work_bytes);
    if (hw.vram.work_bytes > hw.vram.bytes)
      read.refuse("vram.", "work_bytes", "no more than vram.bytes, of which it is a part", (*v)["work_bytes"]);
    read.number(*v, "vram.", "gb_s", hw.vram.bytes > 0, hw.vram.bytes > 0 ? 0.001 : 0, kMostRate, hw.vram.gb_s);
    read.number(*v, "vram.", "fp16_tflop_s", false, 0, kMostRate, hw.vram.fp16_tflop_s);
    read.text(*v, "vram.", "source", false, hw.vram.source);
  }
  if (const Json* r = read.object(json, "", "ram", true)) {
    read.integer(*r, "ram.", "bytes", true, 1, kMostBytes, hw.ram.bytes);
    read.number(*r, "ram.", "gb_s", true, 0.001, kMostRate, hw.ram.gb_s);
    read.text(*r, "ram.", "source", false, hw.ram.source);
    if (const Json* list = read.list(*r, "ram.", "by_threads"))
      for (const Json& at : *list) {
        Hardware::Ram::ByThreads rate{};
        read.integer(at, "ram.by_threads[].", "threads", true, 1, 4096, rate.threads);
        read.number(at, "ram.by_threads[].", "gb_s", true, 0.001, kMostRate, rate.gb_s);
        hw.ram.by_threads.push_back(rate);
      }
    std::sort(hw.ram.by_threads.begin(), hw.ram.by_threads.end(),
              [](const auto& a, const auto& b) { return a.threads < b.threads; });
  }
  if (const Json* list = read.list(json, "", "disks"))
    for (const Json& d : *list) {
      Hardware::Disk disk;
      read.text(d, "disks[].", "path", true, disk.path);
      read.number(d, "disks[].", "gb_s", true, 0.0001, kMostRate, disk.gb_s);
      read.integer(d, "disks[].", "free_bytes", false, 0, kMostBytes, disk.free_bytes);
      read.integer(d, "disks[].", "read_bytes", false, 0, kMostBytes, disk.read_bytes);
      read.integer(d, "disks[].", "depth", false, 0, 65536, disk.depth);
      read.text(d, "disks[].", "source", false, disk.source);
      hw.disks.push_back(std::move(disk));
    }
  if (const Json* c = read.object(json, "", "cpu", true)) {
    read.text(*c, "cpu.", "model", false, hw.cpu.model);
    read.text(*c, "cpu.", "isa", false, hw.cpu.isa);
    read.integer(*c, "cpu.", "cores", true, 1, 4096, hw.cpu.cores);
    read.integer(*c, "cpu.", "p_cores", false, 0, 4096, hw.cpu.p_cores);
    read.integer(*c, "cpu.", "e_cores", false, 0, 4096, hw.cpu.e_cores);
    read.integer(*c, "cpu.", "threads", false, 0, 4096, hw.cpu.threads);
    read.number(*c, "cpu.", "int8_gop_s", true, 0.001, 1e9, hw.cpu.int8_gop_s);
    read.number(*c, "cpu.", "fp32_gflop_s", false, 0, 1e9, hw.cpu.fp32_gflop_s);
    read.number(*c, "cpu.", "layer_overhead_us", false, 0, 1e6, hw.cpu.layer_overhead_us);
    read.number(*c, "cpu.", "small_op_ns", false, 0, 1e6, hw.cpu.small_op_ns);
    read.number(*c, "cpu.", "pass_share", false, 0, 10, hw.cpu.pass_share);
    read.number(*c, "cpu.", "kv_gb_s", false, 0, kMostRate, hw.cpu.kv_gb_s);
    read.number(*c, "cpu.", "streamed_gb_s", false, 0, kMostRate, hw.cpu.streamed_gb_s);
    read.text(*c, "cpu.", "source", false, hw.cpu.source);
  }
  if (const Json* list = read.list(json, "", "kernels"))
    for (const Json& k : *list) {
      Hardware::KernelRate rate{};
      std::string dtype;
      read.text(k, "kernels[].", "dtype", true, dtype);
      if (const auto known = tensor::dtype_from_name(dtype))
        rate.dtype = *known;
      else if (!dtype.empty())
        read.refuse("kernels[].", "dtype", "an element format such as q4_k", Json(dtype));
      read.integer(k, "kernels[].", "m", true, 1, 1e6, rate.m);
      read.number(k, "kernels[].", "gb_s", true, 0.0001, kMostRate, rate.gb_s);
      hw.kernels.push_back(rate);
    }
  WATRA_TRY(error);
  return hw;
}

std::string hardware_json(const Hardware& hw) {
  Json json = {{"name", hw.name}};
  if (!hw.about.empty()) json["about"] = hw.about;
  if (!hw.measured_at.empty()) json["measured_at"] = hw.measured_at;
  if (!hw.machine_id.empty()) json["machine_id"] = hw.machine_id;
  if (hw.has_vram()) {
    json["vram"] = {{"bytes", hw.vram.bytes}, {"gb_s", hw.vram.gb_s}};
    if (hw.vram.work_bytes > 0) json["vram"]["work_bytes"] = hw.vram.work_bytes;
    if (hw.vram.fp16_tflop_s > 0) json["vram"]["fp16_tflop_s"] = hw.vram.fp16_tflop_s;
    json["vram"] = with_source(json["vram"], hw.vram.source);
  }
  json["ram"] = {{"bytes", hw.ram.bytes}, {"gb_s", hw.ram.gb_s}};
  if (!hw.ram.by_threads.empty()) {
    json["ram"]["by_threads"] = Json::array();
    for (const auto& r : hw.ram.by_threads)
      json["ram"]["by_threads"].push_back({{"threads", r.threads}, {"gb_s", r.gb_s}});
  }
  json["ram"] = with_source(json["ram"], hw.ram.source);
  if (hw.pcie_gb_s > 0) json["pcie_gb_s"] = hw.pcie_gb_s;
  if (!hw.pcie_source.empty()) json["pcie_source"] = hw.pcie_source;
  json["disks"] = Json::array();
  for (const auto& d : hw.disks) {
    Json disk = {{"path", d.path}, {"gb_s", d.gb_s}};
    if (d.free_bytes > 0) disk["free_bytes"] = d.free_bytes;
    if (d.read_bytes > 0) disk["read_bytes"] = d.read_bytes;
    if (d.depth > 0) disk["depth"] = d.depth;
    json["disks"].push_back(with_source(std::move(disk), d.source));
  }
  Json cpu = Json::object();
  if (!hw.cpu.model.empty()) cpu["model"] = hw.cpu.model;
  if (!hw.cpu.isa.empty()) cpu["isa"] = hw.cpu.isa;
  cpu["cores"] = hw.cpu.cores;
  if (hw.cpu.p_cores > 0) cpu["p_cores"] = hw.cpu.p_cores;
  if (hw.cpu.e_cores > 0) cpu["e_cores"] = hw.cpu.e_cores;
  if (hw.cpu.threads > 0) cpu["threads"] = hw.cpu.threads;
  cpu["int8_gop_s"] = hw.cpu.int8_gop_s;
  cpu["fp32_gflop_s"] = hw.cpu.fp32_gflop_s;
  if (hw.cpu.layer_overhead_us > 0) cpu["layer_overhead_us"] = hw.cpu.layer_overhead_us;
  if (hw.cpu.small_op_ns > 0) cpu["small_op_ns"] = hw.cpu.small_op_ns;
  if (hw.cpu.pass_share > 0) cpu["pass_share"] = hw.cpu.pass_share;
  if (hw.cpu.kv_gb_s > 0) cpu["kv_gb_s"] = hw.cpu.kv_gb_s;
  if (hw.cpu.streamed_gb_s > 0) cpu["streamed_gb_s"] = hw.cpu.streamed_gb_s;
  json["cpu"] = with_source(std::move(cpu), hw.cpu.source);
  if (!hw.kernels.empty()) {
    json["kernels"] = Json::array();
    for (const auto& k : hw.kernels)
      json["kernels"].push_back({{"dtype", tensor::dtype_name(k.dtype)}, {"m", k.m}, {"gb_s", k.gb_s}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<std::string> known_hardware_names() {
  std::vector<std::string> names;
  for (const auto& known : internal::known_hardware()) names.emplace_back(known.name);
  return names;
}

std::optional<std::string_view> known_hardware_json(std::string_view name) {
  for (const auto& known : internal::known_hardware())
    if (known.name == name) return known.json;
  return std::nullopt;
}

}  // namespace watra::engine
