// Qwen 2 and 2.5: biases on q, k and v (bound where the file has them).
#include "model/arch.h"

namespace watra::model {

const Architecture kQwen2{
    .name = "qwen2",
    .families = "Qwen 2, 2.5",
    .style = {},
    .complete = [](const checkpoint::Checkpoint&, HParams&) -> Status { return {}; },
};

}  // namespace watra::model
