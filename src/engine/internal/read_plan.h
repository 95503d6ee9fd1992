// Which bytes of a model's files go where: tensors with a place in memory, cut into reads that a disk likes.
//
// A read is one run of a file, about `read_bytes` long, whole blocks or whole groups of rows of one or several tensors
// that follow each other. Pure data; who carries it out: weight_reader.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "engine/device.h"

namespace watra::engine::internal {

enum class Placing : uint8_t {
  copy,        // as it lies in the file
  interleave,  // groups of 16 rows side by side (tensor/interleave.h), what fills no group as it lies
  to_f32,      // dequantized: norms and biases
};

struct PlacedTensor {
  const checkpoint::TensorInfo* info;
  std::byte* to;  // for the byte at begin_bytes; null = on a device
  Placing placing;
  uint64_t begin_bytes, end_bytes;  // of the tensor: all of it, or some of its rows
  DeviceBuffer* device = nullptr;
  uint64_t device_offset = 0;  // there, for the byte at begin_bytes; never interleaved
};

// [skip_bytes, skip_bytes + n_bytes) of a tensor. Interleaved: rows [skip_bytes / row, ...), from a multiple of 16 on.
struct Piece {
  const PlacedTensor* tensor;
  uint64_t skip_bytes, n_bytes;
  uint64_t file_offset() const { return tensor->info->offset_bytes + skip_bytes; }
};

struct PlannedRead {
  uint32_t file_index;
  uint64_t offset, n_bytes;  // of the file, first piece to last
  size_t first_piece, n_pieces;
};

struct ReadPlan {
  std::vector<Piece> pieces;       // by file and offset
  std::vector<PlannedRead> reads;  // cover the pieces in order
  uint64_t n_bytes = 0;            // of all pieces
  uint64_t longest_read_bytes = 0;
};

// The plan points into `tensors`. A piece is at most read_bytes long, except that 16 rows stay together.
ReadPlan plan_reads(const std::vector<PlacedTensor>& tensors, uint64_t read_bytes);

// Puts a piece's bytes, as they lie in the file, where they belong. Errors: the device's.
Status place_piece(const Piece& piece, const std::byte* bytes);

}  // namespace watra::engine::internal
