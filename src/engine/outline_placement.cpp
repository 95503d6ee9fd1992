#include "engine/outline_placement.h"

#include <algorithm>
#include <numeric>

#include "tensor/interleave.h"

namespace watra::engine {
namespace {

using model::OutlineTensor;

// Ranges begin at multiples of the rows that kernels read interleaved.
constexpr int64_t kGroup = tensor::kInterleavedRows;
// Matrices below this stay in RAM: a read of their share would be shorter than the disk likes.
constexpr uint64_t kSmallBytes = 1u << 20;

bool may_stream(const OutlineTensor& t) { return t.rank >= 2 && t.bytes() >= kSmallBytes && t.rows >= 4 * kGroup; }

// How many rows of each tensor lie on the card (the first ones) and on the disk (the last ones).
struct Rows {
  std::vector<int64_t> vram, disk;
};

int64_t whole_groups(double rows, int64_t most) {
  return std::clamp(static_cast<int64_t>(rows) / kGroup * kGroup, int64_t{0}, most);
}

void fill_card(const model::ModelOutline& o, const PlaceLimits& limits, Rows& rows, PlacedOutline& out) {
  uint64_t left = limits.vram_bytes;
  std::vector<std::vector<size_t>> dense(static_cast<size_t>(o.n_layers)), experts(static_cast<size_t>(o.n_layers));
  std::vector<size_t> output;
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    if (t.read == OutlineTensor::Read::gathered || t.name.starts_with("rope_")) continue;
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
    for (size_t i : unit) matrices += may_stream(o.tensors[i]) ? o.tensors[i].bytes() : 0;
    if (matrices == 0) return;
    const double share = std::min(1.0, static_cast<double>(left) / static_cast<double>(matrices));
    for (size_t i : unit)
      if (const OutlineTensor& t = o.tensors[i]; may_stream(t)) {
        rows.vram[i] = whole_groups(share * static_cast<double>(t.rows), t.rows);
        left -= std::min(left, static_cast<uint64_t>(rows.vram[i]) * t.row_bytes());
      }
  };
  bool all_dense = true;
  for (const auto& unit : dense) {
    if (bytes_of(unit) + limits.kv_bytes_per_layer > left) {
      take_share(unit);
      all_dense = false;
      break;
    }
    take(unit);
    left -= limits.kv_bytes_per_layer;
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

// Leaves at least `excess` bytes on the disk; false when there are not so many that may stream.
bool spill(const model::ModelOutline& o, uint64_t excess, Rows& rows) {
  uint64_t spilled = 0;
  const auto leave = [&](size_t i, int64_t n) {
    rows.disk[i] = n;
    spilled += static_cast<uint64_t>(n) * o.tensors[i].row_bytes();
  };
  for (size_t i = 0; i < o.tensors.size() && spilled < excess; ++i)
    if (o.tensors[i].read == OutlineTensor::Read::gathered && may_stream(o.tensors[i])) leave(i, o.tensors[i].rows);
  // Experts before dense matrices: a token reads few of them.
  for (const bool experts : {true, false}) {
    uint64_t candidates = 0;
    const auto is_candidate = [&](size_t i) {
      const OutlineTensor& t = o.tensors[i];
      return t.read != OutlineTensor::Read::gathered && may_stream(t) && t.layer >= 0 &&
             (t.read == OutlineTensor::Read::experts) == experts;
    };
    for (size_t i = 0; i < o.tensors.size(); ++i)
      if (is_candidate(i))
        candidates += static_cast<uint64_t>(o.tensors[i].rows - rows.vram[i]) * o.tensors[i].row_bytes();
    if (candidates == 0 || spilled >= excess) continue;
    const uint64_t wanted = excess - spilled;
    const double share = std::min(1.0, static_cast<double>(wanted) / static_cast<double>(candidates));
    // What rounding to groups takes from one matrix the next one gives.
    double owed = 0;
    for (size_t i = 0; i < o.tensors.size(); ++i) {
      if (!is_candidate(i)) continue;
      const OutlineTensor& t = o.tensors[i];
      const int64_t here = t.rows - rows.vram[i];
      owed += share * static_cast<double>(here) * static_cast<double>(t.row_bytes());
      const double n = owed / static_cast<double>(t.row_bytes());
      const int64_t n_rows = std::min(here, static_cast<int64_t>(n / kGroup + 0.999) * kGroup);
      leave(i, n_rows);
      owed -= static_cast<double>(n_rows) * static_cast<double>(t.row_bytes());
    }
  }
  if (spilled < excess)  // the output matrix last: it is needed between two tokens, when nothing else can be computed
    for (size_t i = 0; i < o.tensors.size() && spilled < excess; ++i)
      if (const OutlineTensor& t = o.tensors[i];
          t.layer < 0 && t.read == OutlineTensor::Read::whole && may_stream(t) && rows.disk[i] == 0) {
        const double need = static_cast<double>(excess - spilled) / static_cast<double>(t.row_bytes());
        leave(i, std::min(t.rows - rows.vram[i], (static_cast<int64_t>(need) / kGroup + 1) * kGroup));
      }
  return spilled >= excess;
}

void add_disk_ranges(std::vector<RowRange>& ranges, int64_t begin, int64_t end, std::span<const double> rates) {
  const double all = std::accumulate(rates.begin(), rates.end(), 0.0);
  double before = 0;
  int64_t at = begin;
  for (size_t d = 0; d < rates.size(); ++d) {
    before += rates[d];
    const int64_t until =
        d + 1 == rates.size()
            ? end
            : std::max(at, begin + whole_groups(before / all * static_cast<double>(end - begin), end - begin));
    if (until > at) ranges.push_back({at, until, Tier::disk, static_cast<uint8_t>(d)});
    at = until;
  }
}

}  // namespace

PlacedOutline place_outline(const model::ModelOutline& o, const PlaceLimits& limits) {
  PlacedOutline out;
  Rows rows{std::vector<int64_t>(o.tensors.size(), 0), std::vector<int64_t>(o.tensors.size(), 0)};
  if (limits.vram_bytes > 0) fill_card(o, limits, rows, out);
  uint64_t in_ram = 0;
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    out.vram_bytes += static_cast<uint64_t>(rows.vram[i]) * t.row_bytes();
    in_ram += static_cast<uint64_t>(t.rows - rows.vram[i]) * t.row_bytes();
  }
  if (in_ram > limits.ram_bytes) {
    if (limits.disk_rates.empty())
      out.fits = false;
    else
      out.fits = spill(o, in_ram - limits.ram_bytes, rows);
  }
  for (size_t i = 0; i < o.tensors.size(); ++i) {
    const OutlineTensor& t = o.tensors[i];
    const int64_t on_card = rows.vram[i], from_disk = t.rows - rows.disk[i];
    const uint64_t disk_bytes = static_cast<uint64_t>(rows.disk[i]) * t.row_bytes();
    in_ram -= disk_bytes;
    out.disk_bytes += disk_bytes;
    if (on_card == 0 && rows.disk[i] == 0) continue;
    auto& ranges = out.placement.tensors[t.name];
    if (on_card > 0) ranges.push_back({0, on_card, Tier::vram});
    if (from_disk > on_card) ranges.push_back({on_card, from_disk, Tier::ram});
    if (t.rows > from_disk) add_disk_ranges(ranges, from_disk, t.rows, limits.disk_rates);
  }
  out.ram_bytes = in_ram;
  return out;
}

Placement place_within(const model::ModelOutline& outline, uint64_t ram_bytes, std::span<const double> disk_rates) {
  return place_outline(outline, {.ram_bytes = ram_bytes, .disk_rates = disk_rates}).placement;
}

}  // namespace watra::engine
