#include "tensor/tensor.h"

namespace watra::tensor {

std::string Shape::to_string() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) s += (i ? ", " : "") + std::to_string(dims_[i]);
  return s + "]";
}

Result<TensorBuffer> TensorBuffer::allocate(MemoryBudget* budget, std::string tag, DType dtype, Shape shape) {
  TensorBuffer t;
  t.dtype_ = dtype;
  t.shape_ = shape;
  WATRA_ASSIGN(t.buffer_, Buffer::allocate(budget, std::move(tag),
                                           row_bytes(dtype, shape.cols()) * static_cast<uint64_t>(shape.rows())));
  return t;
}

}  // namespace watra::tensor
