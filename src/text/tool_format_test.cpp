// Formats found by asking templates: the ways of well-known families, and when our own takes over.
#include "text/tool_format.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text/tool_reader.h"

namespace watra::text {
namespace {

using Json = nlohmann::ordered_json;
using Kind = ToolFormat::Kind;

std::shared_ptr<const Tokenizer> bytes_tokenizer() {
  VocabSpec spec;
  spec.kind = VocabKind::spm;
  for (const char* control : {"</s>", "[TOOL_CALLS]", "[other]"}) {
    spec.pieces.emplace_back(control);
    spec.types.push_back(TokenType::control);
  }
  for (int b = 0; b < 256; ++b) {
    spec.pieces.push_back(fmt::format("<0x{:02X}>", b));
    spec.types.push_back(TokenType::byte);
  }
  spec.scores.assign(spec.pieces.size(), 0.0f);
  spec.eos = 0;
  spec.end_of_generation = {0};
  auto made = Tokenizer::create(std::move(spec));
  EXPECT_TRUE(made) << made.error().to_string();
  return std::move(*made);
}

ToolFormat found(std::string_view source) {
  auto prompt = ChatPrompt::create(source, bytes_tokenizer());
  EXPECT_TRUE(prompt) << prompt.error().to_string();
  return find_tool_format(*prompt, {"</s>", "<|im_end|>"});
}

std::string literals(const ToolFormat& f) {
  std::string out;
  for (const auto& p : f.call)
    out += p.kind == Kind::literal ? p.text : p.kind == Kind::name ? "NAME" : p.kind == Kind::id ? "ID" : "ARGUMENTS";
  return out;
}

constexpr std::string_view kHermes =
    "{%- if tools %}{{ '<|im_start|>system\\nTools:' }}{% for t in tools %}{{ t | tojson }}{% endfor %}{{ "
    "'<|im_end|>\\n' }}{% endif -%}"
    "{%- for m in messages %}{{ '<|im_start|>' + (m.role if m.role != 'tool' else 'user') + '\\n' }}"
    "{%- if m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>{% else %}{{ m.content }}{% endif -%}"
    "{%- for c in m.tool_calls or [] %}{{ '\\n<tool_call>\\n{\"name\": \"' + c.function.name + '\", \"arguments\": ' }}"
    "{{ c.function.arguments | tojson }}{{ '}\\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}{% endfor -%}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}";

constexpr std::string_view kMistral =
    "{%- if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif -%}"
    "{%- for m in messages %}{%- if m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}"
    "{%- if c.id | length != 9 %}{{ raise_exception('ids have length 9') }}{% endif -%}"
    "{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}, \"id\": \"{{ c.id }}\"}"
    "{%- if not loop.last %}, {% endif %}{% endfor %}]</s>"
    "{%- elif m.role == 'tool' %}[TOOL_RESULTS]{{ m.content }}[/TOOL_RESULTS]"
    "{%- elif m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>{% endif %}{% endfor -%}";

constexpr std::string_view kLlama =
    "{%- if tools %}{% for t in tools %}{{ t | tojson }}{% endfor %}{% endif -%}"
    "{%- for m in messages %}<|h|>{{ m.role }}<|/h|>{%- if m.tool_calls %}"
    "{%- if m.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif -%}"
    "{\"name\": \"{{ m.tool_calls[0].function.name }}\", \"parameters\": {{ m.tool_calls[0].function.arguments | "
    "tojson }}}"
    "{%- else %}{{ m.content }}{% endif %}<|im_end|>{% endfor -%}"
    "{%- if add_generation_prompt %}<|h|>assistant<|/h|>{% endif -%}";

constexpr std::string_view kDeepSeek =
    "{%- if tools %}{{ tools | tojson }}{% endif -%}"
    "{%- for m in messages %}{%- if m.tool_calls %}<A><calls>{% for c in m.tool_calls %}<call>function<sep>"
    "{{ c.function.name }}\n```json\n{{ '' + c.function.arguments }}\n```</call>{% if not loop.last %}{{ '\\n' }}{% "
    "endif %}{% "
    "endfor %}"
    "</calls></s>{%- elif m.role == 'assistant' %}<A>{{ m.content }}</s>{% else %}<U>{{ m.content }}{% endif %}{% "
    "endfor -%}"
    "{%- if add_generation_prompt %}<A>{% endif -%}";

TEST(ToolFormat, Hermes) {
  const ToolFormat f = found(kHermes);
  EXPECT_TRUE(f.native);
  EXPECT_TRUE(f.parallel);
  EXPECT_FALSE(f.short_ids);
  EXPECT_FALSE(f.arguments_as_text);
  EXPECT_EQ(literals(f), "<tool_call>\n{\"name\": \"NAME\", \"arguments\": ARGUMENTS}\n</tool_call>");
  EXPECT_EQ(f.open + "|" + f.separator + "|" + f.close + "|" + f.trigger, "|\n||<tool_call>");
}

TEST(ToolFormat, MistralHasIdsAndOneListOfCalls) {
  const ToolFormat f = found(kMistral);
  EXPECT_TRUE(f.native);
  EXPECT_TRUE(f.short_ids);
  EXPECT_EQ(f.open, "[TOOL_CALLS] [");
  EXPECT_EQ(literals(f), "{\"name\": \"NAME\", \"arguments\": ARGUMENTS, \"id\": \"ID\"}");
  EXPECT_EQ(f.separator, ", ");
  EXPECT_EQ(f.close, "]");
  EXPECT_EQ(f.trigger, "[TOOL_CALLS]");
  EXPECT_EQ(f.markers(*bytes_tokenizer()), (std::vector<TokenId>{1}));
}

TEST(ToolFormat, LlamaCallsOneAtATimeWithoutAMarker) {
  const ToolFormat f = found(kLlama);
  EXPECT_TRUE(f.native);
  EXPECT_FALSE(f.parallel);
  EXPECT_EQ(literals(f), "{\"name\": \"NAME\", \"parameters\": ARGUMENTS}");
  EXPECT_EQ(f.open + f.separator + f.close, "");
  EXPECT_EQ(f.trigger, "{\"name\": \"");
}

TEST(ToolFormat, DeepSeekTakesArgumentsAsText) {
  const ToolFormat f = found(kDeepSeek);
  EXPECT_TRUE(f.native);
  EXPECT_TRUE(f.arguments_as_text);
  EXPECT_EQ(f.open, "<calls>");
  EXPECT_EQ(literals(f), "<call>function<sep>NAME\n```json\nARGUMENTS\n```</call>");
  EXPECT_EQ(f.separator, "\n");
  EXPECT_EQ(f.close, "</calls>");
}

TEST(ToolFormat, OurOwnWhereTheTemplateKnowsNone) {
  EXPECT_FALSE(found("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}").native);
  // Tools described, arguments not in JSON.
  EXPECT_FALSE(
      found("{{ tools | tojson }}{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
            "<f={{ c.function.name }}>{% for k, v in c.function.arguments | items %}<p={{ k }}>{{ v }}</p>{% endfor %}"
            "{% endfor %}</s>{% endfor %}")
          .native);
}

TEST(ToolFormat, PlainMessages) {
  const Json messages = Json::parse(R"([{"role":"system","content":"Be kind."},{"role":"user","content":"hi"},
    {"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"name":"f","arguments":{"a":1}}},{"id":"2","function":{"name":"g","arguments":"{}"}}]},
    {"role":"tool","tool_call_id":"1","content":"one"},{"role":"tool","tool_call_id":"2","content":"two"}])");
  const Json tools = Json::parse(R"([{"type":"function","function":{"name":"f","parameters":{}}}])");
  const Json plain = plain_tool_messages(messages, &tools);
  ASSERT_EQ(plain.size(), 4u);
  EXPECT_NE(plain[0]["content"].get<std::string>().find("Be kind.\n\n"), std::string::npos);
  EXPECT_NE(plain[0]["content"].get<std::string>().find("{\"name\":\"f\""), std::string::npos);
  EXPECT_EQ(plain[2]["content"],
            "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>");
  EXPECT_EQ(plain[3]["role"], "user");
  EXPECT_EQ(plain[3]["content"], "<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>");
  EXPECT_FALSE(plain[2].contains("tool_calls"));
}

TEST(ToolReader, TellsTextFromCallsWhereverTheTextIsCut) {
  const std::string hermes =
      "I look.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"]\", \"b\": "
      "[{}]}}\n</tool_call>\n<tool_call>\n"
      "{\"name\": \"g\", \"arguments\": {}}\n</tool_call>";
  const std::string mistral =
      "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"abcdefgh1\"}, "
      "{\"name\": \"g\", \"arguments\": {}, \"id\": \"abcdefgh2\"}]";
  const std::string llama = "{\"name\": \"f\", \"parameters\": {\"x\": {}}}";
  const std::string deepseek =
      "so<calls><call>function<sep>f\n```json\n{\"a\":1}\n```</call>\n<call>function<sep>g\n```json\n{}\n```</call></"
      "calls>";
  const auto calls = [](const ToolFormat& f, std::string_view text, size_t step) {
    ToolReader reader(f);
    std::vector<ToolReader::Event> events;
    for (size_t at = 0; at < text.size(); at += step) reader.feed(text.substr(at, step), events);
    reader.finish(events);
    EXPECT_TRUE(reader.whole());
    Json out = Json::array();
    for (const auto& e : events) {
      if (e.kind == ToolReader::Event::Kind::text) {
        if (out.empty() || !out.back().is_string()) out.push_back("");
        out.back() = out.back().get<std::string>() + e.value;
      } else if (e.kind == ToolReader::Event::Kind::call) {
        out.push_back({e.value, ""});
      } else {
        out.back()[1] = out.back()[1].get<std::string>() + e.value;
      }
    }
    return out.dump();
  };
  for (size_t step = 1; step < 40; ++step) {
    EXPECT_EQ(calls(found(kHermes), hermes, step),
              Json({"I look.", {"f", R"({"a": "}\"]", "b": [{}]})"}, {"g", "{}"}}).dump());
    EXPECT_EQ(calls(found(kMistral), mistral, step), Json::array({{"f", "{\"a\": 1}"}, {"g", "{}"}}).dump());
    EXPECT_EQ(calls(found(kLlama), llama, step), Json::array({{"f", "{\"x\": {}}"}}).dump());
    EXPECT_EQ(calls(found(kDeepSeek), deepseek, step), Json({"so", {"f", "{\"a\":1}"}, {"g", "{}"}}).dump());
  }
}

TEST(ToolReader, ACallWithoutItsMarkerIsOne) {
  for (const char* text : {"{\"name\": \"f\", \"arguments\": {\"a\": \"}\"}}",
                           "{\n  \"name\": \"f\",\n  \"arguments\": {\"a\": \"}\"}\n}"}) {
    for (size_t step = 1; step < 60; ++step) {
      ToolReader reader(own_tool_format());
      std::vector<ToolReader::Event> events;
      const std::string_view all = text;
      for (size_t at = 0; at < all.size(); at += step) reader.feed(all.substr(at, step), events);
      reader.finish(events);
      ASSERT_TRUE(reader.whole());
      ASSERT_EQ(events.at(0).kind, ToolReader::Event::Kind::call);
      EXPECT_EQ(events[0].value, "f");
      std::string arguments;
      for (size_t i = 1; i < events.size(); ++i) {
        EXPECT_EQ(events[i].kind, ToolReader::Event::Kind::arguments);
        arguments += events[i].value;
      }
      EXPECT_EQ(arguments, "{\"a\": \"}\"}");
    }
  }
}

// Texts and calls as they were told, the calls as [name arguments].
std::string told(const ToolFormat& format, std::string_view text, size_t step) {
  ToolReader reader(format, {"f", "g"});
  std::vector<ToolReader::Event> events;
  for (size_t at = 0; at < text.size(); at += step) reader.feed(text.substr(at, step), events);
  reader.finish(events);
  EXPECT_TRUE(reader.whole());
  std::string out;
  int64_t n_calls = 0;
  for (const auto& e : events) {
    const bool is_call = e.kind == ToolReader::Event::Kind::call;
    out += is_call ? "[" + e.value + "]" : e.value;
    n_calls += is_call;
  }
  EXPECT_EQ(reader.n_calls(), n_calls);
  return out;
}

TEST(ToolReader, ACallOfAToolThatNobodyOfferedIsText) {
  const ToolFormat own = own_tool_format(), mistral = found(kMistral), llama = found(kLlama), deep = found(kDeepSeek);
  for (size_t step = 1; step < 90; ++step) {
    for (const std::string text : {
             R"({"name": "hello", "arguments": {"a": "}\"{", "b": [{}]}})",
             "\n{\n  \"name\": \"hello\",\n  \"arguments\": {}\n}\nDone.  \n",
             R"(So: {"name": "hello", "arguments": {"name": "f", "arguments": {}}} and so on)",
             R"({"name": "hello", "arguments": {"a": 1)",
             R"({"name": "hello", "arguments": {}})"
             "<tool_c",
             "I say\n<tool_call>\n{\"name\": \"hello\", \"arguments\": {\"a\": {}}}\n</tool_call>",
             "<tool_call>\n{\"name\": \"f\", \"other\": 1}\n</tool_call>",
         })
      EXPECT_EQ(told(own, text, step), text) << step;
    const std::string bare = R"({"name": "hello", "arguments": {}})", real = R"({"name": "f", "arguments": {"a": 1}})";
    EXPECT_EQ(told(own, bare + "\n" + real, step), bare + "[f]{\"a\": 1}") << step;
    EXPECT_EQ(told(own, bare + "\n<tool_call>\n" + real + "\n</tool_call>", step), bare + "[f]{\"a\": 1}") << step;
    const std::string open = R"({"name": "hello", "arguments": {})";  // without its last brace
    EXPECT_EQ(told(own, open + "\n<tool_call>\n" + real + "\n</tool_call>", step), open + "[f]{\"a\": 1}") << step;
    EXPECT_EQ(told(own, real + "\n" + bare, step), "[f]{\"a\": 1}\n" + bare) << step;
    for (const auto& [format, text] :
         {std::pair{&mistral,
                    std::string(R"([TOOL_CALLS] [{"name": "h", "arguments": {"a": {}}, "id": "abcdefgh1"}])")},
          {&llama, std::string(R"({"name": "h", "parameters": {"name": "f", "parameters": {}}})")},
          {&deep, std::string("so<calls><call>function<sep>h\n```json\n{\"a\":1}\n```</call></calls>")}})
      EXPECT_EQ(told(*format, text, step), text) << step;
  }
}

TEST(ToolReader, AFenceAroundCallsAloneIsDropped) {
  const ToolFormat own = own_tool_format();
  const std::string call = R"({"name": "f", "arguments": {"a": 1}})", shown = "[f]{\"a\": 1}";
  for (size_t step = 1; step < 90; ++step) {
    EXPECT_EQ(told(own, "```json\n" + call + "\n```", step), shown) << step;
    EXPECT_EQ(told(own, "I look:\n\n```json\n" + call + "\n```\n", step), "I look:" + shown) << step;
    EXPECT_EQ(told(own, "```\n<tool_call>\n" + call + "\n</tool_call>\n```\nDone", step), shown + "\nDone") << step;
    EXPECT_EQ(told(own, "```json\n" + call + "\n" + call + "\n```", step), shown + shown) << step;
    // A fence that has something in it stays, also where a call comes after it.
    EXPECT_EQ(told(own, "```py\nx = 1\n```\n<tool_call>\n" + call + "\n</tool_call>", step),
              "```py\nx = 1\n```" + shown)
        << step;
    EXPECT_EQ(told(own, call + "\n```py\nx\n```\n", step), shown + "\n```py\nx\n```") << step;
  }
}

TEST(ToolReader, WhatIsNoCallIsText) {
  for (const char* text : {"```json\n{\"a\": 1}\n```", "```py", "a\n``", "`x` and ```\n", "```\n```\n",
                           "{\"name\": \"Bob\", \"age\": 3}", "if (x) { return; }", "{\"name", "a <tool_cal and more  ",
                           "x <tool_call> y", "", " \n", "<tool_call>\n{\"na"}) {
    for (const size_t step : {1, 2, 5, 100}) {
      ToolReader reader(own_tool_format());
      std::vector<ToolReader::Event> events;
      const std::string_view all = text;
      for (size_t at = 0; at < all.size(); at += step) reader.feed(all.substr(at, step), events);
      reader.finish(events);
      std::string said;
      for (const auto& e : events) {
        EXPECT_EQ(e.kind, ToolReader::Event::Kind::text);
        said += e.value;
      }
      EXPECT_EQ(said, text) << step;
      EXPECT_EQ(reader.n_calls(), 0);
    }
  }
}

}  // namespace
}  // namespace watra::text
