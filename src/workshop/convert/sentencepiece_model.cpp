#include "workshop/convert/sentencepiece_model.h"

#include <bit>
#include <cstring>
#include <optional>

namespace watra::workshop {

namespace {

// Field numbers of sentencepiece_model.proto.
constexpr uint32_t kModelPieces = 1, kModelTrainer = 2, kModelNormalizer = 3;
constexpr uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr uint32_t kTrainerModelType = 3;
constexpr uint32_t kNormalizerAddDummyPrefix = 3;
constexpr uint64_t kModelTypeBpe = 2;

enum class Wire : uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  uint32_t number = 0;
  Wire wire = Wire::varint;
  uint64_t value = 0;      // varint, fixed32, fixed64
  std::string_view bytes;  // bytes
};

// Walks the fields of one message. After next() gives nullopt, ok() tells the end from damage.
class Message {
 public:
  explicit Message(std::string_view data) : data_(data) {}

  std::optional<Field> next() {
    if (data_.empty() || !ok_) return std::nullopt;
    Field f;
    uint64_t key;
    if (!varint(key)) return damaged();
    f.number = static_cast<uint32_t>(key >> 3);
    f.wire = static_cast<Wire>(key & 7);
    if (f.number == 0 || key >> 32) return damaged();
    switch (f.wire) {
      case Wire::varint:
        return varint(f.value) ? std::optional(f) : damaged();
      case Wire::fixed64:
        return fixed(8, f.value) ? std::optional(f) : damaged();
      case Wire::fixed32:
        return fixed(4, f.value) ? std::optional(f) : damaged();
      case Wire::bytes: {
        uint64_t n;
        if (!varint(n) || n > data_.size()) return damaged();
        f.bytes = data_.substr(0, n);
        data_.remove_prefix(n);
        return f;
      }
    }
    return damaged();  // groups and reserved wire types
  }
  bool ok() const { return ok_; }

 private:
  std::optional<Field> damaged() {
    ok_ = false;
    return std::nullopt;
  }
  bool varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64 && !data_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(data_.front());
      data_.remove_prefix(1);
      out |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return true;
    }
    return false;
  }
  bool fixed(size_t n, uint64_t& out) {
    if (data_.size() < n) return false;
    out = 0;
    for (size_t i = 0; i < n; ++i) out |= static_cast<uint64_t>(static_cast<uint8_t>(data_[i])) << (8 * i);
    data_.remove_prefix(n);
    return true;
  }

  std::string_view data_;
  bool ok_ = true;
};

bool read_piece(std::string_view bytes, SentencePieceModel::Piece& piece) {
  Message m(bytes);
  while (auto f = m.next()) {
    if (f->number == kPieceText && f->wire == Wire::bytes) piece.text = f->bytes;
    if (f->number == kPieceScore && f->wire == Wire::fixed32)
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(f->value));
    if (f->number == kPieceType && f->wire == Wire::varint) {
      if (f->value < 1 || f->value > 6) return false;
      piece.type = static_cast<SentencePieceModel::Type>(f->value);
    }
  }
  return m.ok();
}

}  // namespace

Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes) {
  auto damaged = [&] {
    return fail("convert.bad_tokenizer",
                fmt::format("tokenizer.model ({} bytes) is not a SentencePiece model", bytes.size()),
                "is the download complete? (Git LFS leaves a small text file in its place)");
  };
  SentencePieceModel model;
  Message top(bytes);
  while (auto f = top.next()) {
    if (f->wire != Wire::bytes) continue;
    if (f->number == kModelPieces) {
      SentencePieceModel::Piece piece;
      if (!read_piece(f->bytes, piece)) return damaged();
      model.pieces.push_back(std::move(piece));
    } else if (f->number == kModelTrainer || f->number == kModelNormalizer) {
      Message spec(f->bytes);
      while (auto s = spec.next()) {
        if (s->wire != Wire::varint) continue;
        if (f->number == kModelTrainer && s->number == kTrainerModelType) model.is_bpe = s->value == kModelTypeBpe;
        if (f->number == kModelNormalizer && s->number == kNormalizerAddDummyPrefix)
          model.add_dummy_prefix = s->value != 0;
      }
      if (!spec.ok()) return damaged();
    }
  }
  if (!top.ok() || model.pieces.empty()) return damaged();
  return model;
}

}  // namespace watra::workshop
