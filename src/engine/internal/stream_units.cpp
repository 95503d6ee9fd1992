#include "engine/internal/stream_units.h"

#include <algorithm>
#include <utility>

namespace watra::engine::internal {
namespace {

struct Placed {
  StreamUnit unit;
  double turn;  // where in the step: 0 = first, 1 = last
};

StreamPart part_of(const StreamedRows& rows, int32_t linear, uint64_t row_bytes, int64_t begin, int64_t end) {
  return {.linear = linear,
          .row_begin = begin,
          .file = rows.file,
          .offset = rows.offset + static_cast<uint64_t>(begin - rows.begin) * row_bytes,
          .n_bytes = static_cast<uint64_t>(end - begin) * row_bytes};
}

// `twin`: finished together with the first linear, which has the same ranges.
void cut(const Step& step, size_t linear, const LoadedWeight* twin, uint64_t unit_bytes,
         std::vector<std::vector<StreamUnit>>& by_disk) {
  const LoadedWeight& w = *step.linears[linear].weight;
  for (size_t i = 0; i < w.streamed.size(); ++i) {
    const StreamedRows& rows = w.streamed[i];
    const uint64_t row_bytes = w.matrix.row_size_bytes(), twin_bytes = twin ? twin->matrix.row_size_bytes() : 0;
    const auto most =
        std::max<int64_t>(static_cast<int64_t>(unit_bytes / (row_bytes + twin_bytes)) / kernels::kRowGroup, 1);
    const int64_t groups = (rows.end - rows.begin + kernels::kRowGroup - 1) / kernels::kRowGroup;
    const int64_t n_units = (groups + most - 1) / most,
                  step_rows = (groups + n_units - 1) / n_units * kernels::kRowGroup;
    if (by_disk.size() <= rows.disk) by_disk.resize(rows.disk + size_t{1});
    for (int64_t b = rows.begin; b < rows.end; b += step_rows) {
      const int64_t e = std::min(b + step_rows, rows.end);
      StreamUnit u{.rows = e - b, .n_parts = twin ? 2 : 1, .parts = {}};
      u.parts[0] = part_of(rows, static_cast<int32_t>(linear), row_bytes, b, e);
      if (twin) u.parts[1] = part_of(twin->streamed[i], static_cast<int32_t>(linear) + 1, twin_bytes, b, e);
      by_disk[rows.disk].push_back(u);
    }
  }
}

void order_step(Step& step, StreamOrder& order, uint64_t unit_bytes) {
  step.units.begin = step.units.end = static_cast<int64_t>(order.size());
  if (step.kind != Step::Kind::linears) return;
  std::vector<std::vector<StreamUnit>> by_disk;
  if (step.finish_with_glu)
    cut(step, 0, step.linears[1].weight, unit_bytes, by_disk);
  else
    for (size_t l = 0; l < step.linears.size(); ++l) cut(step, l, nullptr, unit_bytes, by_disk);
  std::vector<Placed> placed;
  for (const auto& units : by_disk)
    for (size_t i = 0; i < units.size(); ++i)
      placed.push_back({units[i], (static_cast<double>(i) + 0.5) / static_cast<double>(units.size())});
  std::ranges::stable_sort(placed, {}, &Placed::turn);
  for (const Placed& p : placed) order.push_back(p.unit);
  step.units.end = static_cast<int64_t>(order.size());
}

bool same_range(const StreamedRows& a, const StreamedRows& b) {
  return a.begin == b.begin && a.end == b.end && a.disk == b.disk;
}

}  // namespace

bool are_placed_alike(const LoadedWeight& a, const LoadedWeight& b) {
  return std::ranges::equal(a.streamed, b.streamed, same_range) &&
         std::ranges::equal(a.resident, b.resident, [](const ResidentRows& x, const ResidentRows& y) {
           return x.begin == y.begin && x.end() == y.end();
         });
}

void order_units(CompiledGraph& graph, uint64_t unit_bytes) {
  size_t layer = 0;
  for (size_t i = 0; i < graph.layers.size(); ++i) {
    for (; layer < graph.first_step.size() && graph.first_step[layer] == i; ++layer)
      graph.first_unit.push_back(static_cast<int64_t>(graph.stream_order.size()));
    order_step(graph.layers[i], graph.stream_order, unit_bytes);
  }
  for (; layer < graph.first_step.size(); ++layer)
    graph.first_unit.push_back(static_cast<int64_t>(graph.stream_order.size()));
  for (Step& s : graph.logits) order_step(s, graph.stream_order, unit_bytes);
  graph.first_unit.push_back(static_cast<int64_t>(graph.stream_order.size()));
}

}  // namespace watra::engine::internal
