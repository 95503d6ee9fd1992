// A family's plan: which GGUF tensors come from which tensors of the folder, with which change, and the metadata that
// describes the network. Pure data, made from HfConfig alone; convert.cpp carries it out.
//
// Names and keys are those of llama.cpp's converter. Shapes are the source's as well as the target's: no change below
// alters a shape.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tensor/tensor.h"
#include "workshop/convert/hf_config.h"

namespace watra::workshop {

enum class Change : uint8_t {
  none,
  rope_pairs,  // rows of each head: from two halves (0..d/2-1, d/2..d-1) to adjacent pairs, as Llama's GGUF layout has
               // them
  plus_one,    // Gemma keeps norm weights as w - 1
};

struct PlannedTensor {
  std::string name;    // in the GGUF file
  std::string source;  // canonical name in the folder (canonical_tensor_name); empty = values
  tensor::Shape shape;
  Change change = Change::none;
  int64_t head_rows = 0;      // rows per head, for rope_pairs
  bool optional = false;      // left out when the source lacks it
  bool as_f32 = false;        // whatever the rest becomes
  std::vector<float> values;  // for tensors that come from the configuration
};

struct FamilyPlan {
  std::string architecture;            // general.architecture
  checkpoint::Metadata metadata;       // ARCH.* keys
  std::vector<PlannedTensor> tensors;  // generated ones first, then the order of the network
  std::vector<std::string> warnings;
};

Result<FamilyPlan> plan_family(const HfConfig& config);

// The families; plan_family picks.
Result<FamilyPlan> plan_llama(const HfConfig& config);  // and Mistral
Result<FamilyPlan> plan_qwen(const HfConfig& config);   // 2 and 3
Result<FamilyPlan> plan_gemma(const HfConfig& config);  // 2 and 3
Result<FamilyPlan> plan_phi3(const HfConfig& config);
Result<FamilyPlan> plan_bert(const HfConfig& config);        // BertModel: all-MiniLM, BGE, E5, GTE
Result<FamilyPlan> plan_nomic_bert(const HfConfig& config);  // NomicBertModel, as transformers names its tensors

// ---- parts that the families share ----

checkpoint::MetaValue meta_u32(uint64_t v);
checkpoint::MetaValue meta_i32(int64_t v);
checkpoint::MetaValue meta_f32(double v);
checkpoint::MetaValue meta_bool(bool v);
checkpoint::MetaValue meta_string(std::string v);

class PlanBuilder {
 public:
  PlanBuilder(const HfConfig& config, std::string architecture);

  const HfConfig& config() const { return config_; }
  void set(const char* key, checkpoint::MetaValue value);  // key without the architecture
  void set_shape();                                        // context, widths, layers, heads, norm_eps, pooling
  void set_head_lengths();                                 // attention.key_length, attention.value_length
  Status set_rope(bool with_llama3);                       // base and scaling; longrope is phi3's own

  void embedding();                 // token_embd.weight
  void output(Change norm_change);  // output_norm.weight, and output.weight unless tied
  // `suffix` "attn_q.weight" of layer `layer`, from "model.layers.N.SOURCE".
  PlannedTensor& layer(int64_t layer, const char* suffix, const char* source, tensor::Shape shape);
  void attention(int64_t layer, bool rope_pairs);  // q, k, v, output projections
  void gated_ffn(int64_t layer);                   // gate, up, down
  PlannedTensor& add(PlannedTensor tensor);

  FamilyPlan take() { return std::move(plan_); }

 private:
  const HfConfig& config_;
  FamilyPlan plan_;
};

// Tensor names differ by how the model was wrapped: "language_model.model.layers.0.x" and
// "model.language_model.layers.0.x" are both "model.layers.0.x", "bert.encoder.x" is "encoder.x".
std::string canonical_tensor_name(std::string name);
// Tensors that no plan needs: buffers, vision towers of multimodal folders, an output matrix that is the embedding, the
// pooler of an encoder.
bool is_left_out(const std::string& canonical_name, const HfConfig& config);

}  // namespace watra::workshop
