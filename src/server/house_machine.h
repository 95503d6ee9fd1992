// MachineRoom: what the machine is and how it does: /machine, /machine/now, /machine/measure (docs/api.md, section 9).
//
// A thread takes one sample a second and keeps ten minutes of them; it reads counters, so it costs nothing worth
// measuring. Any thread may ask.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/sensors.h"
#include "engine/hardware_profile.h"
#include "engine/scheduler_stats.h"
#include "server/answer_speeds.h"
#include "server/household.h"
#include "server/router.h"

namespace watra::server {

class MachineRoom {
 public:
  using MeasureStep = std::function<void(std::string_view what, int step, int of)>;
  struct Options {
    std::function<std::optional<engine::Hardware>()> hardware;  // as it was measured; never measures
    std::function<Result<engine::Hardware>(MeasureStep, std::function<bool()> cancelled)> measure;
    uint64_t ram_limit_bytes = 0;    // of --ram; 0 = none
    std::function<Json()> queue;     // runs of the page under way; empty = none
    std::function<void()> measured;  // after a measurement: estimates are others
    // Of an answer of this model, on the thread that takes samples; empty = nobody asks.
    std::function<void(ServedModel& model, const AnswerSpeed& speed)> answered;
  };
  MachineRoom(Household& house, Options options);
  ~MachineRoom();

  void add(Router& router);

  struct Sample {
    int64_t at_ms = 0;
    double decode_tokens_per_s = 0, prefill_tokens_per_s = 0, read_gb_s = 0, read_limit_gb_s = 0;
    uint64_t ram_bytes = 0;
    double cpu = 0;
    std::optional<double> celsius;
    double tau = 1;
    Json json() const;
  };

 private:
  void take_samples();
  Sample sample();
  Json machine_json() const;
  Json memory_json() const;
  Json now_json(int64_t since_ms) const;

  Household& house_;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable ending_;
  bool end_ = false;
  std::deque<Sample> samples_;
  int64_t since_ms_ = 0;  // from when they go; what was before is not known any more
  // Of the sampling thread alone.
  std::string model_;
  engine::SchedulerStats before_;
  ProcessorTimes times_;
  std::chrono::steady_clock::time_point at_{};
  std::thread thread_;
};

// What rates like these mean for models people know, in both languages.
Json machine_verdict(const std::optional<engine::Hardware>& hardware);

}  // namespace watra::server
