#include "checkpoint/internal/tensor_extent.h"

#include <fmt/ranges.h>

#include <limits>

#include "base/checked.h"

namespace watra::checkpoint {

Result<TensorExtent> tensor_extent(tensor::DType dtype, std::span<const uint64_t> dims) {
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const auto refuse = [&](std::string_view needed) {
    return fail("checkpoint.bad_shape",
                fmt::format("{}, found [{}] of type {}", needed, fmt::join(dims, ", "), tensor::dtype_name(dtype)));
  };
  if (dims.empty() || dims.size() > tensor::kMaxRank) return refuse("needed 1 to 4 dimensions");
  TensorExtent extent;
  uint64_t elements = 1;
  for (const uint64_t d : dims) {
    if (d == 0) return refuse("needed dimensions of at least 1");
    const auto product = checked_mul(elements, d);
    if (!product || *product > kMax) return refuse("needed fewer than 2^63 elements");
    elements = *product;
    extent.shape.push_back(static_cast<int64_t>(d));
  }
  const tensor::DTypeTraits& traits = tensor::traits(dtype);
  if (dims.back() % traits.block_elements != 0)
    return refuse(fmt::format("needed rows of whole blocks ({} elements)", traits.block_elements));
  const auto bytes = checked_mul<uint64_t>(elements / traits.block_elements, traits.block_bytes);
  if (!bytes || *bytes > kMax) return refuse("needed fewer than 2^63 bytes");
  extent.size_bytes = *bytes;
  return extent;
}

}  // namespace watra::checkpoint
