// The general.* keys: architecture, name, size label, file type, and the sampling settings of generation_config.json.
#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "workshop/convert.h"
#include "workshop/convert/family.h"

namespace watra::workshop {

// "51K", "1.5B", "70B": at least two digits, as GGUF file names have it.
std::string size_label(uint64_t n_params);

// "Qwen2.5-0.5B-instruct" -> "Qwen2.5 0.5B Instruct". Works for "folder", "folder/" and ".".
std::string name_from_folder(const fs::path& folder);

Result<checkpoint::Metadata> general_metadata(const ConvertOptions& options, const FamilyPlan& plan, OutType out_type,
                                              uint64_t n_params);

}  // namespace watra::workshop
