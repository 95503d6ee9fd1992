// JsonFields: typed, bounded access to the fields of a JSON object that came from somebody else's file.
//
// The first field that is missing, of the wrong kind or out of range is remembered and ends up in status(); until then
// readers give their fallback, so that a page of fields reads without a check after each. null counts as missing.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace watra::workshop {

class JsonFields {
 public:
  // Both must outlive the object. `where` names the place in messages ("config.json", "config.json rope_scaling").
  JsonFields(const nlohmann::json& object, std::string where);

  bool has(const char* key) const;  // present and not null
  std::optional<int64_t> integer(const char* key, int64_t min, int64_t max);
  std::optional<double> number(const char* key);  // finite
  std::optional<bool> flag(const char* key);
  std::optional<std::string> text(const char* key);
  std::optional<std::vector<float>> numbers(const char* key, size_t max_count);
  std::optional<std::vector<std::string>> texts(const char* key, size_t max_count);

  int64_t require_integer(const char* key, int64_t min, int64_t max, std::optional<int64_t> fallback = {});
  double require_number(const char* key, std::optional<double> fallback = {});

  Status status() const;

 private:
  const nlohmann::json* find(const char* key) const;
  void wrong(const char* key, std::string wanted);
  void missing(const char* key);

  const nlohmann::json& object_;
  std::string where_;
  std::optional<Error> error_;
};

// Parses a JSON file whose top is an object.
Result<nlohmann::json> read_json_object(const fs::path& path, uint64_t max_bytes);

}  // namespace watra::workshop
