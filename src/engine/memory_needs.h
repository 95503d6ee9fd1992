// What a model takes of RAM beside its weights, and how that is divided when some of them are streamed. Pure; plans ask
// before anything is allocated (plan.h), load_model() divides by the same rules.
#pragma once

#include <cstdint>

#include "engine/kv_types.h"
#include "model/outline.h"

namespace watra::engine {

// What a loaded model still allocates outside of buffers: the sampler's lists (per piece of the vocabulary), stacks and
// allocator arenas (per thread), the conversation, and the pages of the program that have not been run yet.
uint64_t runtime_bytes(int64_t n_vocab, int n_threads);
// The same and the program itself, with a vocabulary's texts and merges.
uint64_t program_bytes(int64_t n_vocab, int n_threads);

// Of `n` positions, whole pages, in all layers or in those from `first_layer` on.
uint64_t kv_cache_bytes(const model::ModelOutline& outline, const KvTypes& types, int64_t n, int first_layer = 0);
// Beside it: first and open pages as they were computed, of layers that are stored quantized (recent_rows.h).
uint64_t exact_kv_bytes(const model::ModelOutline& outline, const KvTypes& types, int64_t n, int64_t n_sequences,
                        int64_t max_rows);

// Encoders. Rows of a pass: a whole context, or many short texts together; kEncoderTexts is the most, where the time a
// text costs for itself has vanished beside that of its tokens. And the cached positions that such a pass needs, whose
// texts begin a page each.
inline constexpr int64_t kEncoderTexts = 64;
int64_t encoder_rows(int64_t n_ctx);
int64_t encoder_kv_positions(int64_t rows);
// The types of their keys and values: as they were computed, for they live no longer than a layer.
KvTypes encoder_kv_types();

// What Forward keeps for passes of so many rows: the residual stream, its normed copy, q, k, v, attention, gate, up,
// their converted forms, logits, partial results of attention at n_ctx positions, rotations.
uint64_t activation_bytes(const model::ModelOutline& outline, int64_t rows, int64_t logit_rows, int64_t n_ctx);

// A draft model beside a target (draft_model.h): weights, a cache of n_ctx positions unless it shares the target's, its
// passes, its vocabulary and the lists of its proposer.
uint64_t draft_model_bytes(const model::ModelOutline& draft, int64_t n_ctx, bool shares_cache);

// Streamed weights want a ring and a team that reads wide passes; in return less of the model stays in RAM.
struct StreamNeeds {
  uint64_t ring_bytes;
  int64_t max_rows;
};
// Of a limit on the whole process. ring_bytes, max_rows: as somebody wants them; 0 = what suits the limit.
StreamNeeds stream_needs(const model::ModelOutline& outline, uint64_t limit_bytes, uint64_t ring_bytes = 0,
                         int64_t max_rows = 0);
// The least with which a model can be streamed.
StreamNeeds least_stream_needs(const StreamNeeds& needs);

// Room for conversations on their way to and from the disk (kv_store.h): 32 MiB, less where RAM is scarce.
uint64_t kv_store_room_bytes(uint64_t limit_bytes);

}  // namespace watra::engine
