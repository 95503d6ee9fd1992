// SimulatedDevice: a card for tests. Its memory is RAM counted apart; what passes over its bus is counted in the time
// that a bus of this rate would need.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "engine/device.h"

namespace watra::engine {

class SimulatedDevice : public Device {
 public:
  SimulatedDevice(uint64_t capacity_bytes, double bus_gb_s) : capacity_(capacity_bytes), bus_gb_s_(bus_gb_s) {}

  std::string name() const override { return "simulated card"; }
  uint64_t capacity_bytes() const override { return capacity_; }
  uint64_t free_bytes() const override { return capacity_ - used_; }
  Result<Allocation> allocate(uint64_t n_bytes) override {
    if (n_bytes > free_bytes())
      return fail("device.full", fmt::format("{} bytes wanted on {}, {} are free", n_bytes, name(), free_bytes()),
                  "a smaller share of the model on the card");
    used_ += n_bytes;
    memory_[++last_].resize(n_bytes);
    return last_;
  }
  void release(Allocation allocation) override {
    used_ -= memory_.at(allocation).size();
    memory_.erase(allocation);
  }
  Status upload(Allocation to, uint64_t offset, std::span<const std::byte> from) override {
    if (n_uploads_left_-- == 0) return fail("device.lost", "the simulated card does not answer");
    std::vector<std::byte>& memory = memory_.at(to);
    if (offset > memory.size() || from.size() > memory.size() - offset)
      return fail("device.out_of_bounds", "an upload reaches beyond its allocation");
    std::memcpy(memory.data() + offset, from.data(), from.size());
    uploaded_ += from.size();
    return {};
  }
  Status download(Allocation from, uint64_t offset, std::span<std::byte> to) const override {
    const std::vector<std::byte>& memory = memory_.at(from);
    if (offset > memory.size() || to.size() > memory.size() - offset)
      return fail("device.out_of_bounds", "a download reaches beyond its allocation");
    std::memcpy(to.data(), memory.data() + offset, to.size());
    return {};
  }

  // The upload after so many fails, and none after it.
  void lose_after(int64_t n_uploads) { n_uploads_left_ = n_uploads; }
  uint64_t uploaded_bytes() const { return uploaded_; }
  double bus_seconds() const { return static_cast<double>(uploaded_) / (bus_gb_s_ * 1e9); }

 private:
  const uint64_t capacity_;
  const double bus_gb_s_;
  uint64_t used_ = 0;
  Allocation last_ = 0;
  std::map<Allocation, std::vector<std::byte>> memory_;
  std::atomic<uint64_t> uploaded_{0};
  std::atomic<int64_t> n_uploads_left_{INT64_MAX};
};

}  // namespace watra::engine
