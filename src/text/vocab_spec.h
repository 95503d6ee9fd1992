// VocabSpec: everything a tokenizer needs, as plain data. model/vocab.cpp fills it from a Checkpoint; text/ never sees
// files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace watra::text {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

enum class TokenType : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

enum class VocabKind : uint8_t {
  bpe,  // byte-level BPE ("gpt2")
  spm,  // SentencePiece BPE: merges ranked by scores ("llama"), or by a list of merges if the file has one ("gemma4")
  unigram,    // SentencePiece unigram ("t5")
  wordpiece,  // BERT ("bert")
  none,       // a model without vocabulary
};

struct VocabSpec {
  VocabKind kind = VocabKind::none;
  std::string pre;                  // tokenizer.ggml.pre: which split pattern byte-level BPE uses
  std::vector<std::string> pieces;  // by id, as stored in the file (byte-level alphabet, or with U+2581 for spaces)
  std::vector<float> scores;        // spm, unigram; empty = none
  std::vector<TokenType> types;     // empty = all normal
  std::vector<std::string> merges;  // bpe (and some spm): "left right" in rank order
  std::vector<uint8_t> precompiled_charsmap;  // unigram: SentencePiece's normalizer table; empty = none

  TokenId bos = kNoToken, eos = kNoToken, eot = kNoToken, eom = kNoToken, unk = kNoToken, sep = kNoToken,
          pad = kNoToken, mask = kNoToken, cls = kNoToken;
  TokenId fim_prefix = kNoToken, fim_suffix = kNoToken, fim_middle = kNoToken;
  std::vector<TokenId> end_of_generation;  // every id that ends an answer (eos, eot, eom and their spellings)

  // Control tokens that swallow the white space before or after them when they are written in a text.
  std::vector<TokenId> strips_left, strips_right;

  bool add_bos = false, add_eos = false, add_sep = false;
  bool add_space_prefix = true;
  bool remove_extra_whitespaces = false;
  bool escape_whitespaces = true;  // spm: spaces become U+2581
  bool ignore_merges = false;      // bpe: a pre-token that is a whole piece is taken as it is
  bool treat_whitespace_as_suffix = false;
  bool lowercase = false;      // wordpiece
  bool strip_accents = false;  // wordpiece
};

}  // namespace watra::text
