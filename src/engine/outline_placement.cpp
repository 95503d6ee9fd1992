#include "engine/outline_placement.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using model::OutlineTensor;

// Ranges begin at multiples of the rows that kernels read interleaved.
constexpr int64_t kGroup = tensor::kInterleavedRows;
// Where less than this of a matrix would be streamed, it stays in RAM: shorter reads cost more than they bring.
constexpr uint64_t kLeastStreamedBytes = 1u << 20;

// Matrices that the card takes only a share of.
bool may_be_shared(const OutlineTensor& t) {
  return t.rank >= 2 && t.bytes() >= kLeastStreamedBytes && t.rows >= 4 * kGroup;
}

// Norms and biases lie in RAM as f32, whatever the file has.
uint64_t vector_bytes(const OutlineTensor& t) { return static_cast<uint64_t>(t.elements()) * sizeof(float); }

// How many rows of each tensor lie on the card (the first ones).
struct Rows {
  std::vector<int64_t> vram;
};

int64_t whole_groups(double rows, int64_t most) {
  return std::clamp(static_cast<int64_t>(rows) / kGroup * kGroup, int64_t{0}, most);
}

void fill_card(const model::ModelOutline& o, const PlaceLimits& limits, Rows& rows, PlacedOutline& out) {
  uint64_t left = limits.vram_bytes, kv_left = limits.vram_kv_bytes;
  std::vector<std::vector<size_t>> dense(static_cast<size_t>(o.n_layers)), experts(static_cast<size_t>(o.n_layers));
  std::vector<size_t> output;
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    if (t.read == OutlineTensor::Read::gathered || t.read == OutlineTensor::Read::never) continue;
    if (t.layer < 0)
      output.push_back(i);
    else
      (t.read == OutlineTensor::Read::experts ? experts : dense)[static_cast<size_t>(t.layer)].push_back(i);
  }
  const auto bytes_of = [&](const std::vector<size_t>& unit) {
    uint64_t n = 0;
    for (size_t i : unit) n += o.tensors[i].bytes();
    return n;
  };
  const auto take = [&](const std::vector<size_t>& unit) {
    for (size_t i : unit) rows.vram[i] = o.tensors[i].rows;
    left -= bytes_of(unit);
  };
  // The part of a layer that still fits: the same share of every matrix.
  const auto take_share = [&](const std::vector<size_t>& unit) {
    uint64_t matrices = 0;
    for (size_t i : unit) matrices += may_be_shared(o.tensors[i]) ? o.tensors[i].bytes() : 0;
    if (matrices == 0) return;
    const double share = std::min(1.0, static_cast<double>(left) / static_cast<double>(matrices));
    for (size_t i : unit)
      if (const OutlineTensor& t = o.tensors[i]; may_be_shared(t)) {
        rows.vram[i] = whole_groups(share * static_cast<double>(t.rows), t.rows);
        left -= std::min(left, static_cast<uint64_t>(rows.vram[i]) * t.row_bytes());
      }
  };
  bool all_dense = true;
  for (const auto& unit : dense) {
    const uint64_t kv_in_room = std::min(kv_left, limits.kv_bytes_per_layer);
    const uint64_t kv_beyond = limits.kv_bytes_per_layer - kv_in_room;
    if (bytes_of(unit) + kv_beyond > left) {
      take_share(unit);
      all_dense = false;
      break;
    }
    take(unit);
    left -= kv_beyond;
    kv_left -= kv_in_room;
    ++out.n_gpu_layers;
  }
  if (!all_dense) return;
  if (bytes_of(output) > left) return take_share(output);
  take(output);
  for (const auto& unit : experts) {
    if (bytes_of(unit) > left) return take_share(unit);
    take(unit);
  }
}

// A slice's rows behind those on the card, or the same rows of two matrices that are finished together.
struct Part {
  const OutlineTensor* tensor;
  const OutlineTensor* twin = nullptr;
  int64_t begin, end;  // rows
  int64_t twin_begin = 0;
  int64_t resident = 0;  // of them in RAM, the first ones
  bool stays = false;
  int64_t rows() const { return end - begin; }
  uint64_t row_size() const { return tensor->row_bytes() * (twin ? 2 : 1); }
  uint64_t matrix_size() const { return tensor->row_bytes() * static_cast<uint64_t>(rows()); }
  uint64_t size() const { return row_size() * static_cast<uint64_t>(rows()); }
};

// Every matrix that the processor reads as a whole, in the order in which a pass uses them.
std::vector<Part> parts_of(const model::ModelOutline& o, const Rows& rows, bool experts) {
  std::vector<size_t> order;
  for (size_t i = 0; i < o.tensors.size(); ++i)
    if (const OutlineTensor& t = o.tensors[i];
        t.rank >= 2 && t.read == (experts ? OutlineTensor::Read::experts : OutlineTensor::Read::whole))
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {  // what no layer owns comes last
    return static_cast<uint32_t>(o.tensors[a].layer) < static_cast<uint32_t>(o.tensors[b].layer);
  });
  std::vector<Part> parts;
  std::map<int32_t, size_t> open_pairs;  // -> place in `parts`
  for (const size_t i : order) {
    const OutlineTensor& t = o.tensors[i];
    const OutlineTensor::Slice whole{0, t.rows};
    for (const auto& s : t.slices.empty() ? std::span(&whole, 1) : std::span(t.slices)) {
      const int64_t begin = std::max(s.begin, rows.vram[i]);
      if (begin >= s.end) continue;
      if (const auto open = open_pairs.find(s.pair); s.pair >= 0 && open != open_pairs.end()) {
        Part& first = parts[open->second];
        if (first.tensor->dtype == t.dtype && first.tensor->cols == t.cols && first.rows() == s.end - begin) {
          first.twin = &t;
          first.twin_begin = begin;
          continue;
        }
      } else if (s.pair >= 0) {
        open_pairs.emplace(s.pair, parts.size());
      }
      parts.push_back({.tensor = &t, .begin = begin, .end = s.end});
    }
  }
  return parts;
}

// Keeps `room` bytes of the parts; true when that was not all.
bool keep_share(std::vector<Part>& parts, uint64_t room) {
  uint64_t shared = 0, left = room;
  std::map<uint64_t, uint64_t> classes;  // bytes of one matrix -> of all of that size
  for (const Part& p : parts) {
    shared += p.size();
    classes[p.matrix_size()] += p.size();
  }
  if (shared <= room) return false;
  // Those of which little would be streamed stay, the smallest first, which makes less of the others stay: all of one
  // size or none, so that layers remain alike.
  for (const auto& [size, all] : classes) {
    const double streamed = 1 - static_cast<double>(left) / static_cast<double>(shared);
    if (all > left || streamed * static_cast<double>(size) >= static_cast<double>(kLeastStreamedBytes)) break;
    for (Part& p : parts) p.stays |= p.matrix_size() == size;
    left -= all;
    shared -= all;
  }
  const double share = static_cast<double>(left) / static_cast<double>(shared);
  double owed = 0;  // bytes that earlier parts left of their share
  for (Part& p : parts) {
    p.resident = p.rows();
    if (p.stays) continue;
    owed += share * static_cast<double>(p.size());
    const auto groups = static_cast<int64_t>(owed / static_cast<double>(p.row_size()) / kGroup);
    p.resident = std::clamp<int64_t>(groups * kGroup, 0, p.rows());
    owed -= static_cast<double>(p.resident) * static_cast<double>(p.row_size());
  }
  return true;
}

// Shares out streamed rows among disks. What rounding gives one of them too much is made good at the next matrix.
class DiskShares {
 public:
  explicit DiskShares(std::span<const double> rates) : owed_(rates.size()), rates_(rates.begin(), rates.end()) {
    const double sum = std::accumulate(rates.begin(), rates.end(), 0.0);
    for (double& r : rates_) r = sum > 0 ? r / sum : 1.0 / static_cast<double>(rates_.size());
  }

  void add(std::vector<RowRange>& ranges, int64_t begin, int64_t end) {
    const auto rows = static_cast<double>(end - begin);
    for (size_t d = 0; d < owed_.size() && begin < end; ++d) {
      owed_[d] += rows * rates_[d];
      const auto wanted = static_cast<int64_t>(owed_[d] / kGroup + 0.5) * kGroup;
      const int64_t n = d + 1 == owed_.size() ? end - begin : std::clamp<int64_t>(wanted, 0, end - begin);
      owed_[d] -= static_cast<double>(n);
      if (n > 0) ranges.push_back({begin, begin + n, Tier::disk, static_cast<uint8_t>(d)});
      begin += n;
    }
  }

 private:
  std::vector<double> owed_, rates_;
};

// Leaves what RAM has no room for on the disks. False when what must stay does not fit.
bool spill(const model::ModelOutline& o, const PlaceLimits& limits, const Rows& rows, Placement& out) {
  uint64_t fixed = 0;
  for (const OutlineTensor& t : o.tensors)
    if (t.rank < 2 && t.read != OutlineTensor::Read::never) fixed += vector_bytes(t);
  uint64_t room = limits.ram_bytes - std::min(fixed, limits.ram_bytes);

  DiskShares disks(limits.disk_rates);
  for (const OutlineTensor& t : o.tensors)
    if (t.read == OutlineTensor::Read::gathered) disks.add(out.tensors[t.name], 0, t.rows);
  std::vector<Part> dense = parts_of(o, rows, false), experts = parts_of(o, rows, true);
  uint64_t dense_bytes = 0;
  for (const Part& p : dense) dense_bytes += p.size();
  const auto name = [&](const std::vector<Part>& parts) {
    for (const Part& p : parts)
      for (const bool twin : {false, true}) {
        const OutlineTensor* t = twin ? p.twin : p.tensor;
        if (!t) continue;
        const int64_t begin = twin ? p.twin_begin : p.begin, until = begin + p.resident;
        auto& ranges = out.tensors[t->name];
        if (p.resident > 0) ranges.push_back({begin, until, Tier::ram});
        disks.add(ranges, until, begin + p.rows());
      }
  };
  if (keep_share(experts, room - std::min(dense_bytes, room))) name(experts);
  if (keep_share(dense, room)) name(dense);
  return fixed <= limits.ram_bytes;
}

}  // namespace

PlacedOutline place_outline(const model::ModelOutline& o, const PlaceLimits& limits) {
  PlacedOutline out;
  Rows rows{std::vector<int64_t>(o.tensors.size(), 0)};
  if (limits.vram_bytes > 0) fill_card(o, limits, rows, out);
  auto& placed = out.placement.tensors;
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    if (t.read == OutlineTensor::Read::never) continue;
    out.vram_bytes += static_cast<uint64_t>(rows.vram[i]) * t.row_bytes();
    if (t.rank < 2 && rows.vram[i] == 0)
      out.ram_bytes += vector_bytes(t);
    else
      out.ram_bytes += static_cast<uint64_t>(t.rows - rows.vram[i]) * t.row_bytes();
  }
  if (out.ram_bytes > limits.ram_bytes) {
    if (limits.disk_rates.empty())
      out.fits = false;
    else
      out.fits = spill(o, limits, rows, out.placement);
  }
  // A tensor's ranges ascend, those on the card first; what lies whole in RAM is not named.
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    const auto at = placed.find(t.name);
    if (rows.vram[i] > 0) {
      auto& ranges = at == placed.end() ? placed[t.name] : at->second;
      if (ranges.empty() && rows.vram[i] < t.rows) ranges.push_back({rows.vram[i], t.rows, Tier::ram});
      ranges.push_back({0, rows.vram[i], Tier::vram});
    } else if (at == placed.end()) {
      continue;
    }
    auto& ranges = placed[t.name];
    std::sort(ranges.begin(), ranges.end(), [](const RowRange& a, const RowRange& b) { return a.begin < b.begin; });
    if (std::all_of(ranges.begin(), ranges.end(), [](const RowRange& r) { return r.tier == Tier::ram; })) {
      placed.erase(t.name);
      continue;
    }
    for (const RowRange& r : ranges)
      if (r.tier == Tier::disk) out.disk_bytes += static_cast<uint64_t>(r.end - r.begin) * t.row_bytes();
  }
  out.ram_bytes -= out.disk_bytes;
  return out;
}

}  // namespace watra::engine
