// tool_formats TEMPLATE...: what text/tool_format finds out about each template, one JSON object a line.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "text/tool_format.h"

using namespace watra;
using Kind = text::ToolFormat::Kind;

namespace {

std::shared_ptr<const text::Tokenizer> tokenizer_of_bytes() {
  text::VocabSpec spec;
  spec.kind = text::VocabKind::spm;
  const auto add = [&](std::string piece, text::TokenType type) {
    spec.pieces.push_back(std::move(piece));
    spec.types.push_back(type);
    spec.scores.push_back(0);
  };
  add("<s>", text::TokenType::control);
  add("</s>", text::TokenType::control);
  for (int b = 0; b < 256; ++b) add(fmt::format("<0x{:02X}>", b), text::TokenType::byte);
  spec.bos = 0;
  spec.eos = 1;
  spec.end_of_generation = {1};
  auto made = text::Tokenizer::create(std::move(spec));
  return made ? std::move(*made) : nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const std::shared_ptr<const text::Tokenizer> tokenizer = tokenizer_of_bytes();
  if (!tokenizer) return 1;
  const std::vector<std::string> ends = {"</s>",          "<|im_end|>", "<|eot_id|>",   "<|eom_id|>",
                                         "<end_of_turn>", "<|end|>",    "<|endoftext|>"};
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    const std::string source((std::istreambuf_iterator<char>(file)), {});
    nlohmann::ordered_json out = {{"file", std::string(argv[i]).substr(std::string(argv[i]).rfind('/') + 1)}};
    const auto prompt = text::ChatPrompt::create(source, tokenizer);
    if (!prompt) {
      out["error"] = prompt.error().message;
    } else {
      const auto f = text::find_tool_format(*prompt, ends);
      out["native"] = f.native;
      if (f.native) {
        std::string call;
        for (const auto& p : f.call)
          call += p.kind == Kind::literal ? p.text : p.kind == Kind::name ? "NAME" : p.kind == Kind::id ? "ID" : "ARGS";
        out["trigger"] = f.trigger;
        out["open"] = f.open;
        out["call"] = call;
        out["separator"] = f.separator;
        out["close"] = f.close;
        out["parallel"] = f.parallel;
        if (f.arguments_as_text) out["arguments_as_text"] = true;
        if (f.short_ids) out["short_ids"] = true;
      }
    }
    fmt::print("{}\n", out.dump());
  }
  return 0;
}
