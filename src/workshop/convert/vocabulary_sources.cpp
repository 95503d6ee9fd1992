// The two files a vocabulary comes from: tokenizer.model and tokenizer.json.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "workshop/convert/json_fields.h"
#include "workshop/convert/pre_tokenizer.h"
#include "workshop/convert/sentencepiece_model.h"
#include "workshop/convert/vocabulary.h"

namespace watra::workshop {

using nlohmann::json;
using text::TokenType;

namespace {

constexpr uint64_t kMaxModelBytes = 256 << 20;

TokenType token_type(SentencePieceModel::Type type) { return static_cast<TokenType>(type); }  // the same numbers
static_assert(static_cast<int>(SentencePieceModel::Type::byte) == static_cast<int>(TokenType::byte) &&
              static_cast<int>(SentencePieceModel::Type::user_defined) == static_cast<int>(TokenType::user_defined) &&
              static_cast<int>(SentencePieceModel::Type::unused) == static_cast<int>(TokenType::unused));

struct AddedToken {
  int64_t id;
  std::string text;
  bool special;
};

tl::unexpected<Error> bad(std::string what) {
  return fail("convert.bad_tokenizer", std::move(what), "is the download complete?");
}

bool flag(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

// tokenizer.json added_tokens: [{"id", "content", "special"}]
Result<std::vector<AddedToken>> added_tokens_of(const json& tokenizer) {
  std::vector<AddedToken> out;
  auto list = tokenizer.find("added_tokens");
  if (list == tokenizer.end() || list->is_null()) return out;
  if (!list->is_array()) return bad("tokenizer.json: added_tokens is not a list");
  for (const json& t : *list) {
    if (!t.is_object() || !t.contains("id") || !t["id"].is_number_integer() || !t.contains("content") ||
        !t["content"].is_string())
      return bad("tokenizer.json: an added token has no id or no content");
    out.push_back({t["id"].get<int64_t>(), t["content"].get<std::string>(), flag(t, "special")});
  }
  return out;
}

// tokenizer_config.json added_tokens_decoder: {"32000": {"content", "special"}}
Result<std::vector<AddedToken>> added_tokens_decoder_of(const json& tokenizer_config) {
  std::vector<AddedToken> out;
  if (!tokenizer_config.is_object()) return out;
  auto map = tokenizer_config.find("added_tokens_decoder");
  if (map == tokenizer_config.end() || map->is_null()) return out;
  if (!map->is_object()) return bad("tokenizer_config.json: added_tokens_decoder is not an object");
  for (const auto& [key, t] : map->items()) {
    int64_t id = -1;
    const auto end = key.data() + key.size();
    if (std::from_chars(key.data(), end, id).ptr != end || !t.is_object() || !t.contains("content") ||
        !t["content"].is_string())
      return bad(fmt::format("tokenizer_config.json: added token {} has no content", key));
    out.push_back({id, t["content"].get<std::string>(), flag(t, "special")});
  }
  return out;
}

// The vocabulary of a tokenizer.json model as id -> text, every id inside the embedding.
Status read_base_vocabulary(const json& model, int64_t n_vocab, Vocabulary& out) {
  auto vocab = model.find("vocab");
  if (vocab == model.end() || !vocab->is_object() || vocab->empty())
    return bad("tokenizer.json: model.vocab is missing");
  for (const auto& [text, id] : vocab->items()) {
    if (!id.is_number_integer()) return bad(fmt::format("tokenizer.json: token {} has no number", text));
    const auto n = id.get<int64_t>();
    if (n < 0 || n >= n_vocab)
      return fail("convert.bad_tokenizer",
                  fmt::format("tokenizer.json: token {} has id {}, config.json has vocab_size {}", text, n, n_vocab),
                  "do config.json and tokenizer.json belong to one model?");
    if (out.types[n] != TokenType::unused) return bad(fmt::format("tokenizer.json: id {} belongs to two tokens", n));
    out.tokens[n] = text;
    out.types[n] = TokenType::normal;
  }
  return {};
}

// Both forms, "a b" and ["a", "b"]. A space inside a part (byte-level alphabets have none) is written as U+0120.
Result<std::vector<std::pair<std::string, std::string>>> read_merges(const json& model) {
  std::vector<std::pair<std::string, std::string>> out;
  auto merges = model.find("merges");
  if (merges == model.end() || !merges->is_array()) return bad("tokenizer.json: model.merges is missing");
  out.reserve(merges->size());
  for (const json& m : *merges) {
    if (m.is_string()) {
      const auto& line = m.get_ref<const std::string&>();
      const size_t space = line.find(' ');
      if (space == std::string::npos || space == 0 || space + 1 == line.size() ||
          line.find(' ', space + 1) != std::string::npos)
        return bad(fmt::format("tokenizer.json: merge {} is not two parts", line));
      out.emplace_back(line.substr(0, space), line.substr(space + 1));
    } else if (m.is_array() && m.size() == 2 && m[0].is_string() && m[1].is_string()) {
      out.emplace_back(m[0].get<std::string>(), m[1].get<std::string>());
    } else {
      return bad("tokenizer.json: a merge is neither \"a b\" nor [\"a\", \"b\"]");
    }
  }
  return out;
}

std::string with_visible_spaces(const std::string& part) {
  std::string out;
  for (char c : part) c == ' ' ? out += "Ġ" : out += c;
  return out;
}

bool is_byte_token(std::string_view t) {
  auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return t.size() == 6 && t.starts_with("<0x") && hex(t[3]) && hex(t[4]) && t[5] == '>';
}

// SentencePiece's own BPE merges whatever pair gives the piece with the best score; here the order of the merges stands
// for the scores. Pieces that no merge makes (characters, bytes) come last, which no text can tell.
std::vector<float> scores_from_merges(const std::vector<std::string>& tokens,
                                      const std::vector<std::pair<std::string, std::string>>& merges) {
  std::unordered_map<std::string, size_t> rank;
  for (size_t i = 0; i < merges.size(); ++i) rank.emplace(merges[i].first + merges[i].second, i);
  std::vector<float> scores;
  for (const std::string& t : tokens) {
    auto it = rank.find(t);
    scores.push_back(-static_cast<float>(it == rank.end() ? merges.size() : it->second));
  }
  return scores;
}

// Whether a space is put in front of the text: Prepend in the normalizer, or Metaspace unless it says never.
bool prepends_space(const json& tokenizer) {
  auto any = [](const json& node, auto&& self, int depth) -> bool {
    if (!node.is_object() || depth > 4) return false;
    const bool typed = node.contains("type");
    if (typed && node["type"] == "Prepend") return true;
    if (typed && node["type"] == "Metaspace")
      return !(node.contains("prepend_scheme") && node["prepend_scheme"] == "never") &&
             !(node.contains("add_prefix_space") && node["add_prefix_space"] == false);
    for (const char* list : {"normalizers", "pretokenizers"})
      if (auto it = node.find(list); it != node.end() && it->is_array())
        for (const json& part : *it)
          if (self(part, self, depth + 1)) return true;
    return false;
  };
  for (const char* part : {"normalizer", "pre_tokenizer"})
    if (auto it = tokenizer.find(part); it != tokenizer.end() && any(*it, any, 0)) return true;
  return false;
}

}  // namespace

Status load_from_sentencepiece(const fs::path& folder, const HfConfig& config, const json& tokenizer_config,
                               const json* tokenizer_json, Vocabulary& out) {
  WATRA_ASSIGN(const std::string bytes, read_text_file(folder / "tokenizer.model", kMaxModelBytes));
  WATRA_ASSIGN(const SentencePieceModel model, parse_sentencepiece_model(bytes));
  if (!model.is_bpe)
    return fail("convert.unsupported_tokenizer",
                "tokenizer.model is not a SentencePiece BPE model; these families have no other in GGUF");
  out.model = "llama";
  out.pre = "default";
  if (!model.add_dummy_prefix) out.add_space_prefix = false;
  start_table(config.n_vocab, /*with_scores=*/true, out);
  const int64_t n_pieces = static_cast<int64_t>(model.pieces.size());
  if (n_pieces > config.n_vocab)
    out.warnings.push_back(fmt::format("tokenizer.model has {} pieces, the embedding {} rows: the last are left out",
                                       n_pieces, config.n_vocab));
  for (int64_t id = 0; id < std::min(n_pieces, config.n_vocab); ++id) {
    const SentencePieceModel::Piece& p = model.pieces[id];
    out.tokens[id] = p.text;
    out.scores[id] = p.score;
    out.types[id] = token_type(p.type);
  }

  WATRA_ASSIGN(const json extra, [&]() -> Result<json> {
    std::error_code ec;
    if (!fs::exists(folder / "added_tokens.json", ec)) return json::object();
    return read_json_object(folder / "added_tokens.json", kMaxModelBytes);
  }());
  for (const auto& [text, id] : extra.items()) {
    if (!id.is_number_integer()) return bad(fmt::format("added_tokens.json: token {} has no number", text));
    set_added_token(id.get<int64_t>(), text, /*special=*/false, out);
  }
  WATRA_ASSIGN(const auto decoder, added_tokens_decoder_of(tokenizer_config));
  for (const AddedToken& t : decoder) set_added_token(t.id, t.text, t.special, out);
  if (tokenizer_json) {
    WATRA_ASSIGN(const auto added, added_tokens_of(*tokenizer_json));
    for (const AddedToken& t : added) {
      const bool unnamed = t.id >= 0 && t.id < config.n_vocab && out.types[t.id] == TokenType::unused;
      if (unnamed || config.family == HfFamily::phi3) set_added_token(t.id, t.text, t.special, out);
    }
  }
  return {};
}

// Pieces that begin a word get a space in front, those that continue one lose their "##".
Status load_from_wordpiece(const HfConfig& config, const json& tokenizer, Vocabulary& out) {
  const auto unsupported = [](std::string what) {
    return fail("convert.unsupported_tokenizer", "tokenizer.json: " + std::move(what),
                "bert in GGUF has BERT's own normalizer and WordPiece");
  };
  const auto part = [&](const char* name) {
    const auto it = tokenizer.is_object() ? tokenizer.find(name) : tokenizer.end();
    return tokenizer.is_object() && it != tokenizer.end() && it->is_object() ? *it : json::object();
  };
  const json model = part("model"), normalizer = part("normalizer");
  JsonFields m(model, "tokenizer.json model"), n(normalizer, "tokenizer.json normalizer");
  const std::string prefix = m.text("continuing_subword_prefix").value_or("##");
  const bool is_wordpiece = m.text("type").value_or("WordPiece") == "WordPiece" && m.has("vocab");
  const bool is_bert = n.text("type") == "BertNormalizer" && n.flag("clean_text").value_or(true) &&
                       n.flag("handle_chinese_chars").value_or(true);
  out.lowercase = n.flag("lowercase").value_or(true);
  out.strip_accents = n.flag("strip_accents");
  WATRA_TRY(m.status());
  WATRA_TRY(n.status());
  if (!is_wordpiece) return unsupported("not a WordPiece model");
  if (prefix != "##") return unsupported(fmt::format("continuing_subword_prefix {}", prefix));
  if (!is_bert) return unsupported("the normalizer is not BertNormalizer with clean_text and handle_chinese_chars");
  out.model = "bert";
  out.pre = "default";
  out.n_token_types = config.n_token_types;
  start_table(config.n_vocab, /*with_scores=*/false, out);
  WATRA_TRY(read_base_vocabulary(model, config.n_vocab, out));
  WATRA_ASSIGN(const auto added, added_tokens_of(tokenizer));
  for (const AddedToken& t : added) set_added_token(t.id, t.text, t.special, out);
  for (size_t i = 0; i < out.tokens.size(); ++i) {
    if (out.types[i] != TokenType::normal) continue;
    if (out.tokens[i].starts_with(prefix))
      out.tokens[i].erase(0, prefix.size());
    else
      out.tokens[i].insert(0, "▁");
  }
  return {};
}

Status load_from_tokenizer_json(const HfConfig& config, const json& tokenizer, const std::string& pre,
                                Vocabulary& out) {
  auto model = tokenizer.find("model");
  if (model == tokenizer.end() || !model->is_object()) return bad("tokenizer.json: model is missing");
  const std::string type =
      model->contains("type") && (*model)["type"].is_string() ? (*model)["type"].get<std::string>() : "BPE";
  if (type != "BPE")
    return fail("convert.unsupported_tokenizer",
                fmt::format("tokenizer.json: a {} model; these families have BPE alone in GGUF", type));

  const bool sentencepiece = flag(*model, "byte_fallback");
  start_table(config.n_vocab, /*with_scores=*/false, out);
  WATRA_TRY(read_base_vocabulary(*model, config.n_vocab, out));
  WATRA_ASSIGN(const auto merges, read_merges(*model));
  if (sentencepiece) {
    out.model = "llama";
    out.pre = "default";
    out.scores = scores_from_merges(out.tokens, merges);
    for (size_t i = 0; i < out.tokens.size(); ++i)
      if (out.types[i] == TokenType::normal && is_byte_token(out.tokens[i])) out.types[i] = TokenType::byte;
    if (!prepends_space(tokenizer)) out.add_space_prefix = false;
  } else {
    out.model = "gpt2";
    out.pre = pre;
    if (pre.empty()) {
      WATRA_ASSIGN(out.pre, recognize_pre_tokenizer(tokenizer));
    }
    out.merges.reserve(merges.size());
    for (const auto& [left, right] : merges)
      out.merges.push_back(with_visible_spaces(left) + " " + with_visible_spaces(right));
  }
  WATRA_ASSIGN(const auto added, added_tokens_of(tokenizer));
  for (const AddedToken& t : added) set_added_token(t.id, t.text, t.special, out);
  return {};
}

}  // namespace watra::workshop
