// Watcher: how long work in hub/ tells how far it is and asks whether to go on. Both may be called from several
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace watra::hub {

struct Watcher {
  std::function<void(std::string_view what, uint64_t done_bytes, uint64_t total_bytes)>
      progress;  // total 0 = not known
  std::function<bool()> cancelled;

  void report(std::string_view what, uint64_t done, uint64_t total) const {
    if (progress) progress(what, done, total);
  }
  bool stopped() const { return cancelled && cancelled(); }
};

}  // namespace watra::hub
