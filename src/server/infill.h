// Filling in: a prompt that has a text go on between what stands before and after it, for models that learned it.
#pragma once

#include <string>
#include <vector>

#include "server/served_model.h"

namespace watra::server {

struct Infill {
  struct File {  // what goes before, in other files
    std::string name, text;
  };
  std::vector<File> files;
  std::string prefix, suffix;
  std::string begun;  // of what belongs between
};

// Do the model's tokens include those that filling in takes?
bool can_fill_in(const text::VocabSpec& vocab);

// Throws ApiError: what a model without these tokens is asked for (`status`, naming `field`).
std::vector<TokenId> infill_prompt(const Infill& infill, const ServedModel& model, const std::string& field,
                                   int status = 400);

}  // namespace watra::server
