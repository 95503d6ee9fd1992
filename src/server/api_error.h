// ApiError: a request that cannot be answered as asked, and how each API words that so that its clients raise the right
// exception.
//
// Inside server/ it is thrown: handlers are coroutines, and the connection that runs them is the one place that catches
// and writes it. It leaves the module nowhere.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace watra::server {

using Json = nlohmann::ordered_json;

enum class Dialect : uint8_t { openai, anthropic, ollama, watra };  // llama.cpp's routes speak openai's

struct ApiError {
  int status = 400;
  std::string code;     // "context_length_exceeded", "model_not_found"; for programs
  std::string message;  // for people
  std::string param;    // the field, as the client wrote it; empty = none
  Json more;            // further fields of the error object
  Json beside;          // further fields beside it, in Watra's own shape
  int retry_after_s = 0;
};

// 400 about one field.
ApiError bad_field(std::string param, std::string message);
// 400: understood, and not something this server does.
ApiError unsupported(std::string param, std::string message);
// The same, of a picture or another thing that is no text.
ApiError no_eyes(std::string param, std::string_view kind);
// From the engine and below. `prompt_field`: what the route calls its prompt ("messages").
ApiError from_error(const Error& error, const std::string& prompt_field);

Json error_body(const ApiError& error, Dialect dialect);

// Text as JSON; bytes that are not UTF-8 become U+FFFD.
std::string dump(const Json& json);

// The value of a Result, or its error thrown.
template <class T>
T value_or_throw(Result<T> result, const std::string& prompt_field = "prompt") {
  if (!result) throw from_error(result.error(), prompt_field);
  return std::move(*result);
}

}  // namespace watra::server
