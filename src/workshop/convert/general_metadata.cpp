#include "workshop/convert/general_metadata.h"

#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>

#include "workshop/convert/json_fields.h"

namespace watra::workshop {

namespace {

constexpr uint64_t kQuantizationVersion = 2;  // of the block formats; the only one in use
constexpr uint64_t kMaxGenerationConfigBytes = 1 << 20;

uint64_t file_type(OutType type) {  // general.file_type
  switch (type) {
    case OutType::f32:
      return 0;
    case OutType::q8_0:
      return 7;
    case OutType::bf16:
      return 32;
    case OutType::automatic:
    case OutType::f16:
      break;
  }
  return 1;
}

Status add_sampling(const fs::path& folder, checkpoint::Metadata& m) {
  std::error_code ec;
  if (!fs::exists(folder / "generation_config.json", ec)) return {};
  WATRA_ASSIGN(const nlohmann::json file,
               read_json_object(folder / "generation_config.json", kMaxGenerationConfigBytes));
  JsonFields f(file, "generation_config.json");
  if (auto v = f.integer("top_k", 0, INT32_MAX)) m.set("general.sampling.top_k", meta_i32(*v));
  if (auto v = f.number("top_p")) m.set("general.sampling.top_p", meta_f32(*v));
  if (auto v = f.number("min_p")) m.set("general.sampling.min_p", meta_f32(*v));
  if (auto v = f.number("temperature")) m.set("general.sampling.temp", meta_f32(*v));
  if (auto v = f.number("repetition_penalty")) m.set("general.sampling.penalty_repeat", meta_f32(*v));
  return f.status();
}

}  // namespace

std::string size_label(uint64_t n_params) {
  const double n = static_cast<double>(n_params);
  struct Unit {
    double size;
    char letter;
  };
  Unit unit{1e3, 'K'};
  for (const Unit& u : {Unit{1e12, 'T'}, Unit{1e9, 'B'}, Unit{1e6, 'M'}})
    if (n > u.size) {
      unit = u;
      break;
    }
  const double scaled = n / unit.size;
  const double rounded = std::nearbyint(scaled);
  const int digits = rounded < 1 ? 0 : rounded < 10 ? 1 : 2;
  return fmt::format("{:.{}f}{}", scaled, 2 - digits, unit.letter);
}

std::string name_from_folder(const fs::path& folder) {
  std::error_code ec;
  fs::path p = fs::weakly_canonical(folder, ec);
  if (ec) p = folder;
  std::string name = p.filename().string();
  if (name.empty()) name = p.parent_path().filename().string();
  bool at_start = true;
  for (char& c : name) {
    if (c == '-') c = ' ';
    if (at_start) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    at_start = c == ' ';
  }
  return name;
}

Result<checkpoint::Metadata> general_metadata(const ConvertOptions& options, const FamilyPlan& plan, OutType out_type,
                                              uint64_t n_params) {
  checkpoint::Metadata m;
  m.set("general.architecture", meta_string(plan.architecture));
  m.set("general.type", meta_string("model"));
  WATRA_TRY(add_sampling(options.source, m));
  m.set("general.name", meta_string(options.name.empty() ? name_from_folder(options.source) : options.name));
  m.set("general.size_label", meta_string(size_label(n_params)));
  m.set("general.file_type", meta_u32(file_type(out_type)));
  m.set("general.quantization_version", meta_u32(kQuantizationVersion));
  return m;
}

}  // namespace watra::workshop
