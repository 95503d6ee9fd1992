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

// Raw rows into the view's interleaved layout, where they lie. scratch: one group.
void interleave_in_place(const tensor::TensorView& view, std::byte* rows, std::byte* scratch) {
  const uint64_t row = view.row_size_bytes(), group = row * static_cast<uint64_t>(tensor::kInterleavedRows);
  for (int64_t n = view.shape.rows() / tensor::kInterleavedRows; n > 0; --n, rows += group) {
    tensor::interleave_group(view.dtype, rows, row, view.shape.cols(), scratch);
    std::memcpy(rows, scratch, group);
  }
}

}  // namespace

// y[:, first_row + r] for rows [begin, end) of a part of the matrix that begins at first_row.
void Forward::Impl::run_product(const Linear& l, const tensor::TensorView& rows, int64_t first_row, int64_t begin,
                                int64_t end, int64_t n_rows, int64_t in_first, std::byte* my_scratch) {
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
  };
  k->matmul(args, begin, end, my_scratch);
  if (!l.weight->bias) return;
  for (int64_t i = 0; i < n_rows; ++i)
    k->add(row(l.out, i) + first_row + begin, l.weight->bias + first_row + begin, end - begin);
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
    run_product(l, rows, at, 0, n, n_rows, in_first, my_scratch);
  }
  if (s.finish_with_glu) finish_glu(s, at, at + n, n_rows);
  stream->give_back(piece);
  return true;
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
  arrived(false);
  share(
      me, static_cast<int64_t>(s.chunks.size()), 1,
      [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
          const Chunk& c = s.chunks[static_cast<size_t>(b)];
          const auto product = [&](const Linear& l) {
            const ResidentRows& part = l.weight->resident[static_cast<size_t>(c.part)];
            run_product(l, part.matrix, part.begin, c.row_begin, c.row_end, n_rows, in_first, my_scratch);
            return part.begin;
          };
          const int64_t first = product(s.linears[static_cast<size_t>(c.linear)]);
          if (s.finish_with_glu) {
            product(s.linears[1]);
            finish_glu(s, first + c.row_begin, first + c.row_end, n_rows);
          }
          arrived(false);
        }
      },
      [&] { arrived(true); });
}

}  // namespace watra::engine
