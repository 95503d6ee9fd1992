#include "server/router.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

Router example() {
  Router r;
  r.add({.method = "GET", .pattern = "/v1/models", .handler = {}});
  r.add({.method = "GET", .pattern = "/v1/models/{id*}", .handler = {}});
  r.add({.method = "POST", .pattern = "/v1/chat/completions", .handler = {}});
  r.add({.method = "GET", .pattern = "/watra/v1/threads/{thread}/messages", .handler = {}});
  return r;
}

TEST(Router, FindsByMethodAndPath) {
  const Router r = example();
  ASSERT_NE(r.find("GET", "/v1/models").route, nullptr);
  EXPECT_EQ(r.find("HEAD", "/v1/models").route, r.find("GET", "/v1/models").route);
  EXPECT_EQ(r.find("GET", "/v1/models/").route, nullptr);
  EXPECT_EQ(r.find("GET", "/v1").route, nullptr);
  EXPECT_EQ(r.find("GET", "/v1/chat/completions").allow, "POST");
  EXPECT_EQ(r.find("POST", "/v1/models").allow, "GET, HEAD");
  EXPECT_EQ(r.find("GET", "/nowhere").allow, "");
}

TEST(Router, APrefixIsWholeSegments) {
  Router r = example();
  r.set_prefix("/llm");
  EXPECT_NE(r.find("GET", "/llm/v1/models").route, nullptr);
  for (const char* outside : {"/v1/models", "/llmv1/models", "/llmx/v1/models", "/llm", "/"})
    EXPECT_EQ(r.find("GET", outside).route, nullptr) << outside;
  EXPECT_EQ(r.inner("/llm/api/tags"), "/api/tags");
  EXPECT_EQ(r.inner("/llmx"), std::nullopt);
  EXPECT_EQ(example().inner("/v1/models"), "/v1/models");
}

TEST(Router, TakesParametersFromThePath) {
  const Router r = example();
  EXPECT_EQ(r.find("GET", "/v1/models/org/repo/file").params.at("id"), "org/repo/file");
  EXPECT_EQ(r.find("GET", "/v1/models/a%20b").params.at("id"), "a b");
  EXPECT_EQ(r.find("GET", "/v1/models/a%2").route, nullptr);
  EXPECT_EQ(r.find("GET", "/watra/v1/threads/t_1/messages").params.at("thread"), "t_1");
  EXPECT_EQ(r.find("GET", "/watra/v1/threads/t_1/2/messages").route, nullptr);
}

TEST(Router, ErrorsHaveTheShapeOfTheirApi) {
  EXPECT_EQ(dialect_of("/v1/messages"), Dialect::anthropic);
  EXPECT_EQ(dialect_of("/api/chat"), Dialect::ollama);
  EXPECT_EQ(dialect_of("/watra/v1/house"), Dialect::watra);
  EXPECT_EQ(dialect_of("/completion"), Dialect::openai);

  const ApiError e = bad_field("top_p", "top_p needs 0 to 1, found 7");
  EXPECT_EQ(error_body(e, Dialect::openai)["error"]["param"], "top_p");
  EXPECT_EQ(error_body(e, Dialect::openai)["error"]["type"], "invalid_request_error");
  EXPECT_EQ(error_body(e, Dialect::anthropic)["type"], "error");
  EXPECT_TRUE(error_body(e, Dialect::ollama)["error"].is_string());
  EXPECT_EQ(error_body(e, Dialect::watra)["error"]["code"], "request.invalid");
}

TEST(ApiErrors, EngineErrorsNameTheirField) {
  const Error range{"engine.bad_parameter", "top_p: needs 0 to 1, found 1.5", ""};
  EXPECT_EQ(from_error(range, "prompt").param, "top_p");
  EXPECT_EQ(from_error(range, "prompt").status, 400);
  const ApiError full = from_error({"scheduler.full", "too many", ""}, "prompt");
  EXPECT_EQ(full.status, 503);
  EXPECT_GT(full.retry_after_s, 0);
  EXPECT_EQ(from_error({"context.overflow", "x", ""}, "messages").code, "context_length_exceeded");
}

TEST(ApiErrors, BadBytesLeaveAsReplacementCharacters) {
  EXPECT_EQ(dump(Json{{"a", "\xff"}}), "{\"a\":\"\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace watra::server
