// Device: memory of its own beside the machine's, where a placement's rows of Tier::vram lie: the seat of a graphics
// card. Residency takes room on it and fills it (residency.h). Who computes there brings its kernels; until then a
// Forward refuses weights that lie on one.
//
// upload() and download() may be called by several threads at once, for ranges that do not overlap; everything else by
// one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace watra::engine {

class Device {
 public:
  using Allocation = uint64_t;

  virtual ~Device() = default;
  virtual std::string name() const = 0;
  virtual uint64_t capacity_bytes() const = 0;
  virtual uint64_t free_bytes() const = 0;
  // n_bytes > 0, beginning where any type may begin. Error "device.full": needed and free.
  virtual Result<Allocation> allocate(uint64_t n_bytes) = 0;
  virtual void release(Allocation allocation) = 0;
  // Copies to and from an allocation; done when they return. Error "device.lost" when it does not answer any more.
  virtual Status upload(Allocation to, uint64_t offset, std::span<const std::byte> from) = 0;
  virtual Status download(Allocation from, uint64_t offset, std::span<std::byte> to) const = 0;
};

// Owns an allocation. Empty after being moved from.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  static Result<DeviceBuffer> allocate(std::shared_ptr<Device> device, uint64_t n_bytes);
  ~DeviceBuffer() { release(); }
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;

  uint64_t size_bytes() const { return n_bytes_; }
  const Device* device() const { return device_.get(); }
  // Inside [0, size_bytes()).
  Status upload(uint64_t offset, std::span<const std::byte> from) { return device_->upload(allocation_, offset, from); }
  Status download(uint64_t offset, std::span<std::byte> to) const { return device_->download(allocation_, offset, to); }

 private:
  void release();

  std::shared_ptr<Device> device_;
  Device::Allocation allocation_ = 0;
  uint64_t n_bytes_ = 0;
};

}  // namespace watra::engine
