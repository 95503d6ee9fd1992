// Vocabulary: the tokenizer of a Hugging Face folder in GGUF's terms.
//
// From tokenizer.model (SentencePiece BPE) or tokenizer.json (byte-level BPE; SentencePiece BPE turned into BPE with
// byte fallback, whose merges become scores; or, of encoders, WordPiece), completed by tokenizer_config.json,
// added_tokens.json and the chat template files. Padding ids up to the embedding's rows become unused tokens [PADi].
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "text/vocab_spec.h"
#include "workshop/convert/hf_config.h"

namespace watra::workshop {

struct Vocabulary {
  std::string model;  // "gpt2" (byte-level BPE), "llama" (SentencePiece) or "bert" (WordPiece)
  std::string pre;
  std::vector<std::string> tokens;
  std::vector<float> scores;  // "llama" only
  std::vector<text::TokenType> types;
  std::vector<std::string> merges;                       // "gpt2" only, "left right"
  std::vector<std::pair<std::string, int64_t>> special;  // "bos" -> id ...
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  std::optional<bool> lowercase, strip_accents;  // "bert" only
  int64_t n_token_types = 0;                     // "bert" only
  std::optional<std::string> chat_template;
  std::vector<std::pair<std::string, std::string>> named_templates;
  std::vector<std::string> warnings;
};

// `pre`: name to use instead of recognizing it; may be empty.
Result<Vocabulary> load_vocabulary(const fs::path& folder, const HfConfig& config, const std::string& pre);

// The tokenizer.* keys.
void add_to_metadata(const Vocabulary& vocabulary, checkpoint::Metadata& metadata);

// ---- the sources, each filling tokens, scores, types, merges, model, pre ----

Status load_from_sentencepiece(const fs::path& folder, const HfConfig& config, const nlohmann::json& tokenizer_config,
                               const nlohmann::json* tokenizer_json, Vocabulary& out);
Status load_from_wordpiece(const HfConfig& config, const nlohmann::json& tokenizer, Vocabulary& out);
Status load_from_tokenizer_json(const HfConfig& config, const nlohmann::json& tokenizer, const std::string& pre,
                                Vocabulary& out);

// A table of n_vocab unused [PADi] tokens. Scores only when `with_scores`.
void start_table(int64_t n_vocab, bool with_scores, Vocabulary& out);
// Control token, or user-defined with "▁" as a space; ids beyond the table are left out with a warning.
void set_added_token(int64_t id, std::string text, bool special, Vocabulary& out);

}  // namespace watra::workshop
