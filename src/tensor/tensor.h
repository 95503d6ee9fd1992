// Shapes, views and owners.
//
// Shape lists dimensions as numpy does: the last one is contiguous. (GGUF stores them the other way round; checkpoint/
// turns them.) A weight matrix W of y = W x is [R, D]: R output rows of D inputs. Experts are rank 3: [n_experts, R,
// D]. TensorView borrows memory, TensorBuffer owns it; both are cheap to move and say nothing about files or threads.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/memory.h"
#include "tensor/dtype.h"

namespace watra::tensor {

inline constexpr int kMaxRank = 4;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    assert(dims.size() <= kMaxRank);
    for (int64_t d : dims) dims_[rank_++] = d;
  }
  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[i]; }
  void push_back(int64_t d) {
    assert(rank_ < kMaxRank);
    dims_[rank_++] = d;
  }
  int64_t cols() const { return rank_ ? dims_[rank_ - 1] : 1; }  // contiguous dimension
  int64_t rows() const { return elements() / (cols() ? cols() : 1); }
  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  bool operator==(const Shape& o) const = default;
  std::string to_string() const;  // "[2048, 576]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// How the rows of a matrix lie in memory. Interleaving is a permutation of the bytes inside a group of rows: same size,
// invertible, the same for every ISA: interleave.h.
enum class Layout : uint8_t { rows, interleaved_16 };

struct TensorView {
  DType dtype = DType::f32;
  Layout layout = Layout::rows;
  Shape shape;
  const std::byte* data = nullptr;

  uint64_t row_size_bytes() const { return row_bytes(dtype, shape.cols()); }
  uint64_t size_bytes() const { return row_size_bytes() * static_cast<uint64_t>(shape.rows()); }
  const std::byte* row(int64_t r) const {
    return data + static_cast<uint64_t>(r) * row_size_bytes();
  }  // layout rows only
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data);
  }
  explicit operator bool() const { return data != nullptr; }
};

class TensorBuffer {
 public:
  static Result<TensorBuffer> allocate(MemoryBudget* budget, std::string tag, DType dtype, Shape shape);
  TensorView view() const { return {dtype_, Layout::rows, shape_, buffer_.data()}; }
  std::byte* data() const { return buffer_.data(); }
  template <class T>
  T* as() const {
    return buffer_.as<T>();
  }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  uint64_t size_bytes() const { return buffer_.size_bytes(); }

 private:
  DType dtype_ = DType::f32;
  Shape shape_;
  Buffer buffer_;
};

}  // namespace watra::tensor
