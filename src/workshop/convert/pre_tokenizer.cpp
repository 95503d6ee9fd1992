#include "workshop/convert/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

namespace watra::workshop {

using nlohmann::json;

namespace {

// A pre-tokenizer as a list of steps: "split PATTERN", "digits one", "digits run", "punctuation", "bytes split"
// (ByteLevel with GPT-2's own pattern) and "bytes" (without).
using Steps = std::vector<std::string>;

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TAIL_SLASH "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"

constexpr std::string_view kSplitThreeDigits = "split " CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" TAIL;
constexpr std::string_view kSplitOneDigit = "split " CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" TAIL;
constexpr std::string_view kSplitOneDigitMarks =
    "split " CONTRACTIONS
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSplitTekken =
    "split [^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*|\\p{N}" TAIL_SLASH;
constexpr std::string_view kSplitGpt4o =
    "split [^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER
    "*" CONTRACTIONS "?|\\p{N}{1,3}" TAIL_SLASH;
constexpr std::string_view kSplitDeepSeek3 =
    "split [!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

#undef CONTRACTIONS
#undef TAIL
#undef TAIL_SLASH
#undef UPPER
#undef LOWER

// Line breaks are written both as the two characters \n and as the character itself, in classes and outside.
std::string with_escaped_line_breaks(std::string_view pattern) {
  std::string out;
  for (char c : pattern) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else
      out += c;
  }
  return out;
}

std::optional<std::string> describe(const json& step) {
  if (!step.is_object()) return std::nullopt;
  const std::string type = step.value("type", json()).is_string() ? step["type"].get<std::string>() : "";
  auto flag = [&](const char* key, bool fallback) {
    auto it = step.find(key);
    return it != step.end() && it->is_boolean() ? it->get<bool>() : fallback;
  };
  auto text = [&](const char* key) {
    auto it = step.find(key);
    return it != step.end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  if (type == "ByteLevel") {
    if (flag("add_prefix_space", true)) return std::nullopt;
    return flag("use_regex", true) ? "bytes split" : "bytes";
  }
  if (type == "Digits") return flag("individual_digits", false) ? "digits one" : "digits run";
  if (type == "Punctuation") return "punctuation " + text("behavior");
  if (type == "Split") {
    auto it = step.find("pattern");
    if (it == step.end() || !it->is_object() || !it->contains("Regex") || !(*it)["Regex"].is_string())
      return std::nullopt;
    // "Removed" with invert keeps the matches: the same pieces as "Isolated" when the pattern covers everything.
    const std::string behavior = text("behavior");
    if (!(behavior == "Isolated" && !flag("invert", false)) && !(behavior == "Removed" && flag("invert", false)))
      return std::nullopt;
    return "split " + with_escaped_line_breaks((*it)["Regex"].get<std::string>());
  }
  return std::nullopt;
}

bool has_nfc(const json& tokenizer) {
  auto it = tokenizer.find("normalizer");
  if (it == tokenizer.end() || !it->is_object()) return false;
  auto is_nfc = [](const json& n) { return n.is_object() && n.contains("type") && n["type"] == "NFC"; };
  if (is_nfc(*it)) return true;
  if (auto list = it->find("normalizers"); list != it->end() && list->is_array())
    for (const json& n : *list)
      if (is_nfc(n)) return true;
  return false;
}

std::optional<std::string> name_of(const Steps& s, bool nfc, bool ignore_merges) {
  const bool one_split = s.size() == 2 && s[1] == "bytes";
  if (one_split && s[0] == kSplitThreeDigits) return ignore_merges ? "llama-bpe" : "dbrx";
  if (one_split && s[0] == kSplitOneDigit) return nfc ? "qwen2" : "deepseek-r1-qwen";
  if (one_split && s[0] == kSplitOneDigitMarks) return "qwen35";
  if (one_split && s[0] == kSplitTekken) return "tekken";
  if (one_split && s[0] == kSplitGpt4o) return "gpt-4o";
  if (s == Steps{"bytes split"}) return "gpt-2";
  if (s == Steps{"digits one", "bytes split"}) return nfc ? "command-r" : "smollm";
  if (s.size() == 4 && s[0] == "split \\p{N}{1,3}" && s[1] == "split [一-龥぀-ゟ゠-ヿ]+" &&
      s[2] == kSplitDeepSeek3 && s[3] == "bytes")
    return "deepseek-v3";
  if (s.size() == 6 && s[0] == "split [\\r\\n]" && s[1] == "split \\s?\\p{L}+" && s[2] == "split \\s?\\p{P}+" &&
      s[3].starts_with("split [一-龥") && s[4] == "digits one" && s[5].starts_with("bytes"))
    return "deepseek-coder";
  if (s.size() == 7 && s[0] == "split [\\r\\n]" && s[1].starts_with("split \\s?[A-Za-z") &&
      s[2].starts_with("split \\s?[!-/") && s[3] == "split \\s+$" && s[4].starts_with("split [一-龥") &&
      s[5] == "digits one" && s[6].starts_with("bytes"))
    return "deepseek-llm";
  return std::nullopt;
}

}  // namespace

Result<std::string> recognize_pre_tokenizer(const json& tokenizer) {
  auto unknown = [&] {
    auto it = tokenizer.find("pre_tokenizer");
    std::string found = it == tokenizer.end() ? "none" : it->dump(-1, ' ', true, json::error_handler_t::replace);
    if (found.size() > 300) found = fmt::format("{}...", std::string_view(found).substr(0, 297));
    return fail("convert.unknown_pre_tokenizer",
                fmt::format("tokenizer.json: no GGUF name is known for this pre_tokenizer: {}", found),
                "--pre NAME sets the name (tokenizer.ggml.pre) of one that splits the same way");
  };
  auto it = tokenizer.find("pre_tokenizer");
  if (it == tokenizer.end() || !it->is_object()) return unknown();
  Steps steps;
  if (auto list = it->find("pretokenizers"); list != it->end() && list->is_array()) {
    for (const json& step : *list) {
      auto name = describe(step);
      if (!name) return unknown();
      steps.push_back(*std::move(name));
    }
  } else if (auto name = describe(*it)) {
    steps.push_back(*std::move(name));
  }
  auto model = tokenizer.find("model");
  const bool ignore_merges = model != tokenizer.end() && model->is_object() && model->contains("ignore_merges") &&
                             (*model)["ignore_merges"].is_boolean() && (*model)["ignore_merges"].get<bool>();
  auto name = name_of(steps, has_nfc(tokenizer), ignore_merges);
  if (!name) return unknown();
  return *std::move(name);
}

}  // namespace watra::workshop
