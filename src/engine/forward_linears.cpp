// The products of a pass: what lies in RAM is shared among the team, what is streamed from disk is computed as it
// comes.
#include <cstring>

#include "engine/internal/forward_impl.h"
#include "tensor/interleave.h"

namespace watra::engine {

using internal::ActFormat;
using internal::Chunk;
using internal::Linear;
using internal::Step;
using model::Act;

namespace {

// Kernels read raw rows as fast as the memory gives them, but put them in order anew for every so many tokens: where
// there are more, it is done once.
constexpr int64_t kRawRows = 256;

// With more tokens arithmetic takes longer than memory, and nobody waits for weights.
constexpr int64_t kFewRows = 16;
// What a member fetches at most before its products begin: some microseconds of reading, a small part of the
// second-level cache.
constexpr int64_t kAheadBytes = 64 << 10;
// Behind so many other bytes, what was fetched is no longer looked for in that cache.
constexpr int64_t kKeptBytes = 256 << 10;

// Raw rows into the view's interleaved layout, where they lie. scratch: one group.
void interleave_in_place(const tensor::TensorView& view, std::byte* rows, std::byte* scratch) {
  const uint64_t row = view.row_size_bytes(), group = row * static_cast<uint64_t>(tensor::kInterleavedRows);
  for (int64_t n = view.shape.rows() / tensor::kInterleavedRows; n > 0; --n, rows += group) {
    tensor::interleave_group(view.dtype, rows, row, view.shape.cols(), scratch);
    std::memcpy(rows, scratch, group);
  }
}

}  // namespace

// y[:, first_row + r] for rows `range` of a part of the matrix that begins at first_row.
void Forward::Impl::run_product(const Step& s, const Linear& l, const tensor::TensorView& rows, int64_t first_row,
                                RowRange range, int64_t n_rows, int64_t in_first, std::byte* my_scratch) {
  const bool plain = l.format == ActFormat::f32;
  const kernels::MatmulArgs args{
      .w = rows,
      .x = plain ? reinterpret_cast<const std::byte*>(row(l.in, l.in == Act::h ? in_first : 0))
                 : converted[static_cast<int>(l.format)].data(),
      .x_stride_bytes = act_stride[static_cast<int>(l.in)] * static_cast<int64_t>(sizeof(float)),
      .m = n_rows,
      .y = act[static_cast<int>(l.out)] + first_row,
      .y_stride = act_stride[static_cast<int>(l.out)],
      .x_format = l.format,
      .next_row_end = range.next_end,
      .is_fetched = range.is_fetched,
      .fetch = fetch.of(s.layer),
  };
  k->matmul(args, range.begin, range.end, my_scratch);
  if (!l.weight->bias) return;
  const int64_t from = first_row + range.begin;
  for (int64_t i = 0; i < n_rows; ++i) k->add(row(l.out, i) + from, l.weight->bias + from, range.end - range.begin);
}

void Forward::Impl::finish_glu(const Step& s, int64_t begin, int64_t end, int64_t n_rows) {
  for (int64_t i = 0; i < n_rows; ++i) {
    float* gate = row(s.linears[0].out, i) + begin;
    k->glu(s.glu, gate, row(s.linears[1].out, i) + begin, gate, end - begin);
  }
}

// Computes a piece of what arrived from disk. False when there is none: not yet, or, having waited, none at all.
bool Forward::Impl::run_streamed(const Step& s, bool wait, int64_t n_rows, int64_t in_first, std::byte* my_scratch) {
  WeightStream::Piece piece;
  if (stream->take(s.units, wait, piece) != WeightStream::Took::piece) return false;
  const int64_t n = piece.row_end - piece.row_begin, at = piece.unit->parts[0].row_begin + piece.row_begin;
  for (int32_t p = 0; p < piece.unit->n_parts; ++p) {
    const Linear& l = s.linears[static_cast<size_t>(piece.unit->parts[static_cast<size_t>(p)].linear)];
    const tensor::TensorView& whole = l.weight->matrix;
    const bool interleaves = n_rows > kRawRows && whole.layout == tensor::Layout::interleaved_16;
    const tensor::TensorView rows{whole.dtype,
                                  interleaves ? tensor::Layout::interleaved_16 : tensor::Layout::rows,
                                  {n, whole.shape.cols()},
                                  piece.bytes[static_cast<size_t>(p)]};
    if (interleaves) interleave_in_place(rows, piece.bytes[static_cast<size_t>(p)], my_scratch);
    run_product(s, l, rows, at, {0, n, n}, n_rows, in_first, my_scratch);
  }
  if (s.finish_with_glu) finish_glu(s, at, at + n, n_rows);
  stream->give_back(piece);
  return true;
}

void Forward::Impl::look_ahead(const Step* products, Member& me, int64_t n_rows) const {
  if (products == me.ahead_of) return;
  me.ahead_of = products;
  for (int i = 0; i < 2; ++i) {
    me.fetched[i] = me.ahead[i].at >= me.ahead[i].end ? me.ahead[i].begin : nullptr;
    me.ahead[i] = {};
  }
  if (!products || n_rows > kFewRows) return;
  const auto n = static_cast<int64_t>(products->chunks.size());
  const internal::WorkRange mine = internal::WorkRanges::own(n, me.rank, team->n_running());
  if (mine.is_empty()) return;
  const Chunk& first = products->chunks[static_cast<size_t>(mine.begin)];
  const Chunk& last = products->chunks[static_cast<size_t>(std::min(mine.end, first.part_end) - 1)];
  const size_t n_streams = products->finish_with_glu ? 2 : 1;
  for (size_t i = 0; i < n_streams; ++i) {
    const Linear& l = products->linears[products->finish_with_glu ? i : static_cast<size_t>(first.linear)];
    const tensor::TensorView& w = l.weight->resident[static_cast<size_t>(first.part)].matrix;
    const auto row_bytes = static_cast<int64_t>(w.row_size_bytes());
    const std::byte* begin = w.data + first.row_begin * row_bytes;
    const int64_t n_bytes =
        std::min<int64_t>((last.row_end - first.row_begin) * row_bytes, kAheadBytes / static_cast<int64_t>(n_streams));
    me.ahead[i] = {begin, begin, begin + n_bytes};
  }
}

// What has arrived from disk comes first, because it makes room for the next reads; then what lies in RAM, while the
// disk works; in the end there is nothing but to wait.
void Forward::Impl::run_linears(const Step& s, Member& me, int64_t n_rows, int64_t in_first) {
  std::byte* my_scratch = scratch.data() + me.rank * scratch_stride;
  const bool streams = s.units.size() > 0;
  const auto arrived = [&](bool wait) {
    while (streams && run_streamed(s, wait, n_rows, in_first, my_scratch)) {
    }
  };
  const auto row_end = [&](int64_t chunk_end) { return s.chunks[static_cast<size_t>(chunk_end - 1)].row_end; };
  const auto compute = [&](const Chunk& first, int64_t end, int64_t own_end) {
    RowRange rows{first.row_begin, row_end(end), row_end(std::min(own_end, first.part_end))};
    // What continues this member's last range was fetched with it, unless the other matrix's share came in between.
    const auto product = [&](const Linear& l, int slot) {
      const ResidentRows& part = l.weight->resident[static_cast<size_t>(first.part)];
      const auto row_bytes = static_cast<int64_t>(part.matrix.row_size_bytes());
      rows.is_fetched = part.matrix.data + rows.begin * row_bytes == me.fetched[slot];
      const bool stays =
          rows.next_end > rows.end && (!s.finish_with_glu || (rows.end - rows.begin) * row_bytes < kKeptBytes);
      me.fetched[slot] = stays ? part.matrix.data + rows.end * row_bytes : nullptr;
      run_product(s, l, part.matrix, part.begin, rows, n_rows, in_first, my_scratch);
      return part.begin;
    };
    const int64_t begin = product(s.linears[static_cast<size_t>(first.linear)], 0);
    if (!s.finish_with_glu) return;
    product(s.linears[1], 1);
    finish_glu(s, begin + rows.begin, begin + rows.end, n_rows);
  };
  arrived(false);
  share_in_order(
      me, static_cast<int64_t>(s.chunks.size()),
      [&](internal::WorkRange r) {
        while (!r.is_empty()) {
          const Chunk& first = s.chunks[static_cast<size_t>(r.begin)];
          const int64_t end = std::min(r.end, first.part_end);
          compute(first, end, r.own_end);
          r.begin = end;
          arrived(false);
        }
      },
      [&] { arrived(true); });
}

}  // namespace watra::engine
