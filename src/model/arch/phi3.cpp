// Phi-3, 3.5 and 4: q, k, v in one matrix, gate and up in one matrix, longrope factors in the file.
//
// Its GGUFs carry phi3.attention.sliding_window, but the value is unreliable (converters wrote the training window of
// other variants, and a window as large as the context), and llama.cpp ignores it. We honour it only where it is
// smaller than the original context, which is when the reference model applies it.
#include "model/arch.h"

namespace watra::model {

const Architecture kPhi3{
    .name = "phi3",
    .families = "Phi-3, Phi-3.5, Phi-4",
    .style = {.fused_qkv = true, .fused_gate_up = true},
    .complete = [](const checkpoint::Checkpoint& file, HParams& hp) -> Status {
      const int64_t window = file.metadata().get_i64("phi3.attention.sliding_window").value_or(0);
      if (window > 0 && window < hp.ropes[0].n_ctx_original)
        for (LayerHParams& layer : hp.layers) layer.window = window;
      return {};
    },
};

}  // namespace watra::model
