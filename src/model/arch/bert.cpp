// BERT and its kin: encoders that turn a text into vectors (all-MiniLM, BGE, E5, GTE, mxbai, nomic-embed).
//
// A text is one segment, so that every token has the type 0. What a file's "pooler" or classification head would add is
// not part of an embedding and is not read.
#include <algorithm>

#include "model/arch.h"

namespace watra::model {
namespace {

// Learned positions end where their table ends, whatever the metadata says.
Status end_with_the_table(const checkpoint::Checkpoint& file, HParams& hp) {
  if (const auto* table = file.find("position_embd.weight"))
    hp.n_ctx_train = std::min(hp.n_ctx_train, table->shape.rows());
  return {};
}

}  // namespace

const Architecture kBert{
    .name = "bert",
    .families = "BERT, MiniLM, BGE, E5, GTE: embeddings",
    .style = {.fused_qkv = true},
    .complete = end_with_the_table,
    .encoder = EncoderStyle{},
};

// Rotated queries and keys instead of learned positions, a gated MLP, no biases but those of the norms.
const Architecture kNomicBert{
    .name = "nomic-bert",
    .families = "nomic-embed-text: embeddings",
    .style = {.fused_qkv = true},
    .complete = [](const checkpoint::Checkpoint& file, HParams&) -> Status {
      if (file.metadata().get_u64("nomic-bert.moe_every_n_layers").value_or(0) > 0)
        return fail("model.unsupported", "this encoder has layers of experts, which Watra does not run",
                    "use nomic-embed-text-v1.5 or an encoder of the bert family");
      return {};
    },
    .encoder = EncoderStyle{.activation = kernels::GluKind::silu, .is_gated = true, .learned_positions = false},
};

}  // namespace watra::model
