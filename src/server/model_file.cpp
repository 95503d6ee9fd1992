#include "server/model_file.h"

#include <cmath>
#include <variant>

#include "checkpoint/checkpoint.h"
#include "hub/receipt.h"
#include "hub/sha256.h"
#include "model/arch.h"
#include "model/file_quant.h"
#include "model/model.h"
#include "model/vocab.h"
#include "server/infill.h"
#include "server/served_model.h"

namespace watra::server {
namespace {

using checkpoint::MetaArray;
using checkpoint::MetaValue;

constexpr size_t kShownEntries = 64;  // of a list; tokens and merges are tens of thousands

Json number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

Json to_json(const MetaValue& v) {
  const auto list = [](const MetaArray& a) -> Json {
    if (a.size() > kShownEntries) return nullptr;
    Json out = Json::array();
    for (const auto x : a.u64) out.push_back(x);
    for (const auto x : a.i64) out.push_back(x);
    for (const auto x : a.f64) out.push_back(number(x));
    for (const auto& x : a.strings) out.push_back(x);
    for (const auto& x : a.nested) out.push_back(to_json(x));
    return out;
  };
  return std::visit(
      [&](const auto& x) -> Json {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, std::shared_ptr<const MetaArray>>)
          return list(*x);
        else if constexpr (std::is_same_v<T, double>)
          return number(x);
        else
          return Json(x);
      },
      v.value);
}

// Only of files of one part; empty for what is no longer the file that was installed.
std::string checksum_of(const hub::Shelf& shelf, const checkpoint::Checkpoint& file) {
  const auto relative = file.paths().front().lexically_relative(shelf.folder());
  if (file.paths().size() > 1 || relative.empty() || *relative.begin() == "..") return {};
  const auto receipt = hub::read_receipt(shelf, relative);
  return receipt ? receipt->sha256 : std::string();
}

Result<FileStamp> stamp_of(const fs::path& path) {
  WATRA_ASSIGN(const File file, File::open(path, File::Mode::read));
  return file.stamp();
}

}  // namespace

Result<std::shared_ptr<const ModelFacts>> ModelFiles::facts(const fs::path& path) {
  WATRA_ASSIGN(const FileStamp stamp, stamp_of(path));
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = known_.find(path); it != known_.end() && it->second->stamp == stamp) return it->second;
  }
  WATRA_ASSIGN(const auto file, checkpoint::Checkpoint::open(path));
  const auto& metadata = file.metadata();
  auto facts = std::make_shared<ModelFacts>();
  facts->stamp = stamp;
  facts->architecture = metadata.get_string("general.architecture").value_or("");
  facts->quant = model::file_quant(file);
  facts->chat_template = metadata.get_string("tokenizer.chat_template").value_or("");
  facts->licence = metadata.get_string("general.license").value_or("");
  facts->file_bytes = file.file_bytes();
  facts->sha256 = checksum_of(shelf_, file);
  facts->n_params = static_cast<uint64_t>(model::count_params(file));
  if (const auto vocab = model::load_vocab(file)) {
    facts->fills_in = can_fill_in(*vocab);
    facts->n_vocab = static_cast<int64_t>(vocab->pieces.size());
  }
  if (const auto* arch = model::find_architecture(facts->architecture)) facts->is_encoder = arch->encoder.has_value();
  facts->metadata = Json::object();
  for (const auto& [key, value] : metadata.entries())
    if (key != "tokenizer.chat_template") facts->metadata[key] = to_json(value);
  facts->metadata["general.parameter_count"] = facts->n_params;
  const std::lock_guard lock(mutex_);
  // Whenever one comes in, those whose files are gone leave.
  std::error_code ec;
  std::erase_if(known_, [&](const auto& entry) { return !fs::exists(entry.first, ec); });
  return known_[path] = facts;
}

size_t ModelFiles::n_known() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

std::string digest_of(const std::string& id, const ModelFacts& facts) {
  if (!facts.sha256.empty()) return facts.sha256;
  hub::Sha256 hash;
  const std::string what = fmt::format("{}\n{}\n{}", id, facts.stamp.size_bytes, facts.stamp.modified_ns);
  hash.add(std::as_bytes(std::span(what)));
  return hash.hex();
}

std::string parameter_size(uint64_t n_params) {
  const auto n = static_cast<double>(n_params);
  const auto shown = [](double x, int digits, char unit) {
    return x == std::floor(x) ? fmt::format("{:.0f}{}", x, unit) : fmt::format("{:.{}f}{}", x, digits, unit);
  };
  if (n >= 1e9) return shown(n / 1e9, 1, 'B');
  if (n >= 1e6) return shown(n / 1e6, 2, 'M');
  return n >= 1e3 ? fmt::format("{:.0f}K", n / 1e3) : fmt::format("{}", n_params);
}

}  // namespace watra::server
