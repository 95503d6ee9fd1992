// Whether a value satisfies a JSON schema: for the literals of `enum` and `const`, and the names of members, which are
// known before anything is written, so that what stands beside them can be held to exactly.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace watra::text {

class SchemaCheck {
 public:
  using Json = nlohmann::ordered_json;
  // What the `$ref` of a schema names; null if nothing.
  using Target = std::function<const Json*(const Json& schema)>;

  explicit SchemaCheck(Target target) : target_(std::move(target)) {}
  // `format` is a note, as JSON Schema has it by default. What cannot be told (a pattern that cannot be read, a
  // reference to elsewhere) is taken as satisfied.
  bool satisfies(const Json& value, const Json& schema) { return check(value, schema, 0); }
  // It has become more work than a schema is worth: what was told since is not to be relied upon.
  bool is_spent() const { return n_steps_ > kMostSteps; }

 private:
  static constexpr int kMostSteps = 1'000'000;
  bool check(const Json& value, const Json& schema, int depth);
  bool combined(const Json& value, const Json& schema, int depth);
  bool number(const Json& value, const Json& schema) const;
  bool string(const Json& value, const Json& schema);
  bool array(const Json& value, const Json& schema, int depth);
  bool object(const Json& value, const Json& schema, int depth);
  bool member(const std::string& name, const Json& value, const Json& schema, int depth);

  Target target_;
  int n_steps_ = 0;
};

}  // namespace watra::text
