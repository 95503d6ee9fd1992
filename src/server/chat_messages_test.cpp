#include "server/chat_messages.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

TEST(ChatMessages, WhatAModelWroteIsReadWhereItIsWhole) {
  EXPECT_EQ(read_written_arguments("{\"a\": [1]}"), Json::object({{"a", {1}}}));
  for (const std::string& text : {std::string(), std::string("{\"a\": "), std::string("{\"a\": \"\xff\"}"),
                                  "{\"a\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}"})
    EXPECT_FALSE(read_written_arguments(text)) << text.substr(0, 20);
}

}  // namespace
}  // namespace watra::server
