// What a pass begins with: the batch is checked; each row learns its slot in the cache, its position, and which earlier
// rows it sees; its embedding and the rotations of its position are made.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/internal/forward_impl.h"
#include "tensor/interleave.h"
#include "tensor/quantize.h"

namespace watra::engine {

using internal::RowOp;
using model::Act;
using model::Role;

// Checks the batch and finds each row's slot, position and ancestors.
Status Forward::Impl::prepare(const Batch& b) {
  const auto n = static_cast<int64_t>(b.rows.size());
  const bool is_encoder = model->hparams().is_encoder;
  const bool learned = weights->global(Role::position_embd).vector != nullptr;
  const int64_t n_positions = learned ? model->hparams().n_ctx_train : 0;  // 0 = any
  const auto bad = [](std::string message) { return fail("forward.bad_batch", std::move(message)); };
  if (n == 0 || n > options.max_rows) return bad(fmt::format("a pass takes 1..{} rows, {} given", options.max_rows, n));
  sequences.clear();
  out_rows.clear();
  tails.clear();
  n_logits = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Row& r = b.rows[static_cast<size_t>(i)];
    if (!kv.has(r.sequence)) return bad(fmt::format("row {} names sequence {}, which does not exist", i, r.sequence));
    if (!r.embedding && (r.token < 0 || r.token >= model->hparams().n_vocab))
      return bad(
          fmt::format("row {} has token {}, the vocabulary has 0..{}", i, r.token, model->hparams().n_vocab - 1));
    auto s =
        std::find_if(sequences.begin(), sequences.end(), [&](const SequenceRows& x) { return x.id == r.sequence; });
    if (s == sequences.end())
      s = sequences.insert(s, {r.sequence, kv.length(r.sequence), b.first_slot, b.first_slot == 0});
    slots[static_cast<size_t>(i)] = static_cast<int32_t>(s->base) + s->n_rows++;
    if (is_encoder && (s->base > 0 || b.first_slot > 0 || r.parent != kChain || r.wants_logits))
      return bad(fmt::format("row {}: an encoder reads a sequence as one chain in one pass, and has no logits", i));
    if (r.parent != kChain) {
      s->is_chain = false;
      if (r.parent >= i || (r.parent >= 0 && b.rows[static_cast<size_t>(r.parent)].sequence != r.sequence) ||
          r.parent < kFromCache)
        return bad(fmt::format("row {} continues row {}, which is not an earlier row of its sequence", i, r.parent));
    }
    for (const int32_t offset : r.above)
      if (r.parent != kFromCache || offset < 0 || offset >= b.first_slot)
        return bad(
            fmt::format("row {} has an ancestor at offset {}, earlier passes hold 0..{}", i, offset, b.first_slot - 1));
  }
  for (const auto& s : sequences) {
    if (!s.is_chain && kv.recent().needed() && s.base % kernels::kKvPage + s.n_rows > 2 * kernels::kKvPage)
      return bad(fmt::format("a tree of {} rows fills more than two pages of a quantized cache", s.n_rows));
    WATRA_TRY(kv.reserve(s.id, s.n_rows));
  }
  kv.begin_pass();
  for (const auto& s : sequences) kv.open_recent(s.id, s.n_rows);

  // Chains: all earlier rows lie at slot = position. Trees: the path is listed. An encoder's rows see all of their
  // sequence: what its last row sees.
  for (int64_t i = 0; i < n; ++i) {
    const Row& r = b.rows[static_cast<size_t>(i)];
    const auto s =
        std::find_if(sequences.begin(), sequences.end(), [&](const SequenceRows& x) { return x.id == r.sequence; });
    kernels::AttentionRow& a = attention_rows[static_cast<size_t>(i)];
    const int32_t slot = slots[static_cast<size_t>(i)], last = is_encoder ? s->n_rows - 1 : slot;
    a.pages = kv.page_table(r.sequence);
    a.recent = kv.recent_places(r.sequence);
    tail_begin[static_cast<size_t>(i)] = static_cast<int32_t>(tails.size());
    if (s->is_chain) {
      a.n_shared = last;
      a.n_tail = 1;
    } else {
      int64_t parent = r.parent;
      if (parent == kChain) {
        parent = kFromCache;
        for (int64_t j = i - 1; j >= 0 && parent < 0; --j)
          if (b.rows[static_cast<size_t>(j)].sequence == r.sequence) parent = j;
      }
      a.n_shared = s->base;
      if (parent >= 0) {
        const auto& up = attention_rows[static_cast<size_t>(parent)];
        a.n_tail = up.n_tail + 1;
        for (int32_t t = 0; t < up.n_tail; ++t)
          tails.push_back(tails[static_cast<size_t>(tail_begin[static_cast<size_t>(parent)] + t)]);
      } else {
        a.n_tail = static_cast<int32_t>(r.above.size()) + 1;
        for (const int32_t offset : r.above) tails.push_back(static_cast<int32_t>(s->base) + offset);
      }
    }
    tails.push_back(last);
    int64_t& position = positions[static_cast<size_t>(i)];
    position = r.position[0] >= 0 ? r.position[0] : is_encoder ? slot : a.position();
    if (n_positions > 0 && position >= n_positions)
      return bad(fmt::format("row {} has position {}, the model knows 0..{}", i, position, n_positions - 1));
    if (r.wants_logits) out_rows.push_back(static_cast<int32_t>(i)), ++n_logits;
  }
  for (int64_t i = 0; i < n; ++i) {
    attention_rows[static_cast<size_t>(i)].tail = tails.data() + tail_begin[static_cast<size_t>(i)];
    const Row& r = b.rows[static_cast<size_t>(i)];
    if (r.wants_hidden && !r.wants_logits) out_rows.push_back(static_cast<int32_t>(i));
  }
  if (n_logits > options.max_logit_rows)
    return bad(fmt::format("{} rows want logits, {} are possible in a pass", n_logits, options.max_logit_rows));
  cut_blocks(n);
  batch = &b;
  return {};
}

void Forward::Impl::embed_token(const std::byte* packed, float* x) const {
  const auto& hp = model->hparams();
  tensor::dequantize_row(weights->global(Role::token_embd).matrix.dtype, packed, x, hp.d_model);
  if (hp.embedding_scale != 1.0f) k->scale(x, hp.embedding_scale, hp.d_model);
}

// Those of the pass's tokens that lie on disk.
Status Forward::Impl::read_embeddings() {
  if (!row_reader || pass.first_layer > 0) return {};
  read_rows.clear();
  const LoadedWeight& table = weights->global(Role::token_embd);
  for (int64_t i = 0; i < static_cast<int64_t>(batch->rows.size()); ++i) {
    const Row& r = batch->rows[static_cast<size_t>(i)];
    if (!r.embedding && internal::streamed_range(table, r.token)) read_rows.push_back({r.token, i});
  }
  return row_reader->read(read_rows,
                          [this](int64_t i, const std::byte* packed) { embed_token(packed, row(Act::x, i)); });
}

void Forward::Impl::embed_row(int64_t i, std::byte* my_scratch) {
  const auto& hp = model->hparams();
  const Row& r = batch->rows[static_cast<size_t>(i)];
  float* x = row(Act::x, i);
  if (pass.first_layer > 0 || r.embedding) {
    std::memcpy(x, pass.first_layer > 0 ? pass.hidden_in + i * hp.d_model : r.embedding,
                static_cast<size_t>(hp.d_model) * sizeof(float));
  } else if (const auto* rows = internal::resident_range(weights->global(Role::token_embd), r.token)) {
    const tensor::TensorView& table = rows->matrix;
    const std::byte* packed = my_scratch;
    if (table.layout == tensor::Layout::rows)
      packed = table.row(r.token - rows->begin);
    else
      tensor::copy_row(table, r.token - rows->begin, my_scratch);
    embed_token(packed, x);
  }
  if (pass.first_layer == 0)
    for (const RowOp& op : steps.embed) run_row_op(op, i, 0, 0);
  for (size_t t = 0; t < rope_tables.size(); ++t) {
    const auto& table = rope_tables[t];
    const auto half = static_cast<int64_t>(table.inv_freq.size());
    for (int64_t j = 0; j < half; ++j) {
      const double angle =
          static_cast<double>(positions[static_cast<size_t>(i)]) * table.inv_freq[static_cast<size_t>(j)];
      rope_cos[t][i * half + j] = static_cast<float>(std::cos(angle) * table.magnitude);
      rope_sin[t][i * half + j] = static_cast<float>(std::sin(angle) * table.magnitude);
    }
  }
}

}  // namespace watra::engine
