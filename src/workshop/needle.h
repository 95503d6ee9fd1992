// The needle test: facts hidden in a long text, each asked for at its end. Does the model still find them, whatever its
// cache is made of?
//
//   ... filler ... "The secret number of Lisbon is 48213." ... filler ...  "The secret number of Lisbon is" -> 48213 ?
//
// The text is read once; questions go behind it one after the other, each on what was read alone. An answer is found
// when its tokens are the most probable ones, one after the other; how probable they are says more than yes or no. No
// chat template: any model can be asked. Cities and numbers follow from the seed.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <vector>

#include "engine/loaded_model.h"

namespace watra::workshop {

struct NeedleOptions {
  int64_t n_ctx = 4096;    // filler, facts and a question together
  int n_needles = 10;      // spread evenly over the text; at most kMostNeedles
  bool is_polish = false;  // the facts' language
  uint64_t seed = 1;
  std::function<void(int64_t done, int64_t total)> progress;  // tokens of the text
  const std::atomic<bool>* cancel = nullptr;
};
inline constexpr int kMostNeedles = 20;

struct Needle {
  double depth = 0;            // 0 = at the beginning, 1 = at the end
  bool found = false;          // every token of the answer was the most probable one
  double log_probability = 0;  // of the answer
};
struct NeedleReport {
  std::vector<Needle> needles;  // from the beginning on
  int64_t n_tokens = 0;         // of the text
  int64_t n_found = 0;
  double mean_log_probability = 0;
};

// The model must be loaded with n_ctx >= options.n_ctx and 16 rows of logits. Errors: "eval.text_too_short" (the filler
// is used once), "model.no_vocabulary", "eval.no_room", those of a pass.
Result<NeedleReport> find_needles(const engine::LoadedModel& model, std::string_view filler,
                                  const NeedleOptions& options);

}  // namespace watra::workshop
