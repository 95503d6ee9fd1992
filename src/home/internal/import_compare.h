// The compare that our own export holds beside its hidden thread -> ImportedCompare. Nothing of it is believed.
#pragma once

#include "home/import_formats.h"

namespace watra::home {

// The compare as it was exported, with what was sealed in it opened; null when it is none.
Json opened_compare(const Json& exported);

// Messages keep the names that read_watra() gives them. Nothing where no column is left.
std::optional<ImportedCompare> read_compare(const Json& opened, const ImportSink& sink);

// An answer of a blind compare: who gave it, and its facts, put back.
Json unveiled(Json message, const Json& opened);

}  // namespace watra::home
