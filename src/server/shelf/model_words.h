// What a card of the shelf says about a model in plain words, and how well it speaks Polish: for the catalog by name,
// for others by the family their name tells. What is not known is "unknown", never a guess.
#pragma once

#include <string>
#include <string_view>

namespace watra::server {

struct ModelWords {
  std::string pl, en;                   // about
  std::string_view polish = "unknown";  // "none" (English alone) "little" "some" "good" "unknown"
};

// `name`: what the file or its metadata calls the model, any case.
ModelWords model_words(std::string_view name);

// What people read for a model: the catalog's word for what it knows, else what the file calls itself, else the id.
std::string shown_name(const std::string& id, const std::string& own);

}  // namespace watra::server
