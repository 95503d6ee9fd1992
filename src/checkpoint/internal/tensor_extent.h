// How many bytes a tensor of that type and shape takes: the one place where dimensions from outside are multiplied.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace watra::checkpoint {

struct TensorExtent {
  tensor::Shape shape;
  uint64_t size_bytes = 0;
};

// dims in numpy order (last one contiguous), 1 to 4 of them, none 0, rows of whole blocks, fewer than 2^63 elements and
// bytes. The error ("checkpoint.bad_shape") tells only what is wrong with the numbers; the caller puts file and tensor
// before it.
Result<TensorExtent> tensor_extent(tensor::DType dtype, std::span<const uint64_t> dims);

}  // namespace watra::checkpoint
