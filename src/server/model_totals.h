// ModelTotals: what all models of this process have done together. Counters only grow, whatever is loaded, put away or
// loaded again; a model's own begin at nothing each time. Any thread may call.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "engine/scheduler_stats.h"

namespace watra::server {

class ModelTotals {
 public:
  using Ask = std::function<engine::SchedulerStats()>;

  // Counters since the start of the process; what is said of now, of the models that are here: loaded, or finishing
  // their last answers.
  engine::SchedulerStats sum() const;

  // The model as it is to be handed out: asked for its numbers as long as anybody has it. When the last one lets it go,
  // what it has done is kept, in one step with its leaving: no sum() is less than one before.
  template <class Model>
  static std::shared_ptr<Model> counted(const std::shared_ptr<ModelTotals>& totals, std::shared_ptr<Model> model) {
    Model* const here = model.get();
    totals->begin(here, [here] { return here->stats(); });
    return {here, [totals, model = std::move(model)](Model* m) mutable {
              totals->end(m);
              model.reset();
            }};
  }

 private:
  void begin(const void* model, Ask ask);
  void end(const void* model);

  mutable std::mutex mutex_;
  std::map<const void*, Ask> here_;
  engine::SchedulerStats past_;
};

}  // namespace watra::server
