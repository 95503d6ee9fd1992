#include "workshop/convert/vocabulary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workshop/convert/family.h"
#include "workshop/convert/json_fields.h"

namespace watra::workshop {

using checkpoint::MetaArray;
using checkpoint::Metadata;
using checkpoint::MetaType;
using checkpoint::MetaValue;
using nlohmann::json;
using text::TokenType;

namespace {

constexpr uint64_t kMaxTokenizerBytes = 256 << 20;  // the largest published tokenizer.json has 33 MB
constexpr uint64_t kMaxTemplateBytes = 8 << 20;
constexpr float kAddedScore = -1000.0f, kPaddingScore = -10000.0f;  // as llama.cpp's converter writes them

Result<json> read_optional_object(const fs::path& path, uint64_t max_bytes) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return json();
  return read_json_object(path, max_bytes);
}

bool uses_byte_level(const json& tokenizer) {
  auto is_byte_level = [](const json& step) {
    return step.is_object() && step.contains("type") && step["type"] == "ByteLevel";
  };
  auto it = tokenizer.find("pre_tokenizer");
  if (it == tokenizer.end() || !it->is_object()) return false;
  if (is_byte_level(*it)) return true;
  auto list = it->find("pretokenizers");
  return list != it->end() && list->is_array() && std::any_of(list->begin(), list->end(), is_byte_level);
}

// "<s>" or {"content": "<s>", ...}; empty when the key has neither.
std::string token_text(const json& object, const char* key) {
  if (!object.is_object()) return {};
  auto it = object.find(key);
  if (it == object.end()) return {};
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string())
    return (*it)["content"].get<std::string>();
  return {};
}

// Which tokens the post-processor puts around a text.
struct Surroundings {
  std::optional<bool> add_bos, add_eos;
  std::string first, last;  // token texts of a template that adds them
};

Surroundings read_post_processor(const json& tokenizer) {
  Surroundings s;
  auto special = [](const json& part) -> std::string {
    if (!part.is_object() || !part.contains("SpecialToken")) return {};
    const json& token = part["SpecialToken"];
    return token.is_object() && token.contains("id") && token["id"].is_string() ? token["id"].get<std::string>() : "";
  };
  auto one = [&](const json& p) {
    if (!p.is_object() || !p.contains("type")) return;
    if (p["type"] == "ByteLevel") {
      if (!s.add_bos) s.add_bos = false;
      if (!s.add_eos) s.add_eos = false;
    } else if (p["type"] == "TemplateProcessing" && p.contains("single") && p["single"].is_array() &&
               p["single"].size() > 1) {
      if (s.first = special(p["single"].front()); !s.first.empty()) s.add_bos = true;
      if (s.last = special(p["single"].back()); !s.last.empty()) s.add_eos = true;
    }
  };
  auto it = tokenizer.find("post_processor");
  if (it == tokenizer.end() || !it->is_object()) return s;
  if (auto list = it->find("processors"); list != it->end() && list->is_array()) {
    for (const json& p : *list) one(p);
  } else {
    one(*it);
  }
  return s;
}

void find_special_ids(const json& tokenizer_config, const Surroundings& around, const HfConfig& config, Vocabulary& v) {
  auto id_of = [&](const std::string& token) -> std::optional<int64_t> {
    if (token.empty()) return std::nullopt;
    auto it = std::find(v.tokens.begin(), v.tokens.end(), token);
    if (it == v.tokens.end()) return std::nullopt;
    return it - v.tokens.begin();
  };
  for (const char* kind : {"bos", "eos", "unk", "sep", "pad", "cls", "mask"}) {
    std::string text = token_text(tokenizer_config, (std::string(kind) + "_token").c_str());
    if (kind == std::string_view("bos") && text.empty()) text = around.first;
    if (kind == std::string_view("eos") && !around.last.empty() && text != around.last) {
      if (auto id = id_of(text)) v.special.emplace_back("eot", *id);
      text = around.last;
    }
    auto id = id_of(text);
    if (!id)
      if (auto it = config.token_ids.find(kind); it != config.token_ids.end()) id = it->second;
    if (id) v.special.emplace_back(kind, *id);
  }
}

Status read_chat_template(const fs::path& folder, const json& tokenizer_config, Vocabulary& v) {
  const json* value = nullptr;
  json other;
  if (tokenizer_config.is_object() && tokenizer_config.contains("chat_template"))
    value = &tokenizer_config["chat_template"];
  std::error_code ec;
  if (!value || value->is_null()) {
    if (fs::exists(folder / "chat_template.jinja", ec)) {
      WATRA_ASSIGN(other, read_text_file(folder / "chat_template.jinja", kMaxTemplateBytes));
    } else {
      WATRA_ASSIGN(const json file, read_optional_object(folder / "chat_template.json", kMaxTemplateBytes));
      if (file.is_object() && file.contains("chat_template")) other = file["chat_template"];
    }
    value = &other;
  }
  if (value->is_string()) v.chat_template = value->get<std::string>();
  if (!value->is_array()) return {};
  for (const json& entry : *value) {
    std::string name = token_text(entry, "name");
    if (name.empty() || !entry.contains("template") || !entry["template"].is_string()) continue;
    for (char& c : name)
      if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    const auto text = entry["template"].get<std::string>();
    if (name == "default")
      v.chat_template = text;
    else
      v.named_templates.emplace_back(name, text);
  }
  return {};
}

// Some models forget to mark control tokens as special.
bool looks_special(std::string_view t) {
  return t == "<pad>" || t == "<mask>" || t == "<2mass>" || t == "[@BOS@]" ||
         (t.starts_with("<|") && t.ends_with("|>")) || (t.starts_with("<｜") && t.ends_with("｜>")) ||
         (t.starts_with("<unused") && t.ends_with(">"));
}

}  // namespace

void start_table(int64_t n_vocab, bool with_scores, Vocabulary& out) {
  for (int64_t i = 0; i < n_vocab; ++i) out.tokens.push_back(fmt::format("[PAD{}]", i));
  out.types.assign(n_vocab, TokenType::unused);
  if (with_scores) out.scores.assign(n_vocab, kPaddingScore);
}

void set_added_token(int64_t id, std::string text, bool special, Vocabulary& out) {
  if (id < 0 || id >= static_cast<int64_t>(out.tokens.size())) {
    out.warnings.push_back(fmt::format("added token {} has id {}, beyond the {} rows of the embedding: left out", text,
                                       id, out.tokens.size()));
    return;
  }
  const bool control = special || looks_special(text);
  if (!control)
    for (size_t at; (at = text.find("▁")) != std::string::npos;) text.replace(at, std::string_view("▁").size(), " ");
  out.tokens[id] = std::move(text);
  out.types[id] = control ? TokenType::control : TokenType::user_defined;
  if (!out.scores.empty()) out.scores[id] = kAddedScore;
}

Result<Vocabulary> load_vocabulary(const fs::path& folder, const HfConfig& config, const std::string& pre) {
  WATRA_ASSIGN(const json tokenizer, read_optional_object(folder / "tokenizer.json", kMaxTokenizerBytes));
  WATRA_ASSIGN(const json tokenizer_config, read_optional_object(folder / "tokenizer_config.json", kMaxTokenizerBytes));
  std::error_code ec;
  const bool has_model = fs::exists(folder / "tokenizer.model", ec);
  if (!has_model && tokenizer.is_null())
    return fail("convert.no_tokenizer",
                fmt::format("{} has neither tokenizer.json nor tokenizer.model", folder.string()),
                "both are part of the model's download; a folder of weights alone is not enough");

  Vocabulary v;
  if (is_encoder(config.family)) {
    WATRA_TRY(load_from_wordpiece(config, tokenizer, v));
    find_special_ids(tokenizer_config, {}, config, v);
    return v;
  }
  if (has_model && !uses_byte_level(tokenizer)) {
    WATRA_TRY(load_from_sentencepiece(folder, config, tokenizer_config, tokenizer.is_null() ? nullptr : &tokenizer, v));
  } else {
    WATRA_TRY(load_from_tokenizer_json(config, tokenizer, pre, v));
  }
  if (config.family == HfFamily::gemma2 || config.family == HfFamily::gemma3) v.add_space_prefix = false;

  const Surroundings around = read_post_processor(tokenizer);
  v.add_bos = around.add_bos;
  v.add_eos = around.add_eos;
  if (tokenizer_config.is_object()) {
    JsonFields f(tokenizer_config, "tokenizer_config.json");
    if (!v.add_bos) v.add_bos = f.flag("add_bos_token");
    if (!v.add_eos) v.add_eos = f.flag("add_eos_token");
    if (auto prefix = f.flag("add_prefix_space");
        prefix && (config.family == HfFamily::llama || config.family == HfFamily::mistral))
      v.add_space_prefix = prefix;
    WATRA_TRY(f.status());
  }
  find_special_ids(tokenizer_config, around, config, v);
  WATRA_TRY(read_chat_template(folder, tokenizer_config, v));
  return v;
}

void add_to_metadata(const Vocabulary& v, Metadata& m) {
  auto array = [](MetaArray a) { return MetaValue{MetaType::array, std::make_shared<const MetaArray>(std::move(a))}; };
  auto strings = [&](std::vector<std::string> values) {
    MetaArray a;
    a.element_type = MetaType::string;
    a.strings = std::move(values);
    return array(std::move(a));
  };
  m.set("tokenizer.ggml.model", meta_string(v.model));
  m.set("tokenizer.ggml.pre", meta_string(v.pre));
  m.set("tokenizer.ggml.tokens", strings(v.tokens));
  if (!v.scores.empty()) {
    MetaArray a;
    a.element_type = MetaType::f32;
    a.f64.assign(v.scores.begin(), v.scores.end());
    m.set("tokenizer.ggml.scores", array(std::move(a)));
  }
  MetaArray types;
  types.element_type = MetaType::i32;
  for (TokenType t : v.types) types.i64.push_back(static_cast<int64_t>(t));
  m.set("tokenizer.ggml.token_type", array(std::move(types)));
  if (!v.merges.empty()) m.set("tokenizer.ggml.merges", strings(v.merges));
  for (const auto& [kind, id] : v.special) {
    const std::string name = kind == "unk"   ? "unknown"
                             : kind == "sep" ? "seperator"
                             : kind == "pad" ? "padding"
                                             : kind;  // sic: seperator
    m.set("tokenizer.ggml." + name + "_token_id", meta_u32(static_cast<uint64_t>(id)));
  }
  if (v.add_bos) m.set("tokenizer.ggml.add_bos_token", meta_bool(*v.add_bos));
  if (v.add_eos) m.set("tokenizer.ggml.add_eos_token", meta_bool(*v.add_eos));
  if (v.add_space_prefix) m.set("tokenizer.ggml.add_space_prefix", meta_bool(*v.add_space_prefix));
  if (v.lowercase) m.set("tokenizer.ggml.normalizer.lowercase", meta_bool(*v.lowercase));
  if (v.strip_accents) m.set("tokenizer.ggml.normalizer.strip_accents", meta_bool(*v.strip_accents));
  if (v.n_token_types > 0) m.set("tokenizer.ggml.token_type_count", meta_u32(static_cast<uint64_t>(v.n_token_types)));
  std::vector<std::string> names;
  for (const auto& [name, text] : v.named_templates) {
    m.set("tokenizer.chat_template." + name, meta_string(text));
    names.push_back(name);
  }
  if (!names.empty()) m.set("tokenizer.chat_templates", strings(names));
  if (v.chat_template) m.set("tokenizer.chat_template", meta_string(*v.chat_template));
}

}  // namespace watra::workshop
