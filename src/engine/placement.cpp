#include "engine/placement.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "model/model.h"
#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using checkpoint::TensorInfo;
using model::BoundWeight;
using model::Role;

// Where less than this of a matrix would be streamed, it stays in RAM: shorter reads cost more than they bring.
constexpr uint64_t kLeastStreamedBytes = 1 << 20;

bool is_matrix(const TensorInfo& t) { return t.shape.rank() >= 2; }
uint64_t row_bytes(const TensorInfo& t) { return tensor::row_bytes(t.dtype, t.shape.cols()); }
uint64_t vector_bytes(const TensorInfo& t) { return static_cast<uint64_t>(t.shape.elements()) * sizeof(float); }

// One role's rows of a matrix, or those of two that are finished together.
struct Slice {
  const BoundWeight* weight;
  const BoundWeight* twin = nullptr;  // the same shape and type, cut alike
  bool stays = false;
  uint64_t row_size() const { return row_bytes(*weight->tensor) * (twin ? 2 : 1); }
  uint64_t matrix_size() const { return row_bytes(*weight->tensor) * static_cast<uint64_t>(weight->rows()); }
  uint64_t size() const { return row_size() * static_cast<uint64_t>(weight->rows()); }
};

bool are_twins(const BoundWeight& a, const BoundWeight& b) {
  return a && b && a.rows() == b.rows() && a.tensor->dtype == b.tensor->dtype &&
         a.tensor->shape.cols() == b.tensor->shape.cols();
}

// Every matrix that products read, in the order in which a pass uses them; what is bound twice comes once.
std::vector<Slice> product_slices(const model::Model& model) {
  std::vector<Slice> slices;
  std::set<std::pair<const TensorInfo*, int64_t>> seen;
  const auto add = [&](const BoundWeight& w, const BoundWeight* twin = nullptr) {
    if (!w || !is_matrix(*w.tensor) || !seen.insert({w.tensor, w.row_begin}).second) return;
    if (twin) seen.insert({twin->tensor, twin->row_begin});
    slices.push_back({&w, twin});
  };
  for (int l = 0; l < model.hparams().n_layers; ++l) {
    const auto& roles = model.layer(l);
    const auto of = [&](Role r) -> const BoundWeight& { return roles[static_cast<size_t>(r)]; };
    if (are_twins(of(Role::ffn_gate), of(Role::ffn_up))) {
      for (size_t r = 0; r < static_cast<size_t>(Role::ffn_gate); ++r) add(roles[r]);
      add(of(Role::ffn_gate), &of(Role::ffn_up));
    }
    for (const BoundWeight& w : roles) add(w);
  }
  const TensorInfo* gathered = model.gathered_table();
  for (const BoundWeight& w : model.globals())
    if (w.tensor != gathered) add(w);
  return slices;
}

// Every tensor that some role reads, once.
std::set<const TensorInfo*> bound_tensors(const model::Model& model) {
  std::set<const TensorInfo*> tensors;
  const auto add_all = [&](const model::RoleWeights& roles) {
    for (const BoundWeight& w : roles) tensors.insert({w.tensor, w.bias});
  };
  add_all(model.globals());
  for (int l = 0; l < model.hparams().n_layers; ++l) add_all(model.layer(l));
  tensors.erase(nullptr);
  return tensors;
}

uint64_t always_in_ram_bytes(const model::Model& model) {
  uint64_t bytes = 0;
  for (const TensorInfo* t : bound_tensors(model))
    if (!is_matrix(*t)) bytes += vector_bytes(*t);
  return bytes;
}

// Shares out streamed rows among disks. What rounding gives one of them too much is made good at the next matrix.
class DiskShares {
 public:
  explicit DiskShares(std::span<const double> rates) : owed_(std::max<size_t>(1, rates.size())), rates_(owed_.size()) {
    const double sum = std::accumulate(rates.begin(), rates.end(), 0.0);
    for (size_t d = 0; d < rates_.size(); ++d) rates_[d] = sum > 0 ? rates[d] / sum : 1.0 / double(rates_.size());
  }

  void add(std::vector<RowRange>& ranges, int64_t begin, int64_t end) {
    const auto rows = static_cast<double>(end - begin);
    for (size_t d = 0; d < owed_.size() && begin < end; ++d) {
      owed_[d] += rows * rates_[d];
      const auto wanted = static_cast<int64_t>(owed_[d] / tensor::kInterleavedRows + 0.5) * tensor::kInterleavedRows;
      const int64_t n = d + 1 == owed_.size() ? end - begin : std::clamp<int64_t>(wanted, 0, end - begin);
      owed_[d] -= static_cast<double>(n);
      if (n > 0) ranges.push_back({begin, begin + n, Tier::disk, static_cast<uint8_t>(d)});
      begin += n;
    }
  }

 private:
  std::vector<double> owed_, rates_;
};

}  // namespace

Placement balanced_placement(const model::Model& model, uint64_t ram_weight_bytes, std::span<const double> disk_rates) {
  std::vector<Slice> slices = product_slices(model);
  const TensorInfo* table = model.gathered_table();
  const uint64_t fixed = always_in_ram_bytes(model);
  const uint64_t room = ram_weight_bytes - std::min(fixed, ram_weight_bytes);
  uint64_t matrices = 0;
  for (const Slice& s : slices) matrices += s.size();
  if (matrices + (table ? table->size_bytes : 0) <= room) return {};

  Placement out;
  DiskShares disks(disk_rates);
  if (table) disks.add(out.tensors[table->name], 0, table->shape.rows());
  if (matrices <= room) return out;

  // Those of which little would be streamed stay, the smallest first, which makes less of the others stay: all of one
  // size or none, so that layers remain alike.
  uint64_t shared = matrices, left = room;
  std::map<uint64_t, uint64_t> classes;  // bytes of one matrix -> of all of that size
  for (const Slice& s : slices) classes[s.matrix_size()] += s.size();
  for (const auto& [size, all] : classes) {
    const double streamed = 1 - static_cast<double>(left) / static_cast<double>(shared);
    if (all > left || streamed * static_cast<double>(size) >= static_cast<double>(kLeastStreamedBytes)) break;
    for (Slice& s : slices) s.stays |= s.matrix_size() == size;
    left -= all;
    shared -= all;
  }

  const double share = static_cast<double>(left) / static_cast<double>(shared);
  double owed = 0;  // bytes that earlier slices left of their share
  for (const Slice& s : slices) {
    int64_t resident = s.weight->rows();
    if (!s.stays) {
      owed += share * static_cast<double>(s.size());
      const auto groups = static_cast<int64_t>(owed / static_cast<double>(s.row_size()) / tensor::kInterleavedRows);
      resident = std::clamp<int64_t>(groups * tensor::kInterleavedRows, 0, s.weight->rows());
      owed -= static_cast<double>(resident) * static_cast<double>(s.row_size());
    }
    for (const BoundWeight* w : {s.weight, s.twin}) {
      if (!w) continue;
      auto& ranges = out.tensors[w->tensor->name];
      if (resident > 0) ranges.push_back({w->row_begin, w->row_begin + resident, Tier::ram});
      disks.add(ranges, w->row_begin + resident, w->row_end);
    }
  }
  // A tensor's ranges ascend; what lies whole in RAM is not named.
  for (auto t = out.tensors.begin(); t != out.tensors.end();) {
    auto& ranges = t->second;
    std::sort(ranges.begin(), ranges.end(), [](const RowRange& a, const RowRange& b) { return a.begin < b.begin; });
    const bool in_ram =
        std::all_of(ranges.begin(), ranges.end(), [](const RowRange& r) { return r.tier == Tier::ram; });
    t = in_ram ? out.tensors.erase(t) : std::next(t);
  }
  return out;
}

namespace {

uint64_t matrix_bytes_on(const model::Model& model, const Placement& placement, bool disk, const TensorInfo* except) {
  uint64_t bytes = 0;
  for (const TensorInfo* t : bound_tensors(model)) {
    if (t == except || !is_matrix(*t)) continue;
    const auto named = placement.tensors.find(t->name);
    if (named == placement.tensors.end()) {
      bytes += disk ? 0 : t->size_bytes;
      continue;
    }
    for (const RowRange& r : named->second)
      if ((r.tier == Tier::disk) == disk) bytes += static_cast<uint64_t>(r.end - r.begin) * row_bytes(*t);
  }
  return bytes;
}

}  // namespace

uint64_t ram_weight_bytes(const model::Model& model, const Placement& placement) {
  return always_in_ram_bytes(model) + matrix_bytes_on(model, placement, false, nullptr);
}

uint64_t streamed_bytes(const model::Model& model, const Placement& placement) {
  return matrix_bytes_on(model, placement, true, model.gathered_table());
}

}  // namespace watra::engine
