// KvTypes: how the keys and values of every layer are cached (kernels/ops.h has the types, docs/decisions/0006 and 0013
// what they cost).
//
//   K[,V]                     all layers: "q8_0", "q8_0,q4_0"
//   K[,V]/LAYERS:K[,V]/...    some otherwise, the later entry counts: "q4_0/0-1:q8_0/27:f16"; LAYERS = N or N-M, from 0
//
// A value: whoever holds one may read it from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops.h"
#include "model/hparams.h"

namespace watra::engine {

using kernels::KvType;

// Of one layer.
struct KvPair {
  KvType k = KvType::f16, v = KvType::f16;
  bool operator==(const KvPair&) const = default;
};

class KvTypes {
 public:
  KvTypes() = default;  // f16
  KvTypes(KvType k, KvType v) : all_{k, v} {}
  // Error "usage.kv_type".
  static Result<KvTypes> parse(std::string_view text);
  KvTypes& with(int first_layer, int last_layer, KvPair types) {
    others_.push_back({first_layer, last_layer, types});
    return *this;
  }

  KvPair of(int layer) const;
  // Whether every layer it names is there. Error "usage.kv_type".
  Status check(int n_layers) const;
  // Bytes of one position, all layers.
  int64_t bytes_per_position(const model::HParams& hp) const;
  std::string text() const;  // as parse() reads it

 private:
  struct Others {
    int first, last;
    KvPair types;
  };
  KvPair all_;
  std::vector<Others> others_;
};

}  // namespace watra::engine
