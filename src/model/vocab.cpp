#include "model/vocab.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <type_traits>
#include <unordered_map>

#include "base/log.h"
#include "text/pretokenizer.h"

namespace watra::model {
namespace {

using checkpoint::MetaArray;
using checkpoint::Metadata;
using text::kNoToken;
using text::TokenId;
using text::TokenType;
using text::VocabKind;
using text::VocabSpec;
using Spellings = std::initializer_list<std::string_view>;

tl::unexpected<Error> bad(std::string message) {
  return fail("model.bad_vocab", std::move(message), "convert the model again, or take another copy");
}

// A float beyond T's ends becomes the end, and one that is no number 0: a file may say anything. Whole numbers keep
// their low bits: bytes may be signed in a file.
template <class T, class From>
T number(From value) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<T>) {
    if (std::isnan(value)) return 0;
    // Powers of two, so exact; the largest T itself may not be.
    const double end = std::ldexp(1.0, Limits::digits);
    if (value >= end) return Limits::max();
    if (value <= (std::is_signed_v<T> ? -end : 0.0)) return Limits::min();
    return static_cast<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

// An array of whole numbers of any width, or of floats, as T.
template <class T>
std::vector<T> numbers(const MetaArray& array) {
  std::vector<T> out;
  out.reserve(array.size());
  const auto append = [&](const auto& values) {
    for (const auto v : values) out.push_back(number<T>(v));
  };
  append(array.u64);
  append(array.i64);
  append(array.f64);
  return out;
}

Status read_pieces(const Metadata& meta, VocabSpec& spec) {
  const MetaArray* const tokens = meta.get_array("tokenizer.ggml.tokens");
  if (!tokens || tokens->strings.empty())
    return bad("tokenizer.ggml.tokens, the list of pieces, is missing or not a list of strings");
  spec.pieces = tokens->strings;
  const size_t n = spec.pieces.size();
  for (size_t id = 0; id < n; ++id) {
    if (spec.pieces[id].empty()) spec.pieces[id] = fmt::format("[EMPTY_{}]", id);
  }
  if (const MetaArray* const scores = meta.get_array("tokenizer.ggml.scores")) {
    spec.scores = numbers<float>(*scores);
    if (spec.scores.size() < n)
      return bad(fmt::format("tokenizer.ggml.scores has {} entries for {} pieces", spec.scores.size(), n));
    spec.scores.resize(n);
  }
  spec.types.assign(n, TokenType::normal);
  if (const MetaArray* const types = meta.get_array("tokenizer.ggml.token_type")) {
    const auto values = numbers<int64_t>(*types);
    if (values.size() < n)
      return bad(fmt::format("tokenizer.ggml.token_type has {} entries for {} pieces", values.size(), n));
    for (size_t id = 0; id < n; ++id) {
      if (values[id] >= 1 && values[id] <= 6) spec.types[id] = static_cast<TokenType>(values[id]);
    }
  }
  if (const MetaArray* const merges = meta.get_array("tokenizer.ggml.merges")) spec.merges = merges->strings;
  if (const MetaArray* const charsmap = meta.get_array("tokenizer.ggml.precompiled_charsmap")) {
    spec.precompiled_charsmap = numbers<uint8_t>(*charsmap);
  }
  return {};
}

// Files older than tokenizer.ggml.pre: where an architecture has had one tokenizer only, it is known all the same.
std::string family_of(const Metadata& meta) {
  if (auto pre = meta.get_string("tokenizer.ggml.pre")) return *pre;
  static constexpr std::pair<std::string_view, std::string_view> kByArchitecture[] = {
      {"gpt2", "gpt-2"},          {"gptneox", "gpt-neox"},    {"mpt", "mpt"},       {"falcon", "falcon"},
      {"bloom", "bloom"},         {"starcoder", "starcoder"}, {"refact", "refact"}, {"command-r", "command-r"},
      {"qwen2", "qwen2"},         {"qwen2moe", "qwen2"},      {"qwen3", "qwen2"},   {"qwen3moe", "qwen2"},
      {"codeshell", "codeshell"}, {"jais", "jais"},           {"olmo", "olmo"},     {"dbrx", "dbrx"},
  };
  const std::string architecture = meta.get_string("general.architecture").value_or("");
  for (const auto& [name, family] : kByArchitecture) {
    if (name == architecture) return std::string(family);
  }
  log::warn(
      "the file does not say how its tokenizer splits text (tokenizer.ggml.pre); using \"default\", answers may "
      "suffer");
  return "default";
}

// Kind, and the defaults that hang on it (llama.cpp's).
Status read_kind(const Metadata& meta, VocabSpec& spec) {
  const std::string kind = meta.get_string("tokenizer.ggml.model").value_or("");
  spec.pre = meta.get_string("tokenizer.ggml.pre").value_or("");
  if (kind.empty()) return bad("tokenizer.ggml.model, the kind of tokenizer, is missing");
  if (kind == "none" || kind == "no_vocab") {
    spec.kind = VocabKind::none;
  } else if (kind == "llama") {
    spec.kind = VocabKind::spm;
    spec.bos = 1, spec.eos = 2, spec.unk = 0;
    spec.add_bos = true;
  } else if (kind == "gemma4") {
    spec.kind = VocabKind::spm;  // SentencePiece's characters and byte tokens, ranked by the list of merges
    spec.pre = "gemma4";
    spec.add_space_prefix = false;
    spec.add_bos = true;
  } else if (kind == "gpt2") {
    spec.pre = family_of(meta);
    if (spec.pre == "gemma4" || spec.pre == "granite-embed-multi-311m" || spec.pre == "sarvam-moe") {
      spec.kind = VocabKind::spm;
      spec.add_bos = spec.pre != "sarvam-moe";
    } else {
      spec.kind = VocabKind::bpe;
      spec.bos = spec.eos = 11;
      spec.escape_whitespaces = false;
      if (const auto* const family = text::find_pre_family(spec.pre)) {
        spec.ignore_merges = family->ignore_merges;
        spec.add_bos = family->add_bos;
      }
      spec.add_sep = spec.pre == "jina-v1-en" || spec.pre == "jina-v2-code" || spec.pre == "roberta-bpe";
      if (spec.pre == "chatglm-bpe" || spec.pre == "glm4" || spec.pre == "glm5") spec.bos = kNoToken;
    }
    spec.add_space_prefix = false;
    if (!meta.get_array("tokenizer.ggml.merges"))
      return bad("tokenizer.ggml.merges is missing; byte-level BPE needs it");
  } else if (kind == "t5") {
    spec.kind = VocabKind::unigram;
    spec.eos = 1, spec.unk = 2, spec.pad = 0;
    spec.add_eos = true;
    spec.add_space_prefix = false;
  } else if (kind == "bert") {
    spec.kind = VocabKind::wordpiece;
    spec.bos = 101, spec.unk = 100, spec.sep = 102, spec.pad = 0, spec.mask = 103;
    spec.add_bos = spec.add_sep = true;
    spec.add_space_prefix = false;
    spec.lowercase = true;
  } else {
    return fail("model.unknown_tokenizer",
                fmt::format("tokenizer.ggml.model is \"{}\"; known are llama, gpt2, gemma4, t5, bert", kind),
                "a newer version may know it");
  }
  return {};
}

void read_flags(const Metadata& meta, VocabSpec& spec) {
  const auto flag = [&](std::string_view key, bool& value) { value = meta.get_bool(key).value_or(value); };
  flag("tokenizer.ggml.add_space_prefix", spec.add_space_prefix);
  flag("tokenizer.ggml.remove_extra_whitespaces", spec.remove_extra_whitespaces);
  flag("tokenizer.ggml.add_bos_token", spec.add_bos);
  flag("tokenizer.ggml.add_eos_token", spec.add_eos);
  flag("tokenizer.ggml.add_sep_token", spec.add_sep);
  flag("tokenizer.ggml.normalizer.lowercase", spec.lowercase);
  spec.strip_accents = spec.lowercase;
  flag("tokenizer.ggml.normalizer.strip_accents", spec.strip_accents);
  if (spec.pre == "gemma4" || spec.pre == "granite-embed-multi-311m")
    spec.add_bos = true;  // files of this family forget it
}

struct SpecialKey {
  std::string_view key;
  TokenId VocabSpec::*id;
};

constexpr SpecialKey kSpecialKeys[] = {
    {"tokenizer.ggml.bos_token_id", &VocabSpec::bos},
    {"tokenizer.ggml.eos_token_id", &VocabSpec::eos},
    {"tokenizer.ggml.eot_token_id", &VocabSpec::eot},
    {"tokenizer.ggml.eom_token_id", &VocabSpec::eom},
    {"tokenizer.ggml.unknown_token_id", &VocabSpec::unk},
    {"tokenizer.ggml.seperator_token_id", &VocabSpec::sep},  // the format's own spelling
    {"tokenizer.ggml.padding_token_id", &VocabSpec::pad},
    {"tokenizer.ggml.mask_token_id", &VocabSpec::mask},
    {"tokenizer.ggml.cls_token_id", &VocabSpec::cls},
    {"tokenizer.ggml.fim_pre_token_id", &VocabSpec::fim_prefix},
    {"tokenizer.ggml.fim_suf_token_id", &VocabSpec::fim_suffix},
    {"tokenizer.ggml.fim_mid_token_id", &VocabSpec::fim_middle},
    {"tokenizer.ggml.prefix_token_id", &VocabSpec::fim_prefix},  // names of older files
    {"tokenizer.ggml.suffix_token_id", &VocabSpec::fim_suffix},
    {"tokenizer.ggml.middle_token_id", &VocabSpec::fim_middle},
};

void read_special_ids(const Metadata& meta, VocabSpec& spec) {
  const auto n = static_cast<uint64_t>(spec.pieces.size());
  for (const SpecialKey& key : kSpecialKeys) {
    TokenId& id = spec.*key.id;
    if (id != kNoToken && static_cast<uint64_t>(id) >= n) id = kNoToken;  // a default this vocabulary is too small for
    const auto value = meta.get_u64(key.key);
    if (!value) continue;
    if (*value < n) {
      id = static_cast<TokenId>(*value);
    } else {
      log::warn("{} is {}, outside the {} pieces of the vocabulary; ignored", key.key, *value, n);
    }
  }
}

// Finding tokens by how they are spelled, and giving them the type they should have.
class Spelling {
 public:
  explicit Spelling(VocabSpec& spec) : spec_(spec) {
    by_piece_.reserve(spec.pieces.size());
    for (size_t id = 0; id < spec.pieces.size(); ++id) by_piece_.try_emplace(spec.pieces[id], static_cast<TokenId>(id));
  }

  TokenId find(std::string_view piece) const {
    const auto found = by_piece_.find(piece);
    return found == by_piece_.end() ? kNoToken : found->second;
  }

  // The first of `spellings` that exists, made a control token.
  TokenId control(Spellings spellings) {
    for (const std::string_view piece : spellings) {
      if (const TokenId id = find(piece); id != kNoToken) {
        make_control(id);
        return id;
      }
    }
    return kNoToken;
  }

  void make_control(TokenId id) {
    TokenType& type = spec_.types[static_cast<size_t>(id)];
    if (type != TokenType::unknown) type = TokenType::control;
  }

 private:
  VocabSpec& spec_;
  std::unordered_map<std::string_view, TokenId> by_piece_;
};

void find_special_tokens(VocabSpec& spec, Spelling& spelling) {
  const auto fill = [&](TokenId& id, Spellings spellings) {
    if (id == kNoToken) id = spelling.control(spellings);
  };
  fill(spec.eot, {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>",
                  "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"});
  fill(spec.eom, {"<|eom_id|>"});
  fill(spec.fim_prefix, {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
                         "<|code_prefix|>", "<|prefix|>"});
  fill(spec.fim_suffix, {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
                         "<|code_suffix|>", "<|suffix|>"});
  fill(spec.fim_middle, {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
                         "<|code_middle|>", "<|middle|>"});
}

// Every token after which a model has nothing more to say. Files name one; chat models have several.
void find_end_of_generation(VocabSpec& spec, Spelling& spelling) {
  auto& ends = spec.end_of_generation;
  const auto add = [&](TokenId id) {
    if (id != kNoToken && std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  };
  // A model that fills in the middle of files has left the file when it writes one of these.
  for (const Spellings& spellings :
       {Spellings{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"},
        Spellings{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}, Spellings{"<|file_sep|>"}}) {
    add(spelling.control(spellings));
  }
  for (const std::string_view piece : {"<|eot_id|>",
                                       "<|im_end|>",
                                       "<|end|>",
                                       "<|return|>",
                                       "<|call|>",
                                       "<|flush|>",
                                       "<|calls|>",
                                       "<end_of_turn>",
                                       "<|endoftext|>",
                                       "</s>",
                                       "<|eom_id|>",
                                       "<EOT>",
                                       "_<EOT>",
                                       "[EOT]",
                                       "[EOS]",
                                       "<|end_of_text|>",
                                       "<end_of_utterance>",
                                       "<eos>",
                                       "<turn|>",
                                       "<|tool_response>",
                                       "<｜end▁of▁sentence｜>",
                                       "[e~["}) {
    if (piece == "</s>" && spelling.find("<eos>") != kNoToken) continue;  // Gemma: the end of HTML's <s>
    add(spelling.control({piece}));
  }
  add(spec.eos);
  add(spec.eot);
  add(spec.eom);

  const auto drop = [&](std::string_view piece, TokenType type) {
    const TokenId id = spelling.find(piece);
    if (id == kNoToken) return;
    ends.erase(std::remove(ends.begin(), ends.end(), id), ends.end());
    spec.types[static_cast<size_t>(id)] = type;
  };
  const auto has = [&](std::string_view piece) {
    const TokenId id = spelling.find(piece);
    return id != kNoToken && std::find(ends.begin(), ends.end(), id) != ends.end();
  };
  // Formats with channels end each message with <|end|> and go on speaking.
  const bool calls = has("<|call|>") || has("<|calls|>");
  if (has("<|end|>") && calls && (has("<|return|>") || has("<|flush|>"))) drop("<|end|>", TokenType::user_defined);
  for (const std::string_view piece : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}) {
    if (const TokenId id = spelling.find(piece); id != kNoToken)
      spec.types[static_cast<size_t>(id)] = TokenType::user_defined;
  }
  std::sort(ends.begin(), ends.end());
}

// Which tokens take the white space beside them is not in the file; it goes by the model's name.
void find_stripping_tokens(const Metadata& meta, VocabSpec& spec, const Spelling& spelling) {
  std::string name = meta.get_string("general.name").value_or("");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string architecture = meta.get_string("general.architecture").value_or("");
  const auto contains = [](const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  };
  const auto strips_left = [&](std::string_view piece) {
    if (const TokenId id = spelling.find(piece); id != kNoToken) spec.strips_left.push_back(id);
  };
  if (spec.pre.starts_with("jina-v2-") || contains(architecture, "nomic-bert-moe") ||
      contains(architecture, "jina-bert-v3")) {
    strips_left("<mask>");
  } else if (contains(name, "phi-3") || contains(name, "phi3")) {
    for (size_t id = 0; id < spec.pieces.size(); ++id) {
      const std::string& piece = spec.pieces[id];
      const bool special = spec.types[id] == TokenType::control || spec.types[id] == TokenType::user_defined;
      if (special && piece != "<unk>" && piece != "<s>" && piece != "<|endoftext|>") {
        spec.strips_right.push_back(static_cast<TokenId>(id));
      }
    }
  } else if (contains(name, "modern-bert")) {
    strips_left("[MASK]");
  }
}

}  // namespace

Result<VocabSpec> load_vocab(const checkpoint::Checkpoint& checkpoint) {
  const Metadata& meta = checkpoint.metadata();
  VocabSpec spec;
  WATRA_TRY(read_kind(meta, spec));
  if (spec.kind == VocabKind::none) return spec;
  WATRA_TRY(read_pieces(meta, spec));
  read_flags(meta, spec);
  read_special_ids(meta, spec);
  Spelling spelling(spec);
  find_special_tokens(spec, spelling);
  find_end_of_generation(spec, spelling);
  find_stripping_tokens(meta, spec, spelling);
  return spec;
}

}  // namespace watra::model
