#include "server/api_error.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <utility>

namespace watra::server {

ApiError bad_field(std::string param, std::string message) {
  return {.status = 400, .code = "invalid_value", .message = std::move(message), .param = std::move(param)};
}

ApiError unsupported(std::string param, std::string message) {
  if (message.find(param) == std::string::npos) message = param + ": " + message;
  return {.status = 400, .code = "unsupported", .message = std::move(message), .param = std::move(param)};
}

ApiError no_eyes(std::string param, std::string_view kind) {
  std::string message = fmt::format(
      "{} is of type {}, and this model reads text alone: pictures and sound need a model that takes them, "
      "and Watra runs none of those yet; say in words what they hold",
      param, kind);
  return unsupported(std::move(param), std::move(message));
}

namespace {

std::string with_hint(const Error& e) { return e.hint.empty() ? e.message : e.message + "; try " + e.hint; }

// "top_p: needs 0 to 1, found 1.5" names its field in front.
std::string field_of(const std::string& message) {
  const size_t colon = message.find(':');
  if (colon == std::string::npos) return {};
  const std::string name = message.substr(0, colon);
  const bool plain = std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.'; });
  return plain ? name : std::string();
}

}  // namespace

ApiError from_error(const Error& e, const std::string& prompt_field) {
  const std::string& code = e.code;
  if (code == "context.overflow")
    return {.status = 400, .code = "context_length_exceeded", .message = with_hint(e), .param = prompt_field};
  if (code == "context.empty_prompt") return bad_field(prompt_field, "the prompt is empty");
  if (code == "engine.bad_parameter") return bad_field(field_of(e.message), with_hint(e));
  if (code == "engine.bad_stop") return bad_field("stop", with_hint(e));
  if (code == "engine.bad_token" || code.starts_with("template.")) return bad_field(prompt_field, with_hint(e));
  if (code.starts_with("grammar.")) return bad_field(prompt_field, fmt::format("{}: {}", prompt_field, with_hint(e)));
  if (code == "model.is_encoder")
    return {.status = 400, .code = "model_is_encoder", .message = with_hint(e), .param = "model"};
  if (code == "engine.no_token") return bad_field(field_of(e.message), with_hint(e));  // nothing can satisfy it
  if (code == "scheduler.full")
    return {.status = 503, .code = "engine_full", .message = with_hint(e), .retry_after_s = 5};
  if (code == "scheduler.stopped")
    return {.status = 503, .code = "model_put_away", .message = with_hint(e), .retry_after_s = 1};
  if (code == "memory.refused")
    return {.status = 503, .code = "out_of_memory", .message = with_hint(e), .retry_after_s = 5};
  return {.status = 500, .code = code, .message = with_hint(e)};
}

namespace {

using TypeOf = std::pair<int, const char*>;

// The words for statuses that both know, but those of `own`, which go before them.
const char* type_of(int status, std::initializer_list<TypeOf> own, const char* server_error) {
  static constexpr TypeOf kShared[] = {
      {401, "authentication_error"}, {403, "permission_error"}, {404, "not_found_error"}, {429, "rate_limit_error"}};
  const auto is = [&](const TypeOf& t) { return t.first == status; };
  if (const auto* t = std::ranges::find_if(own, is); t != own.end()) return t->second;
  if (const auto* t = std::ranges::find_if(kShared, is); t != std::end(kShared)) return t->second;
  return status >= 500 ? server_error : "invalid_request_error";
}

const char* openai_type(int status) {
  return type_of(status, {{501, "not_supported_error"}, {503, "unavailable_error"}}, "server_error");
}

const char* anthropic_type(int status) {
  return type_of(status, {{413, "request_too_large"}, {503, "overloaded_error"}}, "api_error");
}

// The codes of docs/api.md, section 1, for what is thrown on behalf of every API.
std::string watra_code(const ApiError& e) {
  static constexpr std::pair<std::string_view, std::string_view> kOwn[] = {
      {"invalid_value", "request.invalid"},        {"bad_request", "request.invalid"},
      {"invalid_json", "request.invalid"},         {"unsupported", "request.invalid"},
      {"unsupported_encoding", "request.invalid"}, {"invalid_api_key", "session.needed"},
      {"origin_foreign", "origin.foreign"},        {"host_unknown", "host.unknown"},
      {"route_unknown", "route.unknown"},          {"method_not_allowed", "route.unknown"},
      {"request_too_large", "request.too_large"},  {"engine_full", "engine.full"},
      {"model_not_found", "model.unknown"}};
  for (const auto& [code, own] : kOwn)
    if (e.code == code) return std::string(own);
  return e.code;
}

}  // namespace

Json error_body(const ApiError& e, Dialect dialect) {
  switch (dialect) {
    case Dialect::ollama:
      return {{"error", e.message}};
    case Dialect::anthropic:
      return {{"type", "error"},
              {"error",
               {{"type", anthropic_type(e.status)},
                {"message", e.message.find(e.param) != std::string::npos ? e.message : e.param + ": " + e.message}}}};
    case Dialect::watra: {
      Json error = {{"code", watra_code(e)}, {"message", e.message}};
      if (!e.param.empty()) error["param"] = e.param;
      if (e.more.is_object()) error.update(e.more);
      Json body = {{"error", std::move(error)}};
      if (e.beside.is_object()) body.update(e.beside);
      return body;
    }
    case Dialect::openai:
      break;
  }
  Json error = {{"message", e.message},
                {"type", openai_type(e.status)},
                {"param", e.param.empty() ? Json(nullptr) : Json(e.param)},
                {"code", e.code}};
  if (e.more.is_object()) error.update(e.more);
  return {{"error", std::move(error)}};
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace watra::server
