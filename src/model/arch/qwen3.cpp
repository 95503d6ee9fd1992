// Qwen 3 (dense): no biases, an RMS norm over each head of q and k.
#include "model/arch.h"

namespace watra::model {

const Architecture kQwen3{
    .name = "qwen3",
    .families = "Qwen 3",
    .style = {.qk_norm = true},
    .complete = [](const checkpoint::Checkpoint&, HParams&) -> Status { return {}; },
};

}  // namespace watra::model
