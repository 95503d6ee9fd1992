// Llama 1-3.3, Mistral, SmolLM2 and their kin. GGUF stores the q and k rows permuted, so RoPE turns adjacent pairs.
#include "model/arch.h"

namespace watra::model {

const Architecture kLlama{
    .name = "llama",
    .families = "Llama 2, 3, 3.1, 3.2, 3.3, Mistral, SmolLM2",
    .style = {},
    .complete = [](const checkpoint::Checkpoint& file, HParams& hp) -> Status {
      if (file.metadata().get_u64("llama.expert_count").value_or(0) > 0)
        return fail("model.unsupported",
                    "this is a mixture of experts (llama.expert_count > 0), which Watra does not run yet",
                    "use a dense model of the family");
      for (RopeParams& rope : hp.ropes) rope.style = kernels::RopeStyle::adjacent;
      return {};
    },
};

}  // namespace watra::model
