#include "kernels/ops.h"
#include "tensor/blocks.h"

namespace watra::kernels {

std::string_view kv_type_name(KvType type) {
  switch (type) {
    case KvType::f16:
      return "f16";
    case KvType::f32:
      return "f32";
    case KvType::q8_0:
      return "q8_0";
    case KvType::q4_0:
      return "q4_0";
  }
  return "";
}

int64_t kv_row_bytes(KvType type, int64_t d_head) {
  switch (type) {
    case KvType::f16:
      return 2 * d_head;
    case KvType::f32:
      return 4 * d_head;
    case KvType::q8_0:
      return (d_head + 31) / 32 * static_cast<int64_t>(sizeof(tensor::BlockQ8_0));
    case KvType::q4_0:
      return (d_head + 31) / 32 * static_cast<int64_t>(sizeof(tensor::BlockQ4_0));
  }
  return 0;
}

}  // namespace watra::kernels
