// Attention of a block of rows of one sequence, for the heads that share a kv head.
//
//   s[r,p] = scale * q[r] . k[p]  (soft-capped)      out[r] = sum_p exp(s[r,p] - max_r) v[p] / sum_p exp(s[r,p] -
//   max_r)
//
//   a *pair* r is one (row, head); up to kAttentionPairs are worked on together: each tile of keys and of values is
//   turned into floats once for all of them (f16 is read as it lies in the page: turning it in each product costs less
//   than writing floats), then small products (attention_tile.h).
//
// Order: tiles of kKvPage absolute positions left to right, each with its own maximum folded into the running one;
// chunks of kAttentionChunk positions begin anew and are merged left to right. Where a position lies (shared prefix or
// tail slot) and which pairs are worked on together changes nothing: decode, prefill, a chain and a branch of a tree
// give the same bits, and so do attention_whole and attention_partial + attention_merge.
//
// A row sees a quantized key of the first page and of its own as it was computed, all others as they are stored: a
// matter of the two positions alone.
#pragma once

#include "kernels/lanes/attention_tile.h"
#include "kernels/lanes/kv_rows.h"

namespace watra::kernels::WATRA_KERNELS_ISA {

struct Softmax {
  float max = kMinusInfinity, sum = 0.0f;
};

// One thread's working memory: rows of padded(d_head) floats by pair, and a tile.
struct AttentionScratch {
  float *q, *o, *total, *tile, *s;
  static int64_t bytes(int64_t d_head) {
    return (3 * kAttentionPairs + kKvPage) * padded(d_head) * 4 + int64_t{kAttentionPairs} * kKvPage * 4;
  }
  AttentionScratch(std::byte* memory, int64_t d) {
    q = reinterpret_cast<float*>(memory);
    o = q + kAttentionPairs * d;
    total = o + kAttentionPairs * d;
    tile = total + kAttentionPairs * d;
    s = tile + kKvPage * d;
  }
};
inline int64_t attention_scratch_bytes(int64_t d_head) { return AttentionScratch::bytes(d_head); }

// The positions a row sees, [first, last].
struct Visible {
  int64_t first, last;
  bool sees(int64_t begin, int64_t end) const { return first < end && last >= begin; }
};
inline Visible visible(const AttentionArgs& a, const AttentionRow& row) {
  const int64_t last = row.position();
  return {a.window > 0 && last >= a.window ? last - a.window + 1 : 0, last};
}

// How many leading positions of a row lie in the slots of their own number.
inline int64_t plain_positions(const AttentionRow& row) {
  int64_t i = 0;
  while (i < row.n_tail && row.tail[i] == row.n_shared + i) ++i;
  return row.n_shared + i;
}

struct Pair {
  const AttentionRow* row;
  int64_t m, h, plain;
  Visible seen;
  bool is_plain(int64_t tile) const {
    return plain >= (seen.last + 1 < tile + kKvPage ? seen.last + 1 : tile + kKvPage);
  }
  // As it was computed, of tiles it sees.
  bool sees_exact(int64_t tile) const { return row->recent && (tile == 0 || seen.last - tile < kKvPage); }
};

// The pairs of one kv head that are worked on together.
struct Pairs {
  Pairs(const AttentionArgs& a, const AttentionBlock& block, int64_t g, int64_t begin, int64_t end,
        const AttentionScratch& scratch)
      : n(end - begin) {
    const int64_t per_group = a.n_heads / a.n_kv_heads, d = padded(a.d_head);
    for (int64_t i = 0; i < n; ++i) {
      Pair& p = pair[i];
      p.m = block.first + (begin + i) / per_group;
      p.h = g * per_group + (begin + i) % per_group;
      const bool is_new_row = i == 0 || p.m != pair[i - 1].m;
      p.row = a.rows + p.m;
      p.seen = is_new_row ? visible(a, *p.row) : pair[i - 1].seen;
      p.plain = is_new_row ? plain_positions(*p.row) : pair[i - 1].plain;
      first = i == 0 || p.seen.first < first ? p.seen.first : first;
      last = i == 0 || p.seen.last > last ? p.seen.last : last;
      const float* q = a.q + p.m * a.q_stride + p.h * a.d_head;
      float* to = scratch.q + i * d;
      for (int64_t e = 0; e < d; ++e) to[e] = e < a.d_head ? q[e] * a.scale : 0.0f;
      if (a.k_type == KvType::q4_0) hadamard(to, d, hadamard_size(a.d_head));
    }
  }
  int64_t n, first = 0, last = 0;
  Pair pair[kAttentionPairs];
  Softmax softmax[kAttentionPairs];  // of the chunk at hand
};

// Where a layer's keys, or its values, lie in pages.
struct Place {
  KvType type;
  int64_t offset_bytes, row_bytes;
  bool is_exact;
  const std::byte* head(const AttentionArgs& a, const AttentionRow& row, int64_t g, int64_t page) const {
    const std::byte* begin = is_exact ? a.recent[row.recent[page]] : row.pages[page];
    return begin + offset_bytes + g * kKvPage * row_bytes;
  }
};
struct Places {
  Place keys, values;
  // exact: as they were computed.
  Places(const AttentionArgs& a, bool exact)
      : keys(place(a, a.k_type, a.k_offset_bytes, exact, 0)),
        values(place(a, a.v_type, a.v_offset_bytes, exact, a.recent_v_offset_bytes)) {}
  static Place place(const AttentionArgs& a, KvType type, int64_t offset, bool exact, int64_t recent_offset) {
    if (exact && is_quantized(type)) return {KvType::f16, recent_offset, kv_row_bytes(KvType::f16, a.d_head), true};
    return {type, offset, kv_row_bytes(type, a.d_head), false};
  }
};

// Where the rows of a tile lie: one after the other in a page, or each on its own.
struct KvRows {
  KvType type;
  const std::byte* page;
  int64_t stride_bytes;
  const std::byte* const* scattered;
  const std::byte* at(int64_t j) const { return scattered ? scattered[j] : page + j * stride_bytes; }
};

inline void read_rows(const KvRows& rows, int64_t begin, int64_t end, int64_t d_head, float* out) {
  const int64_t d = padded(d_head);
  const auto each = [&](auto read) {
    for (int64_t j = begin; j < end; ++j) read(rows.at(j), out + j * d, d_head);
  };
  switch (rows.type) {
    case KvType::f16:
      return each(read_f16);
    case KvType::f32:
      return each(read_f32);
    case KvType::q8_0:
      return each(read_blocks<tensor::BlockQ8_0>);
    case KvType::q4_0:
      return each(read_blocks<tensor::BlockQ4_0>);
  }
}

// Calls fn.operator()<kRows>(i) for groups of six, four, two and one of n (eight are two fours).
template <class Fn>
void in_groups(int64_t n, Fn&& fn) {
  int64_t i = 0;
  for (; i + 6 <= n && n - i != 8; i += 6) fn.template operator()<6>(i);
  for (; i + 4 <= n; i += 4) fn.template operator()<4>(i);
  if (i + 2 <= n) fn.template operator()<2>(i), i += 2;
  if (i < n) fn.template operator()<1>(i);
}

// What some pairs see of one tile: positions [from, to) within the tile.
struct TileView {
  int64_t n = 0, begin = kKvPage, end = 0;  // of all
  int32_t pair[kAttentionPairs];
  int32_t from[kAttentionPairs], to[kAttentionPairs];
  void add(int64_t i, const Visible& seen, int64_t tile) {
    pair[n] = static_cast<int32_t>(i);
    from[n] = static_cast<int32_t>(seen.first > tile ? seen.first - tile : 0);
    to[n] = static_cast<int32_t>(seen.last + 1 < tile + kKvPage ? seen.last + 1 - tile : kKvPage);
    begin = from[n] < begin ? from[n] : begin;
    end = to[n] > end ? to[n] : end;
    ++n;
  }
};

// fn.operator()<kHalf>(tile) with the rows in a form the products take.
template <class Fn>
void with_tile(const KvRows& rows, const TileView& view, int64_t d_head, float* scratch, Fn&& fn) {
  const int64_t d = padded(d_head);
  const bool as_is = !rows.scattered && d == d_head;
  if (as_is && rows.type == KvType::f16) {
    fn.template operator()<true>(Tile{rows.page, rows.stride_bytes});
  } else if (as_is && rows.type == KvType::f32) {
    fn.template operator()<false>(Tile{rows.page, rows.stride_bytes});
  } else {
    read_rows(rows, view.begin, view.end, d_head, scratch);
    fn.template operator()<false>(Tile{reinterpret_cast<const std::byte*>(scratch), d * 4});
  }
}

// What is fetched while a tile is computed: the next tile's keys during the scores, its values during the values; of a
// tile that nobody fetched for, its own values during the scores as well.
struct TileAhead {
  Ahead own_values, next_keys, next_values;
};

inline void attend_tile(const AttentionArgs& a, Pairs& pairs, const TileView& view, const KvRows& keys,
                        const KvRows& values, const TileAhead& next, const AttentionScratch& scratch) {
  const int64_t d = padded(a.d_head);
  const float* q[kAttentionPairs];
  float* s[kAttentionPairs];
  float* o[kAttentionPairs];
  float correction[kAttentionPairs];
  for (int64_t i = 0; i < view.n; ++i) {
    q[i] = scratch.q + view.pair[i] * d;
    o[i] = scratch.o + view.pair[i] * d;
    s[i] = scratch.s + i * kKvPage;
  }
  with_tile(keys, view, a.d_head, scratch.tile, [&]<bool kHalf>(Tile tile) {
    in_groups(view.n, [&]<int kRows>(int64_t i) {
      int32_t from = view.from[i], to = view.to[i];
      for (int r = 1; r < kRows; ++r) {
        from = view.from[i + r] < from ? view.from[i + r] : from;
        to = view.to[i + r] > to ? view.to[i + r] : to;
      }
      score_rows<kHalf, kRows>(q + i, tile, i == 0 ? next.own_values : Ahead{}, i == 0 ? next.next_keys : Ahead{}, d,
                               from, to, s + i);
    });
  });
  for (int64_t i = 0; i < view.n; ++i) {
    Softmax& x = pairs.softmax[view.pair[i]];
    correction[i] = soften(s[i], view.from[i], view.to[i], a.softcap, x.max, x.sum);
  }
  with_tile(values, view, a.d_head, scratch.tile, [&]<bool kHalf>(Tile tile) {
    const auto alone = [&](int64_t i, int64_t from, int64_t to) {
      if (from >= to) return;
      add_values<kHalf, 1>(s + i, correction + i, tile, {}, d, from, to, o + i);
      correction[i] = 1.0f;  // done
    };
    in_groups(view.n, [&]<int kRows>(int64_t i) {
      int32_t from = view.from[i], to = view.to[i];  // what all of the group see
      for (int r = 1; r < kRows; ++r) {
        from = view.from[i + r] > from ? view.from[i + r] : from;
        to = view.to[i + r] < to ? view.to[i + r] : to;
      }
      if (from >= to) {
        for (int r = 0; r < kRows; ++r) alone(i + r, view.from[i + r], view.to[i + r]);
        return;
      }
      for (int r = 0; r < kRows; ++r) alone(i + r, view.from[i + r], from);
      add_values<kHalf, kRows>(s + i, correction + i, tile, i == 0 ? next.next_values : Ahead{}, d, from, to, o + i);
      for (int r = 0; r < kRows; ++r) {
        correction[i + r] = 1.0f;
        alone(i + r, to, view.to[i + r]);
      }
    });
  });
}

// A row whose positions lie elsewhere (a tree's branch): its pairs [begin, end) by themselves.
inline void attend_scattered_tile(const AttentionArgs& a, Pairs& pairs, int64_t begin, int64_t end, int64_t g,
                                  int64_t tile, const Places& places, const AttentionScratch& scratch) {
  TileView view;
  for (int64_t i = begin; i < end; ++i) view.add(i, pairs.pair[i].seen, tile);
  const AttentionRow& row = *pairs.pair[begin].row;
  const std::byte* keys[kKvPage];
  const std::byte* values[kKvPage];
  for (int64_t j = view.begin; j < view.end; ++j) {
    const int64_t p = tile + j, slot = p < row.n_shared ? p : row.tail[p - row.n_shared];
    keys[j] = places.keys.head(a, row, g, slot / kKvPage) + slot % kKvPage * places.keys.row_bytes;
    values[j] = places.values.head(a, row, g, slot / kKvPage) + slot % kKvPage * places.values.row_bytes;
  }
  attend_tile(a, pairs, view, {places.keys.type, nullptr, 0, keys}, {places.values.type, nullptr, 0, values}, {},
              scratch);
}

// All positions of [begin, end) that the pairs see, into scratch.o and pairs.softmax. follows: the chunk before was
// computed just now; goes_on: the one behind will be.
inline void attend_chunk(const AttentionArgs& a, Pairs& pairs, int64_t g, int64_t begin, int64_t end, bool follows,
                         bool goes_on, const AttentionScratch& scratch) {
  const int64_t d = padded(a.d_head);
  const Places stored(a, false), exact(a, true);
  for (int64_t i = 0; i < pairs.n; ++i) {
    pairs.softmax[i] = {};
    for (int64_t e = 0; e < d; e += 8) store(scratch.o + i * d + e, zero());
  }
  begin = pairs.first > begin ? pairs.first : begin;
  end = pairs.last + 1 < end ? pairs.last + 1 : end;
  for (int64_t tile = begin / kKvPage * kKvPage; tile < end; tile += kKvPage) {
    TileView views[2];  // of those who see it as it is stored, and as it was computed
    bool any_scattered = false;
    for (int64_t i = 0; i < pairs.n; ++i) {
      const Pair& p = pairs.pair[i];
      if (!p.seen.sees(tile, tile + kKvPage)) continue;
      if (p.is_plain(tile))
        views[p.sees_exact(tile)].add(i, p.seen, tile);
      else
        any_scattered = true;
    }
    for (int is_exact = 0; is_exact < 2; ++is_exact) {
      if (views[is_exact].n == 0) continue;
      const Places& places = is_exact ? exact : stored;
      const AttentionRow& row = *pairs.pair[0].row;
      const int64_t page = tile / kKvPage;
      const KvRows keys = {places.keys.type, places.keys.head(a, row, g, page), places.keys.row_bytes, nullptr};
      const KvRows values = {places.values.type, places.values.head(a, row, g, page), places.values.row_bytes, nullptr};
      TileAhead next;
      if (tile <= begin && !follows) next.own_values = {values.page, values.stride_bytes};
      if (tile + kKvPage < end || (goes_on && tile + kKvPage <= pairs.last)) {
        next.next_keys = {stored.keys.head(a, row, g, page + 1), stored.keys.row_bytes};
        next.next_values = {stored.values.head(a, row, g, page + 1), stored.values.row_bytes};
      }
      attend_tile(a, pairs, views[is_exact], keys, values, next, scratch);
    }
    for (int64_t i = 0, next = 0; any_scattered && i < pairs.n; i = next) {
      const Pair& p = pairs.pair[i];
      for (next = i + 1; next < pairs.n && pairs.pair[next].row == p.row;) ++next;
      if (p.seen.sees(tile, tile + kKvPage) && !p.is_plain(tile))
        attend_scattered_tile(a, pairs, i, next, g, tile, p.sees_exact(tile) ? exact : stored, scratch);
    }
  }
}

// Adds the sums of a later chunk to those of the earlier ones.
inline void merge(float* o, Softmax& x, const float* part, Softmax y, int64_t d) {
  const float new_max = y.max > x.max ? y.max : x.max;
  const float before = exp_one(x.max - new_max), now = exp_one(y.max - new_max);
  for (int64_t e = 0; e < d; e += 8) store(o + e, fma(set(now), load(part + e), load(o + e) * set(before)));
  x.sum = x.sum * before + y.sum * now;
  x.max = new_max;
}
// Divides, turns back, and writes d_head floats.
inline void finish(const AttentionArgs& a, float* o, float sum, float* out) {
  const int64_t d = padded(a.d_head);
  const F8 inverse = set(1.0f / sum);
  for (int64_t e = 0; e < d; e += 8) store(o + e, load(o + e) * inverse);
  if (a.v_type == KvType::q4_0) hadamard(o, d, hadamard_size(a.d_head));
  __builtin_memcpy(out, o, static_cast<size_t>(a.d_head) * sizeof(float));
}

// fn(pairs) for the heads of kv head g and the rows of a block, as many at a time as scratch has room for.
template <class Fn>
void for_pairs(const AttentionArgs& a, const AttentionBlock& block, int64_t g, const AttentionScratch& scratch,
               Fn&& fn) {
  const int64_t n = block.n * int64_t{a.n_heads / a.n_kv_heads};
  for (int64_t begin = 0; begin < n; begin += kAttentionPairs) {
    Pairs pairs(a, block, g, begin, begin + kAttentionPairs < n ? begin + kAttentionPairs : n, scratch);
    fn(pairs);
  }
}

inline void attention_whole(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end, std::byte* memory) {
  const int64_t d = padded(a.d_head);
  const AttentionScratch scratch(memory, d);
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t g = unit % a.n_kv_heads;
    for_pairs(a, a.blocks[unit / a.n_kv_heads], g, scratch, [&](Pairs& pairs) {
      Softmax total[kAttentionPairs];
      for (int64_t c = pairs.first / kAttentionChunk; c <= pairs.last / kAttentionChunk; ++c) {
        const int64_t begin = c * kAttentionChunk, end = begin + kAttentionChunk;
        attend_chunk(a, pairs, g, begin, end, c > pairs.first / kAttentionChunk, true, scratch);
        for (int64_t i = 0; i < pairs.n; ++i) {
          const Visible& seen = pairs.pair[i].seen;
          if (!seen.sees(begin, end)) continue;
          if (seen.first >= begin) {  // its first chunk
            __builtin_memcpy(scratch.total + i * d, scratch.o + i * d, static_cast<size_t>(d) * sizeof(float));
            total[i] = pairs.softmax[i];
          } else {
            merge(scratch.total + i * d, total[i], scratch.o + i * d, pairs.softmax[i], d);
          }
        }
      }
      for (int64_t i = 0; i < pairs.n; ++i)
        finish(a, scratch.total + i * d, total[i].sum,
               a.out + pairs.pair[i].m * a.out_stride + pairs.pair[i].h * a.d_head);
    });
  }
}

inline void attention_partial(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end, std::byte* memory) {
  const int64_t d = padded(a.d_head), width = attention_partial_width(a.d_head);
  const AttentionScratch scratch(memory, d);
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t c = unit % a.n_chunks, g = unit / a.n_chunks % a.n_kv_heads;
    const int64_t begin = c * kAttentionChunk, end = begin + kAttentionChunk;
    for_pairs(a, a.blocks[unit / a.n_chunks / a.n_kv_heads], g, scratch, [&](Pairs& pairs) {
      if (pairs.first >= end || pairs.last < begin) return;
      // Units of one kv head follow each other.
      attend_chunk(a, pairs, g, begin, end, unit > unit_begin && c > 0 && pairs.first < begin,
                   unit + 1 < unit_end && c + 1 < a.n_chunks, scratch);
      for (int64_t i = 0; i < pairs.n; ++i) {
        const Pair& p = pairs.pair[i];
        if (!p.seen.sees(begin, end)) continue;
        float* to = a.partial + (((p.m - a.partial_row) * a.n_heads + p.h) * a.n_chunks + c) * width;
        __builtin_memcpy(to, scratch.o + i * d, static_cast<size_t>(d) * sizeof(float));
        to[d] = pairs.softmax[i].max;
        to[d + 1] = pairs.softmax[i].sum;
      }
    });
  }
}

inline void attention_merge(const AttentionArgs& a, int64_t unit_begin, int64_t unit_end) {
  const int64_t d = padded(a.d_head), width = attention_partial_width(a.d_head);
  for (int64_t unit = unit_begin; unit < unit_end; ++unit) {
    const int64_t h = unit % a.n_heads, m = unit / a.n_heads;
    const Visible seen = visible(a, a.rows[m]);
    const int64_t first = seen.first / kAttentionChunk, last = seen.last / kAttentionChunk;
    float* total = a.partial + ((unit - a.partial_row * a.n_heads) * a.n_chunks + first) * width;  // summed up in place
    Softmax x{total[d], total[d + 1]};
    for (int64_t c = first + 1; c <= last; ++c) {
      const float* part = total + (c - first) * width;
      merge(total, x, part, {part[d], part[d + 1]}, d);
    }
    finish(a, total, x.sum, a.out + m * a.out_stride + h * a.d_head);
  }
}

}  // namespace watra::kernels::WATRA_KERNELS_ISA
