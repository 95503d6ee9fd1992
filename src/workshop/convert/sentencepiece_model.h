// SentencePieceModel: the vocabulary inside a tokenizer.model file (a protobuf message, sentencepiece_model.proto).
//
// Only what a GGUF needs is read; unknown fields are skipped as protobuf wants it. Every length is checked against the
// bytes that are there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace watra::workshop {

struct SentencePieceModel {
  enum class Type : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::normal;
  };
  std::vector<Piece> pieces;
  bool is_bpe = false;           // trainer_spec.model_type; unigram, word and char are the others
  bool add_dummy_prefix = true;  // normalizer_spec: a space in front of the text
};

Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes);

}  // namespace watra::workshop
