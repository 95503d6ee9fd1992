// The machine that a command plans for: a hardware file, a machine known by name, or this one as it was measured.
#pragma once

#include <functional>
#include <optional>

#include "apps/command.h"
#include "engine/hardware_measure.h"

namespace watra::apps {

// --hardware FILE or NAME; errors name what is known.
Result<engine::Hardware> named_hardware(const std::string& file_or_name);

// This machine: as cached when the cache is of this machine and program, measured otherwise (with a progress line), and
// in any case with `anew`. Folders of --disk that were not measured yet are. Where it cannot be kept (a full disk) that
// is said, and what was measured is used all the same.
Result<engine::Hardware> this_machine(const Globals& g, bool anew);

// Measures this machine anew and keeps the result; `now` hears what is measured. Nothing is shown.
Result<engine::Hardware> measured_machine(const Globals& g,
                                          std::function<void(std::string_view what, int step, int of)> now,
                                          std::function<bool()> cancelled = {});

// This machine as cached; nothing when nobody measured it. Never measures. A cache that cannot be read is set aside as
// hardware.json.damaged, which is said.
std::optional<engine::Hardware> cached_machine(const Globals& g);

}  // namespace watra::apps
