// Attention's part of a pass: keys and values go into the cache, rows are cut into blocks that share the loads of what
// they see, and the team shares blocks, heads and chunks of positions.
#include <algorithm>

#include "base/checked.h"
#include "engine/internal/forward_impl.h"

namespace watra::engine {

using internal::Step;

// Consecutive rows of a sequence share the loads of its keys and values.
void Forward::Impl::cut_blocks(int64_t n_rows) {
  attention_blocks.clear();
  last_position = block_work = total_work = 0;
  int64_t work = 0;
  for (int64_t i = 0; i < n_rows; ++i) {
    const auto& row = attention_rows[static_cast<size_t>(i)];
    if (attention_blocks.empty() || attention_blocks.back().n == block_rows ||
        row.pages != attention_rows[static_cast<size_t>(i - 1)].pages) {
      attention_blocks.push_back({static_cast<int32_t>(i), 0});
      work = 0;
    }
    ++attention_blocks.back().n;
    work += row.position() + 1;
    total_work += row.position() + 1;
    block_work = std::max(block_work, work);
    last_position = std::max(last_position, row.position());
  }
  blocks_are_sequences = attention_blocks.size() == sequences.size();
}

// Of row i: query heads are rotated in place, key heads rotated and stored, value heads stored.
void Forward::Impl::store_rows(const Step& s, int64_t i, int first_head, int n_heads, int first_kv_head,
                               int n_kv_heads) {
  const int d = model->hparams().layers[static_cast<size_t>(s.layer)].d_head;
  const KvPair types = kv.types(s.layer);
  const float* shift = key_shift.of(s.layer);
  for (int h = first_head; h < first_head + n_heads; ++h) run_head(s.query_ops, i, h, row(s.q, i));
  const auto& r = attention_rows[static_cast<size_t>(i)];
  const int64_t slot = slots[static_cast<size_t>(i)];
  std::byte* page = const_cast<std::byte*>(r.pages[slot / kernels::kKvPage]);
  const int32_t place = r.recent ? r.recent[slot / kernels::kKvPage] : 0;
  const RecentRows& recent = kv.recent();
  for (int g = first_kv_head; g < first_kv_head + n_kv_heads; ++g) {
    run_head(s.key_ops, i, g, row(s.k, i));
    if (shift) k->add(row(s.k, i) + g * d, shift + g * d, d);
    k->store_kv(types.k, row(s.k, i) + g * d, page + kv.k_row_offset(s.layer, g, slot), d);
    k->store_kv(types.v, row(s.v, i) + g * d, page + kv.v_row_offset(s.layer, g, slot), d);
    if (kernels::is_quantized(types.k))
      k->store_recent(types.k, row(s.k, i) + g * d, recent.k_row(s.layer, place, g, slot), d);
    if (kernels::is_quantized(types.v))
      k->store_recent(types.v, row(s.v, i) + g * d, recent.v_row(s.layer, place, g, slot), d);
  }
}

kernels::AttentionArgs Forward::Impl::attention_args(const Step& s) const {
  const auto& hp = model->hparams();
  const auto& l = hp.layers[static_cast<size_t>(s.layer)];
  return {
      .n_heads = l.n_heads,
      .n_kv_heads = l.n_kv_heads,
      .d_head = l.d_head,
      .k_type = kv.types(s.layer).k,
      .v_type = kv.types(s.layer).v,
      .k_offset_bytes = kv.k_offset_bytes(s.layer),
      .v_offset_bytes = kv.v_offset_bytes(s.layer),
      .scale = hp.attention_scale,
      .softcap = hp.attention_softcap,
      .window = l.window,
      .q = row(s.q, 0),
      .q_stride = act_stride[static_cast<int>(s.q)],
      .out = row(s.attention_out, 0),
      .out_stride = act_stride[static_cast<int>(s.attention_out)],
      .rows = attention_rows.data(),
      .blocks = attention_blocks.data(),
      .n_chunks = static_cast<int32_t>(last_position / kernels::kAttentionChunk + 1),
      .recent = kv.recent().pages(s.layer),
      .recent_v_offset_bytes = kv.recent().v_offset_bytes(s.layer),
      .partial = partial.as<float>(),
      .partial_row = 0,
  };
}

// Units of a kv head and a block of rows, or, where those are too few or too unequal for the team, of a kv head, a
// block and a chunk of positions. The kernels give the same bits either way.
void Forward::Impl::attend(const Step& s, Member& me, int64_t n_rows) {
  const auto& l = model->hparams().layers[static_cast<size_t>(s.layer)];
  const int n_q = l.n_heads, n_kv = l.n_kv_heads, per_group = n_q / n_kv;
  std::byte* my_scratch = attention_scratch.data() + me.rank * attention_scratch_stride;
  const auto n_blocks = static_cast<int64_t>(attention_blocks.size());
  kernels::AttentionArgs args = attention_args(s);
  const bool whole = args.n_chunks == 1 || 2 * team->size() * block_work <= n_kv * total_work;

  if (whole && blocks_are_sequences) {  // all that a unit reads of this pass is its own
    share(me, n_blocks * n_kv, 1, [&](int64_t b, int64_t e) {
      for (int64_t unit = b; unit < e; ++unit) {
        const auto& block = attention_blocks[static_cast<size_t>(unit / n_kv)];
        const int g = static_cast<int>(unit % n_kv);
        for (int64_t i = block.first; i < block.first + block.n; ++i) store_rows(s, i, g * per_group, per_group, g, 1);
        k->attention_whole(args, unit, unit + 1, my_scratch);
      }
    });
    return;
  }
  share(me, n_rows * n_kv, n_rows == 1 ? 1 : n_kv, [&](int64_t b, int64_t e) {
    for (; b < e; ++b)
      store_rows(s, b / n_kv, static_cast<int>(b % n_kv) * per_group, per_group, static_cast<int>(b % n_kv), 1);
  });
  if (whole) {
    // The last blocks see most and come first.
    const int64_t n_units = n_blocks * n_kv;
    share(me, n_units, 1, [&](int64_t b, int64_t e) {
      for (; b < e; ++b) k->attention_whole(args, n_units - 1 - b, n_units - b, my_scratch);
    });
    return;
  }
  // As many blocks at a time as the partial results have room for: of one there always is.
  const int64_t most_rows = static_cast<int64_t>(partial.size_bytes()) /
                            kernels::attention_partial_floats(1, n_q, l.d_head, args.n_chunks) /
                            static_cast<int64_t>(sizeof(float));
  for (int64_t first = 0, n = 0; first < n_blocks; first += n) {
    int64_t rows = 0;
    for (n = 0; first + n < n_blocks; ++n) {
      const auto& block = attention_blocks[static_cast<size_t>(first + n)];
      if (n > 0 && rows + block.n > most_rows) break;
      rows += block.n;
    }
    args.blocks = attention_blocks.data() + first;
    args.partial_row = args.blocks[0].first;
    share_in_order(
        me, n * n_kv * args.n_chunks,
        [&](const internal::WorkRange& units) { k->attention_partial(args, units.begin, units.end, my_scratch); },
        [] {});
    share(me, rows * n_q, ceil_div<int64_t>(rows * n_q, 4 * team->size()), [&](int64_t b, int64_t e) {
      k->attention_merge(args, args.partial_row * n_q + b, args.partial_row * n_q + e);
    });
  }
}

}  // namespace watra::engine
