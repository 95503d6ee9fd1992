#include "engine/device.h"

namespace watra::engine {

Result<DeviceBuffer> DeviceBuffer::allocate(std::shared_ptr<Device> device, uint64_t n_bytes) {
  DeviceBuffer b;
  WATRA_ASSIGN(b.allocation_, device->allocate(n_bytes));
  b.device_ = std::move(device);
  b.n_bytes_ = n_bytes;
  return b;
}

DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  release();
  device_ = std::move(other.device_);
  allocation_ = other.allocation_;
  n_bytes_ = std::exchange(other.n_bytes_, 0);
  return *this;
}

void DeviceBuffer::release() {
  if (device_) device_->release(allocation_);
  device_.reset();
  n_bytes_ = 0;
}

}  // namespace watra::engine
