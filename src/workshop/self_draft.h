// self_draft: the low-bit copy of a model that drafts for it, made once and kept under $WATRA_HOME/drafts.
//
//   drafts/STEM-PATH.KEY.TYPE.gguf    PATH: which file, KEY: what was in it
//
// KEY is a hash of the source's header (metadata, vocabulary, directory) and of the beginning, middle and end of every
// tensor: reading all of a large model would take as long as loading it, and what two models could have in common
// beyond that costs acceptance, never an answer. When the source changes, its old copies are removed as the new one
// appears. One process makes a copy at a time (drafts/lock); what a killed one left half is removed by the next.
#pragma once

#include <functional>
#include <optional>

#include "workshop/requantize.h"

namespace watra::workshop {

struct SelfDraftOptions {
  fs::path home;  // $WATRA_HOME
  tensor::DType type = tensor::DType::q3_k;
  int threads = 0;                                   // 0 = one per physical core
  std::function<void(uint64_t, uint64_t)> progress;  // as requantize's; not called when the copy is there
  std::function<bool()> cancelled;                   // as requantize's; also while another process makes a copy
};

struct SelfDraft {
  fs::path path;
  bool was_made = false;  // now, and not found
  double seconds = 0;
};

// The copy if it was made before and is whole. Makes nothing.
std::optional<fs::path> made_self_draft(const fs::path& source, const fs::path& home, tensor::DType type);

// Blocking; safe to call from several processes. Errors: those of requantize(); "draft.busy" when another process is
// making copies and does not end within ten minutes.
Result<SelfDraft> self_draft(const fs::path& source, const SelfDraftOptions& options);

}  // namespace watra::workshop
