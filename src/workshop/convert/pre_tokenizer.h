// recognize_pre_tokenizer: the structure of a tokenizer.json's pre_tokenizer -> the name GGUF has for it
// (tokenizer.ggml.pre).
//
// The name stands for split patterns that every runtime keeps in its own code, so a structure that is not exactly a
// known one is refused: a near miss would tokenize almost everything right.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

namespace watra::workshop {

// `tokenizer`: the whole tokenizer.json of a byte-level BPE model.
Result<std::string> recognize_pre_tokenizer(const nlohmann::json& tokenizer);

}  // namespace watra::workshop
